package clients

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
)

var prometheus = library{
	name:    "Prometheus API",
	connect: connectPrometheus,
	answer:  answers(`{"status": "success", "data": {"resultType": "vector", "result": []}}`),
	plain:   once,
	told:    once,
}

func connectPrometheus(t *testing.T, s setup) call {
	transport := httpbreaker.New(&s.config)
	client, err := api.NewClient(api.Config{Address: s.url, RoundTripper: transport})
	require.NoError(t, err)
	return func(ctx context.Context) error {
		_, _, err := promv1.NewAPI(client).Query(ctx, "up", time.Now())
		return err
	}
}
