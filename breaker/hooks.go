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
	// Evicted is called when a Set has given up the breaker of this key, to make
	// room or because of Remove.
	Evicted func(key string)
}

// Transition is one change of the state that callers meet: forcing a circuit
// open is one as well.
type Transition struct {
	Key      string    `json:"key"`
	From     State     `json:"from"`
	To       State     `json:"to"`
	At       time.Time `json:"at"`
	Until    time.Time `json:"until,omitzero"` // when an open circuit will be tried again at the latest; zero when no time is set
	Reason   string    `json:"reason"`
	Counts   Counts    `json:"counts"`   // of the window that was judged
	Rejected uint64    `json:"rejected"` // how many calls were rejected in From
}

// Call is one finished call.
type Call struct {
	Key      string
	Outcome  Outcome
	Duration time.Duration // from Allow to Answered or, without it, to Done
	Slow     bool          // took Config.SlowCall or longer
	Probe    bool          // was let through to test a half-open circuit
	Late     bool          // ended after the state in which it was admitted had passed, and moved nothing
}
