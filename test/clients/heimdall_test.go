package clients

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/gojek/heimdall/v7"
	"github.com/gojek/heimdall/v7/httpclient"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
)

// It keeps the text of errors only, and retries after every error: nothing but an answer
// stops it.
var heimdallClient = library{
	name:    "heimdall",
	connect: connectHeimdall,
	answer:  answers(`{}`),
	plain:   effort{attempts: 4, least: 400 * time.Millisecond, most: 400 * time.Millisecond, lost: true},
	told:    once,
}

func connectHeimdall(t *testing.T, s setup) call {
	if s.told {
		s.config.Fallback = httpbreaker.Respond(http.StatusFailedDependency, nil, nil)
	}
	transport := httpbreaker.New(&s.config)
	wait := s.wait
	if wait == 0 {
		wait = 100 * time.Millisecond
	}
	client := httpclient.NewClient(
		httpclient.WithHTTPClient(&http.Client{Transport: transport}),
		httpclient.WithRetryCount(3),
		httpclient.WithRetrier(heimdall.NewRetrier(heimdall.NewConstantBackoff(wait, 0))),
	)
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
		require.NoError(t, err)
		res, err := client.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if httpbreaker.IsFallback(res) {
			return httpbreaker.ErrOpen
		}
		if res.StatusCode >= 400 {
			return errors.New(res.Status)
		}
		return nil
	}
}
