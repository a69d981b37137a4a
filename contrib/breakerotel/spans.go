package breakerotel

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/internal/meter"
)

// SpanEvents returns hooks that add an event to the span in a call's context
// when the call is rejected, and when it changes the state of its circuit. Use
// them in breaker.Options, with breaker.New or with Set.Watch; what SpanEvents
// returns is for one set or breaker.
//
// A transition is told without a context. It goes to the call whose end or
// rejection is told next, which is the call that brought it about unless calls
// of the same key ended in the same moment; for the step to half-open, to the
// probe when that ends. What an operator brought about goes to the next call
// that ends or is rejected because of it. The event carries the time of the
// transition. A transition whose call is not sampled, or whose span has ended
// already, leaves no event.
//
// They make every call tell its end, so each call reads the clock.
func SpanEvents() breaker.Hooks {
	e := &spanEvents{pending: make(map[string][]breaker.Transition)}
	return breaker.Hooks{
		StateChanged: e.stateChanged,
		Rejected:     e.rejected,
		Done:         e.done,
		Evicted:      e.evicted,
	}
}

// maxPending bounds the transitions of one key that wait for a call. Four are a
// reset, an opening, the step to half-open and what came of it. maxPendingKeys
// bounds the keys: nobody says when a breaker that has left its set is gone.
const (
	maxPending     = 4
	maxPendingKeys = 10_000
)

type spanEvents struct {
	waiting atomic.Int64 // keys in pending: most calls need not take the lock

	mu      sync.Mutex
	pending map[string][]breaker.Transition
}

func (e *spanEvents) stateChanged(t breaker.Transition) {
	e.mu.Lock()
	defer e.mu.Unlock()
	list, waits := e.pending[t.Key]
	if !waits && len(e.pending) >= maxPendingKeys {
		return
	}
	list = append(list, t)
	e.pending[t.Key] = list[max(0, len(list)-maxPending):]
	e.waiting.Store(int64(len(e.pending)))
}

func (e *spanEvents) rejected(ctx context.Context, err *breaker.OpenError) {
	span := trace.SpanFromContext(ctx)
	// The step to half-open is the probe's, which no rejected call is.
	e.addTransitions(span, err.Key, func(t breaker.Transition) bool { return t.To != breaker.HalfOpen })
	if !span.IsRecording() {
		return
	}
	span.AddEvent("httpbreaker.rejected", trace.WithAttributes(about(breaker.Transition{
		Key: err.Key, From: breaker.Open, To: err.State, Mode: err.Mode, Since: err.Since, OutageSince: err.OutageSince,
		Reason: err.Reason, Origin: err.Origin, LastFailure: err.LastFailure(), At: time.Now(), Until: err.Until,
	})...))
}

func (e *spanEvents) done(ctx context.Context, c breaker.Call) {
	if !c.Late {
		e.addTransitions(trace.SpanFromContext(ctx), c.Key, func(breaker.Transition) bool { return true })
	}
}

func (e *spanEvents) evicted(key string) { e.take(key, func(breaker.Transition) bool { return true }) }

// addTransitions adds the transitions of key that wait, if all of them are
// wanted.
func (e *spanEvents) addTransitions(span trace.Span, key string, wanted func(breaker.Transition) bool) {
	if e.waiting.Load() == 0 {
		return
	}
	for _, t := range e.take(key, wanted) {
		if !span.IsRecording() {
			return
		}
		list := append(about(t), previousAttribute.String(t.From.String()))
		if t.To == breaker.HalfOpen {
			list = append(list, shareAttribute.Float64(t.Share))
		}
		span.AddEvent("httpbreaker.transition", trace.WithTimestamp(t.At), trace.WithAttributes(list...))
	}
}

func (e *spanEvents) take(key string, wanted func(breaker.Transition) bool) []breaker.Transition {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := e.pending[key]
	if !slices.ContainsFunc(list, func(t breaker.Transition) bool { return !wanted(t) }) {
		delete(e.pending, key)
		e.waiting.Store(int64(len(e.pending)))
		return list
	}
	return nil
}

// about returns the attributes that both kinds of event have. Text that is not
// UTF-8 would make an exporter refuse the whole batch.
func about(t breaker.Transition) []attribute.KeyValue {
	list := []attribute.KeyValue{
		keyAttribute.String(meter.Label(t.Key)),
		stateAttribute.String(t.To.String()),
		modeAttribute.String(t.Mode.String()),
		reasonAttribute.String(strings.ToValidUTF8(t.Reason, "\uFFFD")),
		originAttribute.String(t.Origin.String()),
	}
	since := t.OutageSince
	switch {
	case !since.IsZero():
	case t.From == breaker.Closed: // forced open: the rules have it closed
		since = t.At
	default:
		since = t.Since
	}
	list = append(list, sinceAttribute.String(since.UTC().Format(time.RFC3339Nano)))
	if t.LastFailure != "" {
		list = append(list, failureAttribute.String(strings.ToValidUTF8(t.LastFailure, "\uFFFD")))
	}
	if left := t.Until.Sub(t.At); left > 0 {
		list = append(list, retryAttribute.Float64(left.Seconds()))
	}
	return list
}
