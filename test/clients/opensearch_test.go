package clients

import (
	"context"
	"testing"
	"time"

	"github.com/opensearch-project/opensearch-go/v4"
	"github.com/opensearch-project/opensearch-go/v4/opensearchapi"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
)

// It retries what is a net.Error only, and OpenError is none.
var openSearch = library{
	name:    "OpenSearch",
	connect: connectOpenSearch,
	answer:  answers(`{}`),
	plain:   once,
	told:    once,
}

func connectOpenSearch(t *testing.T, s setup) call {
	return callOpenSearch(t, s, s.url)
}

// callOpenSearch makes a client of several nodes.
func callOpenSearch(t *testing.T, s setup, nodes ...string) call {
	transport := httpbreaker.New(&s.config)
	cfg := opensearch.Config{Addresses: nodes}
	cfg.Transport = transport
	if s.wait > 0 {
		cfg.RetryBackoff = func(int) time.Duration { return s.wait }
	}
	client, err := opensearchapi.NewClient(opensearchapi.Config{Client: cfg})
	require.NoError(t, err)
	return func(ctx context.Context) error {
		_, err := client.Info(ctx, nil)
		return err
	}
}
