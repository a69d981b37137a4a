package breaker

import "time"

// Counts are what the rules of a closed circuit are judged on: the calls of the
// window, those still in flight for too long, and the present run of failures.
// Opening leaves them as they were judged: they only age then, as nothing is
// added while the circuit is open or half-open. Closing clears them.
type Counts struct {
	// Calls ended in the window as Success or Failure.
	Calls int `json:"calls"`
	// Failures are those of them that failed.
	Failures int `json:"failures"`
	// Slow are those of them that took SlowCall or longer.
	Slow int `json:"slow"`
	// Overdue calls are still in flight after SlowCall: at least so many. They are
	// not in Calls.
	Overdue int `json:"overdue"`
	// ConsecutiveFailures have come since the last success, in the window or
	// before it, overdue calls included.
	ConsecutiveFailures int `json:"consecutive_failures"`
	// Answered calls have begun to be answered well, and their end is still to
	// come, as a stream's. They are not in Calls, and count as good in the failure
	// rate until they end.
	Answered int `json:"answered"`
}

// FailureRate is Failures / (Calls + Answered), or 0 without calls.
func (c Counts) FailureRate() float64 { return share(c.Failures, c.Calls+c.Answered) }

// SlowRate is the share of calls that were slow or are overdue, or 0 without
// calls.
func (c Counts) SlowRate() float64 { return share(c.Slow+c.Overdue, c.Calls+c.Overdue) }

func share(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// Snapshot is a breaker at one moment. Its JSON names are stable.
type Snapshot struct {
	Key   string `json:"key"`
	State State  `json:"state"`
	Mode  Mode   `json:"mode"`
	// Share is how much of the calls is let through now: 1 while closed, 0 while
	// open or being probed, something between while a share is rejected or in a
	// slow start.
	Share float64 `json:"share"`
	// Since is when State began.
	Since time.Time `json:"since"`
	// OutageSince is when the rules' circuit left Closed, however often it was
	// probed since. Zero while it is closed.
	OutageSince time.Time `json:"outage_since,omitzero"`
	// OutageOpened is how often the circuit has opened since OutageSince, and
	// OutageRejected how many calls it has rejected since then.
	OutageOpened   uint64 `json:"outage_opened,omitempty"`
	OutageRejected uint64 `json:"outage_rejected,omitempty"`
	// Until is when an open circuit will be tried again: the first call from then
	// on is the probe. It may lie in the past, since a call makes the transition.
	// Zero when no time is set.
	Until time.Time `json:"until,omitzero"`
	// Origin is who moved the circuit into State.
	Origin Origin `json:"origin"`
	// Reason is why the circuit came into State, or the reason given for Mode.
	Reason string `json:"reason,omitempty"`
	// LastFailure is what the last failed call returned, in one short line
	// without URLs, queries and credentials. Empty once the circuit has closed.
	LastFailure string `json:"last_failure,omitempty"`
	// Fleet reports whether other processes hold the circuit open as well.
	Fleet bool `json:"fleet,omitempty"`
	// Generation grows each time that the circuit's state begins to count calls
	// anew. Hold and Retry act on the generation that was looked at.
	Generation uint64 `json:"generation"`
	Counts     Counts `json:"counts"`
	// InFlight calls were let through and have neither been answered nor ended.
	InFlight int `json:"in_flight"`
	// Answered calls were answered and have not ended: their bodies are open.
	Answered int    `json:"answered"`
	Totals   Totals `json:"totals"`
}

// Totals count since the breaker was made, and only ever grow.
type Totals struct {
	// Successes, Failures and Ignored are the calls that ended so in the state
	// in which they were admitted.
	Successes uint64 `json:"successes"`
	Failures  uint64 `json:"failures"`
	Ignored   uint64 `json:"ignored"`
	// Slow are those of them that took SlowCall or longer, whatever came of them.
	Slow uint64 `json:"slow"`
	// Late calls ended after the state in which they were admitted had passed.
	Late uint64 `json:"late"`
	// Rejected calls were not let through; under Observe, would not have been.
	Rejected uint64 `json:"rejected"`
	// Opened is how often the circuit opened.
	Opened uint64 `json:"opened"`
	// OpenTime is how long it has been open altogether, up to now; half-open
	// time is not in it.
	OpenTime time.Duration `json:"open_time_ns"`
}
