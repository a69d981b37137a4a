package compose

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// tracing wraps rt in otelhttp, and returns the recorder of its spans.
func tracing(rt http.RoundTripper) (http.RoundTripper, *tracetest.SpanRecorder) {
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	return otelhttp.NewTransport(rt, otelhttp.WithTracerProvider(provider)), spans
}

func TestTracingInside(t *testing.T) {
	h, circuits := newHost(t), opensAfter(3)
	rt, spans := tracing(base(t))
	client := &http.Client{Transport: httpbreaker.New(&httpbreaker.Config{Base: rt, Breakers: circuits})}
	_, body, err := get(t, client, h.URL)
	require.NoError(t, err)
	assert.Equal(t, "hello", body)
	assert.EqualValues(t, 1, totals(circuits, h).Successes)

	h.broken.Store(true)
	for range 10 {
		_, _, _ = get(t, client, h.URL)
	}
	assert.EqualValues(t, 4, h.asked.Load())
	assert.EqualValues(t, 7, totals(circuits, h).Rejected)
	assert.Len(t, spans.Ended(), 4, "one for each request that was sent")
}

func TestTracingOutside(t *testing.T) {
	h, circuits := newHost(t), opensAfter(3)
	h.broken.Store(true)
	rt, spans := tracing(httpbreaker.New(&httpbreaker.Config{Base: base(t), Breakers: circuits}))
	client := &http.Client{Transport: rt}
	for range 10 {
		_, _, _ = get(t, client, h.URL)
	}
	require.Len(t, spans.Ended(), 10, "one for each request, sent or not")
	rejected := spans.Ended()[9].Status()
	assert.Equal(t, codes.Error, rejected.Code)
	assert.Contains(t, rejected.Description, fmt.Sprintf("circuit %q is open", h.name()))
	assert.Contains(t, rejected.Description, "3 calls in a row failed")
}

func TestTracingOutsideKeepsTheMarkOfFallbacks(t *testing.T) {
	h, circuits := newHost(t), opensAfter(3)
	circuits.Get(h.name()).Trip(time.Hour, "test")
	rt, _ := tracing(httpbreaker.New(&httpbreaker.Config{
		Base: base(t), Breakers: circuits, Fallback: httpbreaker.Respond(200, nil, []byte("stand-in")),
	}))
	res, _, err := get(t, &http.Client{Transport: rt, Timeout: time.Minute}, h.URL)
	require.NoError(t, err)
	assert.True(t, httpbreaker.IsFallback(res))
}

// otelhttp wraps bodies, on either side of ours. A body that breaks off is noticed all the
// same.
func TestTracingAndBodies(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("half"))
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(server.Close)
	h := &host{Server: server}
	for name, stack := range map[string]func(*breaker.Set) http.RoundTripper{
		"inside": func(circuits *breaker.Set) http.RoundTripper {
			rt, _ := tracing(base(t))
			return httpbreaker.New(&httpbreaker.Config{Base: rt, Breakers: circuits})
		},
		"outside": func(circuits *breaker.Set) http.RoundTripper {
			rt, _ := tracing(httpbreaker.New(&httpbreaker.Config{Base: base(t), Breakers: circuits}))
			return rt
		},
	} {
		t.Run(name, func(t *testing.T) {
			circuits := opensAfter(1)
			_, _, err := get(t, &http.Client{Transport: stack(circuits)}, h.URL)
			require.Error(t, err)
			assert.Equal(t, breaker.Totals{Failures: 1, Opened: 1}, withoutTime(totals(circuits, h)))
		})
	}
}
