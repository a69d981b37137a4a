package breakerotel_test

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerotel"
)

// receiver is an OTLP/HTTP endpoint that keeps the last export.
func receiver(t *testing.T) (endpoint string, last func() map[string]*metrics.Metric) {
	exports := make(chan *collector.ExportMetricsServiceRequest, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			unzipped, err := gzip.NewReader(body)
			if !assert.NoError(t, err) {
				return
			}
			body = unzipped
		}
		data, err := io.ReadAll(body)
		assert.NoError(t, err)
		assert.Equal(t, "/v1/metrics", r.URL.Path)
		assert.Equal(t, "application/x-protobuf", r.Header.Get("Content-Type"))
		export := new(collector.ExportMetricsServiceRequest)
		assert.NoError(t, proto.Unmarshal(data, export))
		exports <- export

		answer, err := proto.Marshal(&collector.ExportMetricsServiceResponse{})
		assert.NoError(t, err)
		w.Header().Set("Content-Type", "application/x-protobuf")
		_, _ = w.Write(answer)
	}))
	t.Cleanup(server.Close)
	return server.URL, func() map[string]*metrics.Metric {
		found := make(map[string]*metrics.Metric)
		for _, resource := range (<-exports).ResourceMetrics {
			for _, scope := range resource.ScopeMetrics {
				assert.Equal(t, "github.com/seed-0b728cf8/httpbreaker/contrib/breakerotel", scope.Scope.Name)
				for _, m := range scope.Metrics {
					found[m.Name] = m
				}
			}
		}
		return found
	}
}

// What arrives at a collector, over OTLP.
func TestOTLP(t *testing.T) {
	ctx := t.Context()
	endpoint, last := receiver(t)
	exporter, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(endpoint+"/v1/metrics"))
	require.NoError(t, err)
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(exporter)))
	defer func() { assert.NoError(t, provider.Shutdown(context.Background())) }()
	set := breaker.NewSet(breaker.Options{})
	_, err = breakerotel.Register(set, &breakerotel.Options{MeterProvider: provider})
	require.NoError(t, err)

	call(set, "up", 3, breaker.Success)
	set.Get("a\xff").Trip(time.Hour, "test")
	call(set, "a\xff", 2, breaker.Success)
	require.NoError(t, provider.ForceFlush(ctx))
	first := last()
	require.Len(t, first, 21)

	calls := first["httpbreaker.circuit.calls"]
	assert.Equal(t, "{call}", calls.Unit)
	assert.True(t, calls.GetSum().IsMonotonic)
	assert.Equal(t, metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE, calls.GetSum().AggregationTemporality)
	assert.EqualValues(t, 3, value(t, calls.GetSum().DataPoints, "up", "success").GetAsInt())

	// One bad key has not cost the whole export.
	const quoted = `"a\xff"`
	assert.EqualValues(t, 1, value(t, first["httpbreaker.circuit.state"].GetGauge().DataPoints, quoted).GetAsDouble())
	assert.EqualValues(t, 2, value(t, first["httpbreaker.circuit.rejected_calls"].GetSum().DataPoints, quoted).GetAsInt())
	openTime := first["httpbreaker.circuit.open_time"]
	assert.Equal(t, "s", openTime.Unit)
	assert.True(t, openTime.GetSum().IsMonotonic)

	set.Remove("up")
	require.NoError(t, provider.ForceFlush(ctx))
	for _, p := range last()["httpbreaker.circuit.calls"].GetSum().DataPoints {
		assert.Equal(t, quoted, p.Attributes[0].Value.GetStringValue(), "removed keys disappear")
	}
}

// value returns the point whose attributes have these values.
func value(t *testing.T, points []*metrics.NumberDataPoint, attributes ...string) *metrics.NumberDataPoint {
	for _, p := range points {
		matches := len(p.Attributes) == len(attributes)
		for i, a := range p.Attributes {
			matches = matches && a.Value.GetStringValue() == attributes[i]
		}
		if matches {
			return p
		}
	}
	require.Fail(t, "no such point", "%q", attributes)
	return nil
}
