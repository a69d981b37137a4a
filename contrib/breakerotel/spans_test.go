package breakerotel_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerotel"
)

// traced makes calls in spans and keeps the events of these.
type traced struct {
	set      *breaker.Set
	exporter *tracetest.InMemoryExporter
	provider *sdktrace.TracerProvider
}

func newTraced(cfg breaker.Config, opts ...sdktrace.TracerProviderOption) *traced {
	exporter := tracetest.NewInMemoryExporter()
	return &traced{
		set:      breaker.NewSet(breaker.Options{Config: cfg, Hooks: []breaker.Hooks{breakerotel.SpanEvents()}}),
		exporter: exporter,
		provider: sdktrace.NewTracerProvider(append(opts, sdktrace.WithSyncer(exporter))...),
	}
}

func (tr *traced) call(name, key string, o breaker.Outcome) {
	ctx, span := tr.provider.Tracer("test").Start(context.Background(), name)
	defer span.End()
	if permit, err := tr.set.Get(key).Allow(ctx); err == nil {
		permit.Done(o)
	}
}

func (tr *traced) fail(name, key string, err error) {
	ctx, span := tr.provider.Tracer("test").Start(context.Background(), name)
	defer span.End()
	if permit, open := tr.set.Get(key).Allow(ctx); open == nil {
		permit.Fail(err)
	}
}

// events returns a line for each event, with the name of its span in front.
func (tr *traced) events() []string {
	var lines []string
	for _, span := range tr.exporter.GetSpans() {
		for _, e := range span.Events {
			set := attribute.NewSet(e.Attributes...)
			lines = append(lines, fmt.Sprintf("%s: %s %s", span.Name, e.Name, set.Encoded(attribute.DefaultEncoder())))
		}
	}
	tr.exporter.Reset()
	return lines
}

func TestSpanEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTraced(breaker.Config{ConsecutiveFailures: 2, ConsecutiveSpan: -1, Jitter: -1, ProbeShare: -1})
		tr.call("good", "host", breaker.Success)
		tr.call("bad", "host", breaker.Failure)
		assert.Empty(t, tr.events())

		tr.fail("last", "host", errors.New("connect: connection refused"))
		reason := tr.set.Get("host").Snapshot().Reason
		require.NotEmpty(t, reason)
		same := ",httpbreaker.mode=enforce,httpbreaker.origin=rules"
		assert.Equal(t, []string{"last: httpbreaker.transition httpbreaker.key=host,httpbreaker.last_failure=connect: connection refused" + same +
			",httpbreaker.previous_state=closed,httpbreaker.reason=" + reason + ",httpbreaker.retry_after=5,httpbreaker.since=2000-01-01T00:00:00Z,httpbreaker.state=open"}, tr.events())

		time.Sleep(2 * time.Second)
		tr.call("early", "host", breaker.Success)
		assert.Equal(t, []string{"early: httpbreaker.rejected httpbreaker.key=host,httpbreaker.last_failure=connect: connection refused" + same +
			",httpbreaker.reason=" + reason + ",httpbreaker.retry_after=3,httpbreaker.since=2000-01-01T00:00:00Z,httpbreaker.state=open"}, tr.events())

		time.Sleep(4 * time.Second)
		tr.call("probe", "host", breaker.Success)
		events := tr.events()
		require.Len(t, events, 2)
		assert.Contains(t, events[0], "httpbreaker.previous_state=open,")
		assert.Contains(t, events[0], "httpbreaker.state=half-open")
		assert.Contains(t, events[1], "httpbreaker.previous_state=half-open,")
		assert.Contains(t, events[1], "httpbreaker.state=closed")
	})
}

func TestTheProbesTransitionIsNotARejectedCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTraced(breaker.Config{})
		tr.set.Get("host").Trip(time.Second, "test")
		tr.call("first", "host", breaker.Success) // takes the opening
		time.Sleep(2 * time.Second)
		tr.events()

		ctx, span := tr.provider.Tracer("test").Start(context.Background(), "probe")
		probe, err := tr.set.Get("host").Allow(ctx)
		require.NoError(t, err)
		at := time.Now()
		time.Sleep(time.Second)
		tr.call("second", "host", breaker.Success)
		events := tr.events()
		require.Len(t, events, 1)
		assert.Contains(t, events[0], "second: httpbreaker.rejected")
		assert.Contains(t, events[0], "httpbreaker.state=half-open")

		probe.Done(breaker.Failure)
		span.End()
		spans := tr.exporter.GetSpans()
		require.Len(t, spans, 1)
		require.Len(t, spans[0].Events, 2)
		assert.True(t, at.Equal(spans[0].Events[0].Time), "an event carries the time of the transition")
	})
}

