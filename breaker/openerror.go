package breaker

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrOpen is what every rejection matches: errors.Is(err, ErrOpen).
var ErrOpen = errors.New("breaker: circuit open")

// OpenError is the error of a rejected call. It says who rejected it, why and
// until when. Nothing was sent to the peer, so the call may safely be made
// elsewhere.
//
// All rejections of one opening share one OpenError: treat it as read-only. It
// is safe for concurrent use.
type OpenError struct {
	// Key is the breaker's key.
	Key string
	// State is Open, HalfOpen when the probes are taken, or Closed when the
	// circuit has just closed and is ramping up.
	State State
	// Mode is the breaker's mode. Under Observe the error goes to
	// Hooks.Rejected only: the call itself is let through.
	Mode Mode
	// Reason is what opened the circuit, such as "12 of 20 calls failed in 10s",
	// or the reason that an operator gave.
	Reason string
	// Since is when the circuit came into this state.
	Since time.Time
	// Until is when it will be tried again at the latest; zero when no time is
	// set, as with ForceOpen or while a probe is out.
	Until time.Time
	// Last is what the last failed call before the opening returned, or nil. It
	// is not in the Unwrap chain: a rejection is not that failure.
	Last error
}

// Error names the key, the reason and the time that remains.
func (e *OpenError) Error() string {
	var s strings.Builder
	s.WriteString("breaker: circuit")
	if e.Key != "" {
		fmt.Fprintf(&s, " %q", e.Key)
	}
	switch {
	case e.Mode == ForceOpen:
		s.WriteString(" is forced open")
	case e.State == Closed:
		s.WriteString(" has just closed")
	default:
		fmt.Fprintf(&s, " is %s", e.State)
	}
	if e.Reason != "" {
		s.WriteString(": ")
		s.WriteString(e.Reason)
	}
	if left := e.RetryAfter(); left > 0 {
		fmt.Fprintf(&s, "; next try in %s", roundDuration(left))
	}
	return s.String()
}

// Is reports whether target is [ErrOpen].
func (e *OpenError) Is(target error) bool { return target == ErrOpen }

// RetryAfter returns what is left now until Until: never negative, and zero when
// no time is set, as while a probe is out. A loop that waits for it should wait
// for a moment even then.
func (e *OpenError) RetryAfter() time.Duration {
	if e.Until.IsZero() {
		return 0
	}
	return max(0, time.Until(e.Until))
}

// roundDuration keeps about three digits, for people to read.
func roundDuration(d time.Duration) time.Duration {
	for _, unit := range []time.Duration{time.Second, time.Millisecond, time.Microsecond} {
		if d >= 100*unit {
			return d.Round(unit)
		}
		if d >= unit {
			return d.Round(unit / 100)
		}
	}
	return d
}
