package peers

import (
	"github.com/streadway/handy/breaker"

	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
)

func handyPolicies() []*sim.Policy {
	policy := func(settings, about string, ratio float64) *sim.Policy {
		return &sim.Policy{
			Library: "streadway/handy", Settings: settings, About: about,
			New: func(string, func(sim.Change)) sim.Breaker { return handy{breaker.NewBreaker(ratio)} },
		}
	}
	return []*sim.Policy{
		policy(Defaults, "As its tests show it: opens above 5 % of more than 10 calls in 5 s, for 1 s, one probe.", 0.05),
		policy(LikeOurs, "Opens above 50 % of more than 10 calls in 5 s, for 1 s, one probe: only the share can be set.", 0.5),
	}
}

type handy struct{ breaker.Breaker }

func (b handy) Allow() func(sim.Answer) {
	if !b.Breaker.Allow() {
		return nil
	}
	return func(a sim.Answer) {
		if verdict(a) != nil {
			b.Failure(a.After)
		} else {
			b.Success(a.After)
		}
	}
}
