package main

import (
	"time"

	"github.com/seed-0b728cf8/httpbreaker/bench/peers"
	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

const (
	oursName  = "httpbreaker"
	suited    = "suited" // settings chosen for the scenario, from the manual
	changed   = "changed"
	noBreaker = "no breaker"
)

// suitedTo is how our manual says to set the breaker for a scenario, on top of
// base; ok is false where the defaults are what it says.
func suitedTo(id string, base breaker.Config) (config breaker.Config, retryAfter time.Duration, ok bool) {
	switch id {
	case "S4", "S4b":
		base.SlowCall = time.Second
	case "S7":
		base.Ramp = 30 * time.Second
	case "S9":
		retryAfter = time.Minute
	default:
		return base, 0, false
	}
	return base, retryAfter, true
}

// policiesFor returns those to run in a scenario: ours first. base is what ours
// are built on; the peers are left out if only ours are wanted.
func policiesFor(id string, base breaker.Config, onlyOurs bool) []*sim.Policy {
	settings := peers.Defaults
	if base.String() != (breaker.Config{}).String() {
		settings = changed
	}
	policies := []*sim.Policy{peers.Ours(settings, base, 0)}
	if config, retryAfter, ok := suitedTo(id, base); ok {
		policies = append(policies, peers.Ours(suited, config, retryAfter))
	}
	if onlyOurs {
		return policies
	}
	policies = append(policies, peers.None())
	return append(policies, peers.All()...)
}
