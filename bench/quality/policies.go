package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/bench/peers"
	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

const (
	ours      = "httpbreaker" // with nothing set
	noBreaker = "no breaker"
)

// plain is the circuit breaker of the textbooks.
var plain = breaker.Config{
	FailureRate: 0.5, ShedRate: -1, ConsecutiveFailures: -1, IndependentFailures: -1, Chance: -1, HangAfter: -1,
	OpenFor: 5 * time.Second, MaxOpenFor: 5 * time.Second, Jitter: -1, ProbeShare: -1, SlowStart: -1,
}

// policiesFor returns all that run in a scenario: ours first, built on config.
func policiesFor(s *sim.Scenario, config breaker.Config) []*sim.Policy {
	policies := []*sim.Policy{peers.Ours("", config, 0)}
	if s.ID == "S9" {
		policies = append(policies, withRetryAfter(config))
	}
	policies = append(policies, peers.Ours("plain", plain, 0), peers.None())
	return append(policies, peers.All()...)
}

// allPolicies are those of all scenarios.
func allPolicies(config breaker.Config) []*sim.Policy {
	return slices.Insert(policiesFor(new(sim.Scenario), config), 1, withRetryAfter(config))
}

// withRetryAfter is ours for hosts that throttle.
func withRetryAfter(config breaker.Config) *sim.Policy {
	return peers.Ours("RetryAfter", config, time.Minute)
}

// chosen reports whether p is one of those named, separated by commas: ours, peers,
// or a part of a name. An empty list names all.
func chosen(p *sim.Policy, list string) bool {
	for want := range strings.SplitSeq(list, ",") {
		isOurs := p.Library == ours
		switch {
		case want == "", want == "ours" && p.Name() == ours, want == "peers" && !isOurs && p.Library != noBreaker,
			want != "ours" && want != "peers" && strings.Contains(p.Name(), want):
			return true
		}
	}
	return false
}

// checkList returns an error if a name in the list is nobody's.
func checkList(list string) error {
	for want := range strings.SplitSeq(list, ",") {
		found := false
		for _, p := range allPolicies(breaker.Config{}) {
			found = found || chosen(p, want)
		}
		if !found {
			return fmt.Errorf("-policies: %q is no policy; want ours, peers or a part of a name", want)
		}
	}
	return nil
}