func TestOverdueCallsAreTheirFinders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTraced(breaker.Config{SlowCall: time.Second, ConsecutiveFailures: 1, ConsecutiveSpan: -1})
		hanging, err := tr.set.Get("host").Allow(t.Context())
		require.NoError(t, err)
		defer hanging.Done(breaker.Ignored)
		time.Sleep(5 * time.Second)
		tr.call("finder", "host", breaker.Success)
		events := tr.events()
		require.Len(t, events, 2)
		assert.Contains(t, events[0], "finder: httpbreaker.transition")
		assert.Contains(t, events[1], "finder: httpbreaker.rejected")
	})
}

func TestObserveIsTold(t *testing.T) {
	tr := newTraced(breaker.Config{Mode: breaker.Observe})
	tr.set.Get("host").Trip(time.Hour, "test")
	tr.call("call", "host", breaker.Success)
	events := tr.events()
	require.Len(t, events, 2)
	assert.Contains(t, events[1], "httpbreaker.mode=observe")
}

func TestTextThatIsNotUTF8(t *testing.T) {
	tr := newTraced(breaker.Config{})
	tr.set.Get("a\xff").Trip(time.Hour, "b\xff")
	tr.call("call", "a\xff", breaker.Success)
	events := tr.events()
	require.Len(t, events, 2)
	for _, e := range events {
		assert.Contains(t, e, `httpbreaker.key="a\\xff"`)
		assert.Contains(t, e, "httpbreaker.reason=b\uFFFD")
	}
}

func TestCallsWithoutASpan(t *testing.T) {
	for name, opt := range map[string]sdktrace.TracerProviderOption{
		"not sampled": sdktrace.WithSampler(sdktrace.NeverSample()),
		"sampled":     sdktrace.WithSampler(sdktrace.AlwaysSample()),
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTraced(breaker.Config{}, opt)
			b := tr.set.Get("host")
			b.Trip(time.Hour, "test")
			_, err := b.Allow(context.Background()) // no span at all
			require.ErrorIs(t, err, breaker.ErrOpen)
			b.Reset("test")
			tr.set.Remove("host") // nobody has met the reset
			tr.call("call", "host", breaker.Success)
			assert.Empty(t, tr.events())
		})
	}
}

// The next call after many transitions gets the latest few.
func TestWaitingTransitionsAreBounded(t *testing.T) {
	tr := newTraced(breaker.Config{})
	b := tr.set.Get("host")
	for range 100 {
		b.Trip(time.Hour, "test")
		b.Reset("test")
	}
	tr.call("call", "host", breaker.Success)
	events := tr.events()
	assert.Len(t, events, 4)
	assert.Contains(t, events[3], "httpbreaker.state=closed")
}

// Nobody says when a breaker that has left its set is gone: what waits is bounded
// in keys, too.
func TestWaitingKeysAreBounded(t *testing.T) {
	hooks := breakerotel.SpanEvents()
	for i := range 20_000 {
		hooks.StateChanged(breaker.Transition{Key: fmt.Sprint(i), To: breaker.Open})
	}
	recorder := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)).Tracer("test")
	for i := range 20_000 {
		ctx, span := tracer.Start(context.Background(), "call")
		hooks.Done(ctx, breaker.Call{Key: fmt.Sprint(i)})
		span.End()
	}
	told := 0
	for _, span := range recorder.Ended() {
		told += len(span.Events())
	}
	assert.Equal(t, 10_000, told)
}

func TestHooksCanBeWatched(t *testing.T) {
	tr := newTraced(breaker.Config{})
	tr.set = breaker.NewSet(breaker.Options{})
	stop := tr.set.Watch(breakerotel.SpanEvents())
	tr.set.Get("host").Trip(time.Hour, "test")
	tr.call("watched", "host", breaker.Success)
	assert.Len(t, tr.events(), 2)
	stop()
	tr.call("stopped", "host", breaker.Success)
	assert.Empty(t, tr.events())
}
