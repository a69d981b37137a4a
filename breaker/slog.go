package breaker

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// LogHooks returns hooks that tell logger what happens to circuits. A nil logger
// is slog.Default() at the time of each record.
//
// An outage lasts from when a circuit leaves Closed until it is closed again. It
// has these records:
//
//	Warn   circuit opened; circuit opened until it is set back; circuit rejects a share of the calls
//	Info   circuit still open, circuit still half-open: at most one for each minute of it
//	Info   circuit closed
//	Debug  circuit open, circuit half-open: each other change of its state
//
// An hour is at most 62 records above Debug. There is none for a rejected call.
// In a flood, when many circuits change at once, 100 records above Debug are
// written at once and then one a second; the next one has the attribute left_out,
// how many were not written before it.
//
// All of them have the attributes key, from, to, origin, reason, since (when the
// circuit left Closed), openings and rejected (since then). Where it says something there
// are mode (if it is not Enforce: under Observe all this is what would have been),
// last_failure (what the peer said last), next_try (when the open circuit is tried
// again), share (of the calls that a half-open circuit lets through) and duration
// (from since to now). The first record has the group counts, too: what the rules
// were judged on.
//
// What operators do is one record each, with the attributes key, mode and reason,
// which says who it was: circuit mode set, circuit tripped and circuit reset at
// Info, and mode of all circuits set at Warn.
//
// The hooks keep nothing about a circuit. They are safe for concurrent use, by any
// number of breakers and sets. The call that caused a transition waits for its
// record.
func LogHooks(logger *slog.Logger) Hooks {
	l := &transitionLog{logger: logger, tokens: logBurst}
	return Hooks{StateChanged: l.stateChanged, Operated: l.operated}
}

const (
	logBurst  = 100         // records at once
	logPeriod = time.Second // for each record after that
	logAgain  = time.Minute // between the records of an outage that lasts
)

type transitionLog struct {
	logger *slog.Logger // nil: slog.Default()

	mu      sync.Mutex
	tokens  float64   // how many records may be written now
	asked   time.Time // when tokens was right
	leftOut uint64    // records since the last that was written
}

func (l *transitionLog) stateChanged(t Transition) {
	logger := l.to()
	level, msg := recordOf(t)
	if !logger.Enabled(context.Background(), level) {
		return
	}
	attrs := attrsOf(t)
	if level > slog.LevelDebug {
		leftOut, ok := l.take()
		if !ok {
			return
		}
		if leftOut > 0 {
			attrs = append(attrs, slog.Uint64("left_out", leftOut))
		}
	}
	logger.LogAttrs(context.Background(), level, msg, attrs...)
}

// recordOf returns the level and the message for a transition.
func recordOf(t Transition) (slog.Level, string) {
	began := t.From == Closed
	switch {
	case t.To == Closed:
		return slog.LevelInfo, "circuit closed"
	case began && t.To == HalfOpen:
		return slog.LevelWarn, "circuit rejects a share of the calls"
	case began && t.Until.IsZero():
		return slog.LevelWarn, "circuit opened until it is set back"
	case began:
		return slog.LevelWarn, "circuit opened"
	case minutes(t, t.At) > minutes(t, t.Since):
		return slog.LevelInfo, "circuit still " + t.To.String()
	default:
		return slog.LevelDebug, "circuit " + t.To.String()
	}
}

// minutes returns how many minutes of t's outage were over at a time.
func minutes(t Transition, at time.Time) time.Duration {
	return at.Sub(t.OutageSince) / logAgain
}

func attrsOf(t Transition) []slog.Attr {
	attrs := []slog.Attr{
		slog.String("key", t.Key),
		slog.String("from", t.From.String()),
		slog.String("to", t.To.String()),
		slog.String("origin", t.Origin.String()),
		slog.String("reason", t.Reason),
	}
	add := func(a ...slog.Attr) { attrs = append(attrs, a...) }
	if t.Mode != Enforce {
		add(slog.String("mode", t.Mode.String()))
	}
	if t.LastFailure != "" {
		add(slog.String("last_failure", t.LastFailure))
	}
	if t.From == Closed {
		add(slog.Group("counts",
			"calls", t.Counts.Calls,
			"failures", t.Counts.Failures,
			"slow", t.Counts.Slow,
			"overdue", t.Counts.Overdue,
			"consecutive_failures", t.Counts.ConsecutiveFailures))
	}
	if !t.Until.IsZero() {
		add(slog.Time("next_try", t.Until))
	}
	if t.To == HalfOpen {
		add(slog.Float64("share", t.Share))
	}
	since, rejected := t.OutageSince, t.OutageRejected
	switch {
	case !since.IsZero():
	case t.From == Closed: // the mode alone has opened it
		since = t.At
	default:
		since, rejected = t.Since, t.Rejected
	}
	add(slog.Time("since", since))
	if d := t.At.Sub(since); d > 0 {
		add(slog.Duration("duration", d.Round(time.Millisecond)))
	}
	if t.OutageOpened > 0 {
		add(slog.Uint64("openings", t.OutageOpened))
	}
	add(slog.Uint64("rejected", rejected))
	return attrs
}

func (l *transitionLog) operated(o Operation) {
	attrs := []slog.Attr{slog.String("key", o.Key), slog.String("mode", o.Mode.String()), slog.String("reason", o.Reason)}
	level, msg := slog.LevelInfo, ""
	switch {
	case o.Act == ActMode && o.Key == "":
		level, msg, attrs = slog.LevelWarn, "mode of all circuits set", attrs[1:]
	case o.Act == ActMode:
		msg = "circuit mode set"
	case o.Act == ActTrip:
		msg = "circuit tripped"
	default:
		msg = "circuit " + string(o.Act)
	}
	l.to().LogAttrs(context.Background(), level, msg, attrs...)
}

func (l *transitionLog) to() *slog.Logger {
	if l.logger == nil {
		return slog.Default()
	}
	return l.logger
}

// take reports whether one more record may be written now, and how many were
// left out before it.
func (l *transitionLog) take() (leftOut uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if !l.asked.IsZero() {
		l.tokens = min(logBurst, l.tokens+float64(max(0, now.Sub(l.asked)))/float64(logPeriod))
	}
	l.asked = now
	if l.tokens < 1 {
		l.leftOut++
		return 0, false
	}
	l.tokens--
	leftOut, l.leftOut = l.leftOut, 0
	return leftOut, true
}
