package clients

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/elastic/go-elasticsearch/v8"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
)

var elastic = library{
	name:    "elasticsearch v8",
	connect: connectElastic,
	answer: func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		answers(`{}`)(w, req)
	},
	plain: effort{attempts: 4},
	told:  once,
}

func connectElastic(t *testing.T, s setup) call {
	return callElastic(t, s, s.url)
}

// callElastic makes a client of several nodes.
func callElastic(t *testing.T, s setup, nodes ...string) call {
	transport := httpbreaker.New(&s.config)
	cfg := elasticsearch.Config{Addresses: nodes}
	cfg.Transport = transport
	if s.told {
		cfg.RetryOnError = func(_ *http.Request, err error) bool { return !errors.Is(err, httpbreaker.ErrOpen) }
	}
	if s.wait > 0 {
		cfg.RetryBackoff = func(int) time.Duration { return s.wait }
	}
	es, err := elasticsearch.NewClient(cfg)
	require.NoError(t, err)
	return func(ctx context.Context) error {
		res, err := es.Info(es.Info.WithContext(ctx))
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.IsError() {
			return errors.New(res.Status())
		}
		return nil
	}
}
