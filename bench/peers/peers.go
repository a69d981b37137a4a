// Package peers drives circuit breakers of the Go ecosystem, through their
// public API only, behind the simulator's interface. Each library is adapted
// once, for runs of the simulator and for loops that measure its speed.
//
// A library comes in two settings: its defaults, or what its documentation shows
// first where it has none; and "like ours", as near as it can come to opening at
// 50 % of at least 20 calls in 10 s, for 5 s, with one probe. A call that failed
// is reported as a person who wraps an http.RoundTripper would report it: an
// error or a 5xx is a failure, a 429 and a 200 whose body breaks off later are
// successes. A caller's own cancellation is excluded, or a success, where the library offers a
// way, and a failure where it does not.
package peers

import (
	"context"
	"errors"

	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
)

// All returns every policy of the peers.
func All() []*sim.Policy {
	var all []*sim.Policy
	for _, some := range [][]*sim.Policy{
		gobreakerPolicies(), failsafePolicies(), throttlerPolicies(), limiterPolicies(), cep21Policies(), mercariPolicies(),
		eapachePolicies(), rubyistPolicies(), handyPolicies(), hystrixPolicies(), aegisPolicies(), goZeroPolicies(), semianPolicies(),
	} {
		all = append(all, some...)
	}
	return all
}

// Names of the settings of a policy.
const (
	Defaults = "defaults"
	LikeOurs = "like ours"
)

// Circuit is one circuit of a policy. What the policies' New makes are Circuits.
type Circuit interface {
	sim.Breaker
	// Calls makes n calls, one after the other, each with that answer, and
	// returns how many were let through. It allocates nothing that the library
	// does not.
	Calls(n int, a sim.Answer) (admitted int)
}

// steps is a circuit of a library that is asked first and told later what came
// of the call. A T is what it wants to have back.
type steps[T any] struct {
	allow func() (T, bool)
	done  func(T, sim.Answer)
}

func (s steps[T]) Allow() func(sim.Answer) {
	ticket, ok := s.allow()
	if !ok {
		return nil
	}
	return func(a sim.Answer) { s.done(ticket, a) }
}

func (s steps[T]) Calls(n int, a sim.Answer) (admitted int) {
	for range n {
		if ticket, ok := s.allow(); ok {
			s.done(ticket, a)
			admitted++
		}
	}
	return admitted
}

// nothing is the ticket of a library that wants none.
type nothing = struct{}

// wrapper is a circuit of a library that only has a function which wraps a call.
// In the simulator each call is a goroutine. Virtual time stands still until all
// of them have come to rest, so nothing happens out of turn.
type wrapper func(work func() error) error

func (w wrapper) Allow() func(sim.Answer) {
	admitted := make(chan bool, 1)
	answer := make(chan sim.Answer, 1)
	go func() {
		_ = w(func() error {
			admitted <- true
			return verdict(<-answer)
		})
		select {
		case admitted <- false: // of no consequence after true
		default:
		}
	}()
	if !<-admitted {
		return nil
	}
	return func(a sim.Answer) { answer <- a }
}

func (w wrapper) Calls(n int, a sim.Answer) (admitted int) {
	work := func() error {
		admitted++
		return verdict(a)
	}
	for range n {
		_ = w(work)
	}
	return admitted
}

var errFailed = errors.New("the call failed")

// verdict is what a RoundTripper sees of an answer: its header or an error.
func verdict(a sim.Answer) error {
	switch a.Fate {
	case sim.OK, sim.Throttled, sim.BodyFailed:
		return nil
	case sim.Cancelled:
		return context.Canceled
	default:
		return errFailed
	}
}

// change is what a change between two of a library's states is.
func change[S comparable](from, to, closed, open S) sim.Change {
	switch {
	case from == closed:
		return sim.Opened
	case from == open && to != closed:
		return sim.Probed
	}
	return sim.Otherwise
}

// None lets every call through.
func None() *sim.Policy {
	return &sim.Policy{
		Library: "no breaker", About: "Every call is sent.",
		New: func(string, func(sim.Change)) sim.Breaker {
			return steps[nothing]{
				allow: func() (nothing, bool) { return nothing{}, true },
				done:  func(nothing, sim.Answer) {},
			}
		},
	}
}
