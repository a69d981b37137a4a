package breaker

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrOpen is what every rejection matches: errors.Is(err, ErrOpen).
var ErrOpen = errors.New("breaker: circuit open")

// OpenError is the error of a rejected call. It says who rejected it, since when, why,
// what the peer said last and what comes next. Nothing was sent to the peer, so the
// call may safely be made elsewhere.
//
// All rejections of one opening share one OpenError: treat it as read-only. It
// is safe for concurrent use.
type OpenError struct {
	// Key is the breaker's key.
	Key string
	// State is Open, or HalfOpen when some calls are let through and this one was
	// not.
	State State
	// Mode is the breaker's mode. Under Observe the error goes to
	// Hooks.Rejected only: the call itself is let through.
	Mode Mode
	// Origin is who moved the circuit into State.
	Origin Origin
	// Reason is why, such as "12 calls in a row failed over 1.2s", or the reason
	// that an operator gave.
	Reason string
	// Since is when the circuit came into State; under ForceOpen, when that was set.
	Since time.Time
	// OutageSince is when it left Closed, however often it was probed since. Zero
	// if the rules' circuit is closed.
	OutageSince time.Time
	// Until is when it will be tried again: the first call from then on is the
	// probe. Zero when no time is set, as with ForceOpen or while a probe is out.
	Until time.Time
	// Fleet reports whether other processes hold the circuit open as well.
	Fleet bool
	// Last is what the last failed call before the opening returned, or nil. It
	// is not in the Unwrap chain: a rejection is not that failure.
	Last error
}

// Error names the key, the time that the outage has lasted, the reason, the peer's
// last failure and the time until the next try.
func (e *OpenError) Error() string {
	var s strings.Builder
	s.WriteString("breaker: circuit")
	if e.Key != "" {
		fmt.Fprintf(&s, " %q", e.Key)
	}
	if e.Mode == ForceOpen {
		s.WriteString(" is forced open")
	} else {
		fmt.Fprintf(&s, " is %s", e.State)
	}
	since := e.OutageSince
	if since.IsZero() || e.Mode == ForceOpen {
		since = e.Since
	}
	if d := time.Since(since); !since.IsZero() && d >= time.Millisecond {
		fmt.Fprintf(&s, " for %s", roundDuration(d))
	}
	if e.Reason != "" {
		s.WriteString(": ")
		s.WriteString(misread.Replace(e.Reason))
	}
	if last := e.LastFailure(); last != "" && !strings.Contains(e.Reason, last) {
		fmt.Fprintf(&s, "; last failure: %s", misread.Replace(last))
	}
	if left := e.RetryAfter(); left > 0 {
		fmt.Fprintf(&s, "; next try in %s", roundDuration(left))
	} else if e.Mode == ForceOpen {
		s.WriteString("; until it is set back")
	}
	return s.String()
}

// misread changes the phrases for which clients search the texts of errors, to try
// again or to replace the error: a rejection is none of these failures.
var misread = strings.NewReplacer(
	"connection refused", "connection-refused",
	"connection reset", "connection-reset",
	"closed network connection", "closed-network connection",
	"client connection lost", "client-connection lost",
	"broken pipe", "broken-pipe",
	"dial unix", "dial-unix",
	"EOF", "end of file",
	"i/o timeout", "i/o-timeout",
	"TLS handshake timeout", "TLS-handshake timeout",
)

// LastFailure is Last in one short line without URLs, queries and credentials, or "".
func (e *OpenError) LastFailure() string {
	if e.Last == nil {
		return ""
	}
	return describe(e.Last)
}

// RetryableError returns false: a call that is made again at once is rejected
// again. The AWS SDK asks for it.
func (*OpenError) RetryableError() bool { return false }

// NonRetriable marks the error for the Azure SDK.
func (*OpenError) NonRetriable() {}

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
