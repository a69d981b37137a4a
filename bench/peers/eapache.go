package peers

import (
	"time"

	"github.com/eapache/go-resiliency/breaker"

	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
)

func eapachePolicies() []*sim.Policy {
	policy := func(settings, about string, failures, successes int, open time.Duration) *sim.Policy {
		return &sim.Policy{
			Library: "eapache/go-resiliency", Module: "github.com/eapache/go-resiliency", Settings: settings, About: about,
			New: func(string, func(sim.Change)) sim.Breaker {
				return wrapper(breaker.New(failures, successes, open).Run)
			},
		}
	}
	return []*sim.Policy{
		policy(Defaults, "As its manual shows it: opens after 3 failures no two of which are 5 s apart, for 5 s; half-open lets everything through.", 3, 1, 5*time.Second),
		policy(LikeOurs, "It has no rate: opens after 20 failures no two of which are 5 s apart, for 5 s; half-open lets everything through.", 20, 1, 5*time.Second),
	}
}
