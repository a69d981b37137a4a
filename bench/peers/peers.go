// Package peers drives circuit breakers of the Go ecosystem, through their
// public API only, behind the simulator's interface.
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

// All returns every policy: none, then the peers.
func All() []*sim.Policy {
	var all []*sim.Policy
	for _, some := range [][]*sim.Policy{
		gobreakerPolicies(), failsafePolicies(), cep21Policies(), mercariPolicies(), eapachePolicies(),
		rubyistPolicies(), handyPolicies(), hystrixPolicies(), aegisPolicies(), goZeroPolicies(),
	} {
		all = append(all, some...)
	}
	return all
}

// Modules are the modules of the libraries.
var Modules = map[string]string{
	"github.com/sony/gobreaker/v2":         "sony/gobreaker",
	"github.com/failsafe-go/failsafe-go":   "failsafe-go",
	"github.com/cep21/circuit/v4":          "cep21/circuit",
	"github.com/mercari/go-circuitbreaker": "mercari/go-circuitbreaker",
	"github.com/eapache/go-resiliency":     "eapache/go-resiliency",
	"github.com/rubyist/circuitbreaker":    "rubyist/circuitbreaker",
	"github.com/streadway/handy":           "streadway/handy",
	"github.com/afex/hystrix-go":           "afex/hystrix-go",
	"github.com/go-kratos/aegis":           "go-kratos/aegis",
	"github.com/zeromicro/go-zero":         "go-zero",
}

// Names of the settings of a policy.
const (
	Defaults = "defaults"
	LikeOurs = "like ours"
)

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

// None lets every call through.
func None() *sim.Policy {
	return &sim.Policy{
		Library: "no breaker", About: "Every call is sent.",
		New: func(string, func(sim.Change)) sim.Breaker { return none{} },
	}
}

type none struct{}

func (none) Allow() func(sim.Answer) { return func(sim.Answer) {} }

// wrapper makes a Breaker of a library that only has a function which wraps a
// call: one goroutine for each call. Virtual time stands still until all of them
// have come to rest, so nothing happens out of turn.
type wrapper func(work func() error) error

func (w wrapper) Allow() func(sim.Answer) {
	admitted := make(chan bool, 1)
	answer := make(chan sim.Answer, 1)
	go func() {
		asked := false
		_ = w(func() error {
			asked = true
			admitted <- true
			return verdict(<-answer)
		})
		if !asked {
			admitted <- false
		}
	}()
	if !<-admitted {
		return nil
	}
	return func(a sim.Answer) { answer <- a }
}
