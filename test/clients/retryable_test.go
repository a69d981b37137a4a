package clients

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
)

var retryable = library{
	name:    "go-retryablehttp",
	connect: connectRetryable,
	answer:  answers(`{}`),
	plain:   effort{attempts: 5, least: 15 * time.Second, most: 15 * time.Second},
	told:    once,
}

func connectRetryable(t *testing.T, s setup) call {
	transport := httpbreaker.New(&s.config)
	retries := retryablehttp.NewClient()
	retries.HTTPClient = &http.Client{Transport: transport}
	if s.told {
		retries.CheckRetry = httpbreaker.StopRetryWhenOpen(retries.CheckRetry)
	}
	retries.Logger = nil
	if s.wait > 0 {
		retries.RetryWaitMin, retries.RetryWaitMax = s.wait, s.wait
	}
	return func(ctx context.Context) error {
		req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
		require.NoError(t, err)
		res, err := retries.Do(req)
		if err == nil {
			err = res.Body.Close()
		}
		return err
	}
}
