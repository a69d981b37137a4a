package peers

import (
	"github.com/streadway/handy/breaker"

	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
)

func handyPolicies() []*sim.Policy {
	policy := func(settings, about string, ratio float64) *sim.Policy {
		return &sim.Policy{
			Library: "streadway/handy", Module: "github.com/streadway/handy", Settings: settings, About: about,
			New: func(string, func(sim.Change)) sim.Breaker {
				b := breaker.NewBreaker(ratio)
				return steps[nothing]{
					allow: func() (nothing, bool) { return nothing{}, b.Allow() },
					done: func(_ nothing, a sim.Answer) {
						if verdict(a) != nil {
							b.Failure(a.After)
						} else {
							b.Success(a.After)
						}
					},
				}
			},
		}
	}
	return []*sim.Policy{
		policy(Defaults, "As its tests show it: opens above 5 % of more than 10 calls in 5 s, for 1 s, one probe.", 0.05),
		policy(LikeOurs, "Opens above 50 % of more than 10 calls in 5 s, for 1 s, one probe: only the share can be set.", 0.5),
	}
}
