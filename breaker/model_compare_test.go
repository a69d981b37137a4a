package breaker_test

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// differs says how the real breaker is not what the model says, or "". Where the model
// knows something only roughly it goes on with what the real one has.
func (m *model) differs(b *breaker.Breaker) string {
	got, want := b.Snapshot(), m.snapshot()
	if got.State != want.State {
		return fmt.Sprintf("%v: %s; want %v", got.State, got.Reason, want.State)
	}
	if s := b.State(); s != got.State {
		return fmt.Sprintf("State() = %v, but Snapshot().State = %v", s, got.State)
	}
	if (got.State == breaker.Open || got.State == breaker.HalfOpen) && got.Reason == "" {
		return fmt.Sprintf("%v without a reason", got.State)
	}
	got.Reason = ""
	if !m.sameUntil(got.Until) {
		return fmt.Sprintf("until %v, want %v", m.clock(got.Until), m.clock(want.Until))
	}
	got.Until = want.Until
	for _, t := range []struct {
		name      string
		got, want time.Time
	}{{"since", got.Since, want.Since}, {"outage since", got.OutageSince, want.OutageSince}} {
		if !t.got.Equal(t.want) {
			return fmt.Sprintf("%s %v, want %v", t.name, m.clock(t.got), m.clock(t.want))
		}
	}
	got.Since, got.OutageSince = want.Since, want.OutageSince
	if most := m.count((*modelCall).goesOn); got.Counts.Answered < 0 || got.Counts.Answered > most {
		return fmt.Sprintf("%d calls that go on count, and there are %d", got.Counts.Answered, most)
	}
	if diff := m.differsInCounts(got.Counts, want.Counts); diff != "" {
		return diff
	}
	got.Counts = want.Counts
	if diff := m.differsInShare(got.Share, want.Share); diff != "" {
		return diff
	}
	got.Share = want.Share
	if m.modeGiven && m.phase == closed && got.Origin == breaker.ByOperator {
		got.Origin = want.Origin // it is the origin of the mode's reason
	}
	if got != want {
		return fmt.Sprintf("\n got %+v\nwant %+v; phase %v", got, want, m.phase)
	}
	return ""
}

func (m *model) snapshot() breaker.Snapshot {
	s := breaker.Snapshot{
		Key: "peer", State: m.effective(), Mode: m.mode, Share: m.share(), Since: m.since, OutageSince: m.outage,
		Until: m.until(), Origin: m.origin, LastFailure: m.lastErr, Fleet: m.fleet, Generation: m.generation,
		Counts: m.counts(), InFlight: m.count((*modelCall).waits), Totals: m.totals,
	}
	if m.mode >= breaker.ForceOpen {
		s.Origin = breaker.ByOperator
	}
	if s.State == breaker.Open {
		s.Totals.OpenTime += time.Since(m.since)
	}
	s.Answered = m.count(func(c *modelCall) bool { return !c.answered.IsZero() })
	s.OutageOpened, s.OutageRejected = m.inOutage()
	return s
}

// sameUntil compares the end of an opening, which may differ by what is rounded.
func (m *model) sameUntil(got time.Time) bool {
	want := m.until()
	if want.IsZero() || got.IsZero() {
		return want.Equal(got)
	}
	if got.Sub(want).Abs() > time.Microsecond {
		return false
	}
	m.opening.until = got
	return true
}

// differsInCounts compares counts. Overdue is a lower bound, and all of them may be in
// the run. For Answered see sees.
func (m *model) differsInCounts(got, want breaker.Counts) string {
	if got.Overdue < 0 || got.Overdue > want.Overdue {
		return fmt.Sprintf("%d calls overdue, and in truth %d", got.Overdue, want.Overdue)
	}
	if extra := got.ConsecutiveFailures - want.ConsecutiveFailures; extra >= 0 && extra <= want.Overdue {
		got.ConsecutiveFailures = want.ConsecutiveFailures
	}
	got.Overdue, got.Answered = want.Overdue, want.Answered
	if got != want {
		return fmt.Sprintf("\n got %+v\nwant %+v; phase %v", got, want, m.phase)
	}
	return ""
}

