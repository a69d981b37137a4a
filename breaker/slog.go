package breaker

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// LogHooks returns hooks that tell logger what happens to circuits: one record
// for each transition and, when a circuit closes that has rejected calls, one
// with how many. There is never a record for each rejected call, so an outage
// floods no log. A nil logger is slog.Default() at the time of each record.
//
// Opening is logged at slog.LevelWarn, all else at slog.LevelInfo. A transition
// has the attributes key, from, to, reason, the group counts, and rejected: the
// calls rejected in the state that it left. If it opens the circuit, open_for is
// the time until the next try. If it leaves a circuit that was not closed,
// open_duration is the time since that circuit opened first. The summary has
// key, rejected, opened (how often the circuit opened before it closed) and
// open_duration. Under Observe, the rejected calls are those that would have
// been.
//
// The hooks are safe for concurrent use. Keep them to one [Set], or to breakers
// whose keys differ. The call that caused a transition waits for its record.
func LogHooks(logger *slog.Logger) Hooks {
	l := &transitionLog{logger: logger, outages: make(map[string]*loggedOutage)}
	return Hooks{StateChanged: l.stateChanged, Evicted: l.forget}
}

type transitionLog struct {
	logger *slog.Logger // nil: slog.Default()

	mu      sync.Mutex
	outages map[string]*loggedOutage // of the circuits that are not closed
}

// loggedOutage lasts from the first opening of a circuit until it closes.
type loggedOutage struct {
	began    time.Time // zero if that was not seen
	opened   int
	rejected uint64
}

func (l *transitionLog) stateChanged(t Transition) {
	o := l.follow(t)
	attrs := []slog.Attr{
		slog.String("key", t.Key),
		slog.String("from", t.From.String()),
		slog.String("to", t.To.String()),
		slog.String("reason", t.Reason),
		slog.Group("counts",
			"calls", t.Counts.Calls,
			"failures", t.Counts.Failures,
			"slow", t.Counts.Slow,
			"overdue", t.Counts.Overdue,
			"consecutive_failures", t.Counts.ConsecutiveFailures),
		slog.Uint64("rejected", t.Rejected),
	}
	if t.To == Open && !t.Until.IsZero() {
		attrs = append(attrs, slog.Duration("open_for", t.Until.Sub(t.At)))
	}
	if t.From != Closed {
		attrs = append(attrs, o.duration(t.At)...)
	}
	level, msg := slog.LevelInfo, "circuit "+t.To.String()
	if t.To == Open {
		level = slog.LevelWarn
	}
	l.log(level, msg, attrs)

	if t.To == Closed && o.rejected > 0 {
		l.log(slog.LevelInfo, "circuit rejected calls", append([]slog.Attr{
			slog.String("key", t.Key),
			slog.Uint64("rejected", o.rejected),
			slog.Int("opened", o.opened),
		}, o.duration(t.At)...))
	}
}

func (l *transitionLog) log(level slog.Level, msg string, attrs []slog.Attr) {
	logger := l.logger
	if logger == nil {
		logger = slog.Default()
	}
	logger.LogAttrs(context.Background(), level, msg, attrs...)
}

// follow returns the outage that t belongs to, with t booked in it.
func (l *transitionLog) follow(t Transition) loggedOutage {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.outages[t.Key]
	if o == nil {
		o = new(loggedOutage)
		l.outages[t.Key] = o
	}
	switch t.From {
	case Closed:
		o.began = t.At
	default:
		o.rejected += t.Rejected
	}
	switch t.To {
	case Open:
		o.opened++
	case Closed:
		delete(l.outages, t.Key)
	}
	return *o
}

func (l *transitionLog) forget(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.outages, key)
}

func (o loggedOutage) duration(now time.Time) []slog.Attr {
	if o.began.IsZero() {
		return nil
	}
	return []slog.Attr{slog.Duration("open_duration", now.Sub(o.began))}
}
