package breaker

import (
	"context"
	"time"
)

// Hooks observe a breaker, or all breakers of a [Set]. Any of them may be nil;
// with none set they cost nothing.
//
// No hook is called under a lock: it may call any method. A hook that panics
// neither breaks the breaker nor reaches the caller. StateChanged is called in
// order and never concurrently for one breaker; the others are called on the
// goroutine of the call that they report, concurrently.
type Hooks struct {
	// StateChanged is called after each transition.
	StateChanged func(Transition)
	// Rejected is called for each rejected call with that call's context; under
	// Observe, for each call that would have been rejected.
	Rejected func(context.Context, *OpenError)
	// Done is called when a call has ended, with the context given to Allow.
	// It makes every call read the clock and take a lock.
	Done func(context.Context, Call)
	// Failed is called when a call has ended as a Failure. Successes stay as
	// cheap as they are.
	Failed func(Call)
	// Operated is called after an operator has tripped or reset a circuit or has
	// set a mode, whether or not that changed the state.
	Operated func(Operation)
	// Added is called when a breaker has been made for a key of a Set.
	Added func(key string)
	// Evicted is called when a Set has given up the breaker of this key, to make
	// room or because of Remove.
	Evicted func(key string)
}

// Transition is one change of the state that callers meet: forcing a circuit
// open is one as well. Its JSON names are stable.
type Transition struct {
	Key  string    `json:"key"`
	From State     `json:"from"`
	To   State     `json:"to"`
	At   time.Time `json:"at"`
	Mode Mode      `json:"mode"`
	// Since is when From began.
	Since time.Time `json:"since"`
	// OutageSince is when the circuit left Closed; zero if it was not the rules
	// that moved it, except where it is open besides.
	OutageSince time.Time `json:"outage_since,omitzero"`
	// OutageOpened is how often the circuit has opened since OutageSince, and
	// OutageRejected how many calls it has rejected since then.
	OutageOpened   uint64 `json:"outage_opened"`
	OutageRejected uint64 `json:"outage_rejected"`
	// Until is when an open circuit will be tried again: the first call from then
	// on is the probe. It is zero when no time is set.
	Until  time.Time `json:"until,omitzero"`
	Origin Origin    `json:"origin"`
	Reason string    `json:"reason"`
	// LastFailure is what the last failed call returned, as in Snapshot.
	LastFailure string  `json:"last_failure,omitempty"`
	Counts      Counts  `json:"counts"`   // of the window that was judged
	Rejected    uint64  `json:"rejected"` // how many calls were rejected in From
	Share       float64 `json:"share"`    // of the calls, that is let through in To
	Fleet       bool    `json:"fleet,omitempty"`
	Generation  uint64  `json:"generation"`
}

// Operation is an act of an operator. Its JSON names are stable.
type Operation struct {
	Key    string    `json:"key"` // "" for Set.SetMode: all circuits
	At     time.Time `json:"at"`
	Act    Act       `json:"act"`
	Mode   Mode      `json:"mode"` // after the act
	Reason string    `json:"reason"`
}

// Act is what an operator can do.
type Act string

const (
	ActMode  Act = "mode"  // SetMode
	ActTrip  Act = "trip"  // Breaker.Trip
	ActReset Act = "reset" // Breaker.Reset
)

// Call is one finished call.
type Call struct {
	Key      string
	Outcome  Outcome
	Err      error         // what Permit.Fail or Do was given; nil unless Outcome is Failure
	Began    time.Time     // when Allow was called; zero for Hooks.Failed
	Duration time.Duration // from Allow, or from Sending's end, to Answered or to Done; 0 if the call was not timed
	Slow     bool          // took Config.SlowCall or longer
	Probe    bool          // was let through to test the peer
	Late     bool          // ended after the generation in which it was admitted had passed, and moved nothing
}