// differsInShare compares the share let through. In a slow start it is an estimate, as
// nobody knows how many calls there will be.
func (m *model) differsInShare(got, want float64) string {
	rough := m.phase == slowlyStarted && m.mode <= breaker.Observe
	full := float64(m.places()) >= m.slowStart.limit
	switch {
	case !rough && math.Abs(got-want) > 1e-9:
		return fmt.Sprintf("a share of %v is let through, want %v", got, want)
	case rough && (got < 0 || got > 1):
		return fmt.Sprintf("a share of %v", got)
	case rough && got == 1 && m.slowStart.mayGrow && full && m.slowStart.admitted < 50:
		return "all calls are let through, though the last was rejected, and the next will be"
	case rough && got != 1 && !m.slowStart.rejects:
		return fmt.Sprintf("a share of %v is let through, though none was rejected", got)
	}
	return ""
}

// differsInRejection looks at what a rejected caller is told.
func (m *model) differsInRejection(err error) string {
	var got *breaker.OpenError
	if !errors.As(err, &got) || !errors.Is(err, breaker.ErrOpen) {
		return fmt.Sprintf("rejected with a %T", err)
	}
	if got.Reason == "" || got.RetryAfter() < 0 || got.LastFailure() != errorText(got.Last) {
		return fmt.Sprintf("rejected with %+v", got)
	}
	want := breaker.OpenError{
		Key: "peer", State: m.effective(), Mode: m.mode, Origin: m.origin, Reason: got.Reason,
		Since: m.since, OutageSince: m.outage, Until: got.Until, Fleet: m.fleet, Last: got.Last,
	}
	if m.mode == breaker.ForceOpen {
		want.Origin, want.Since = breaker.ByOperator, m.modeSince
	}
	if !m.sameUntil(got.Until) {
		return fmt.Sprintf("until %v, want %v", m.clock(got.Until), m.clock(m.until()))
	}
	if m.phase == open && m.mode <= breaker.Observe && got.LastFailure() != m.opening.lastErr {
		return fmt.Sprintf("last failure %q, want %q", got.LastFailure(), m.opening.lastErr)
	}
	for _, t := range []struct {
		name      string
		got, want *time.Time
	}{{"since", &got.Since, &want.Since}, {"outage since", &got.OutageSince, &want.OutageSince}} {
		if !t.got.Equal(*t.want) {
			return fmt.Sprintf("rejected with %s %v, want %v", t.name, m.clock(*t.got), m.clock(*t.want))
		}
		*t.want = *t.got
	}
	if *got != want {
		return fmt.Sprintf("rejected with\n got %+v\nwant %+v", *got, want)
	}
	return ""
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// differsInTransition compares what observers are told.
func (m *model) differsInTransition(got, want breaker.Transition) string {
	if got.Reason == "" {
		return fmt.Sprintf("a transition to %v without a reason", got.To)
	}
	got.Reason = ""
	if diff := m.differsInCounts(got.Counts, want.Counts); diff != "" {
		return "transition: " + diff
	}
	got.Counts = want.Counts
	for _, t := range []struct{ got, want *time.Time }{
		{&got.Since, &want.Since}, {&got.At, &want.At}, {&got.OutageSince, &want.OutageSince}, {&got.Until, &want.Until},
	} {
		if t.got.Sub(*t.want).Abs() <= time.Microsecond {
			*t.got = *t.want
		}
	}
	roughly := want.To == breaker.HalfOpen && want.Share == 1 // perhaps of a slow start
	if math.Abs(got.Share-want.Share) < 1e-9 || roughly {
		got.Share = want.Share
	}
	if got != want {
		return fmt.Sprintf("transition\n got %+v\nwant %+v", got, want)
	}
	return ""
}

// clock prints a time as it appears to the breaker's life.
func (m *model) clock(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Sub(m.born).String()
}
