package peers

import (
	"context"
	"time"

	"github.com/go-kratos/aegis/circuitbreaker/sre"

	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
)

func aegisPolicies() []*sim.Policy {
	policy := func(settings, about string, options ...sre.Option) *sim.Policy {
		return &sim.Policy{
			Library: "go-kratos/aegis", Module: "github.com/go-kratos/aegis", Settings: settings, About: about,
			New: func(string, func(sim.Change)) sim.Breaker {
				b := sre.NewBreaker(options...)
				return steps[nothing]{
					allow: func() (nothing, bool) {
						err := b.Allow()
						if err != nil {
							b.MarkFailed() // as its own interceptors do
						}
						return nothing{}, err == nil
					},
					done: func(_ nothing, a sim.Answer) {
						switch verdict(a) {
						case nil:
							b.MarkSuccess()
						case context.Canceled:
						default:
							b.MarkFailed()
						}
					},
				}
			},
		}
	}
	return []*sim.Policy{
		policy(Defaults, "Adaptive: rejects a growing share once fewer than 60 % of ≥ 100 calls in 3 s succeed."),
		policy(LikeOurs, "Adaptive: rejects a growing share once fewer than 50 % of ≥ 20 calls in 10 s succeed.",
			sre.WithSuccess(0.5), sre.WithRequest(20), sre.WithWindow(10*time.Second)),
	}
}
