package peers

import (
	"context"

	circuit "github.com/rubyist/circuitbreaker"

	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
)

func rubyistPolicies() []*sim.Policy {
	policy := func(settings, about string, make func() *circuit.Breaker) *sim.Policy {
		return &sim.Policy{
			Library: "rubyist/circuitbreaker", Module: "github.com/rubyist/circuitbreaker", Settings: settings, About: about,
			New: func(string, func(sim.Change)) sim.Breaker {
				b := make()
				return steps[nothing]{
					allow: func() (nothing, bool) { return nothing{}, b.Ready() },
					done: func(_ nothing, a sim.Answer) {
						switch verdict(a) {
						case nil:
							b.Success()
						case context.Canceled: // as its CallContext does
						default:
							b.Fail()
						}
					},
				}
			},
		}
	}
	return []*sim.Policy{
		policy(Defaults, "As its manual shows it: opens at 10 failures in 10 s, with exponential backoff, one probe.", func() *circuit.Breaker {
			return circuit.NewThresholdBreaker(10)
		}),
		policy(LikeOurs, "Opens at ≥ 50 % of ≥ 20 calls in 10 s, with exponential backoff, one probe.", func() *circuit.Breaker {
			return circuit.NewRateBreaker(0.5, 20)
		}),
	}
}
