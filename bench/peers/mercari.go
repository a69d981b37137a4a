package peers

import (
	"context"
	"time"

	"github.com/mercari/go-circuitbreaker"

	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
)

func mercariPolicies() []*sim.Policy {
	policy := func(settings, about string, options ...circuitbreaker.BreakerOption) *sim.Policy {
		return &sim.Policy{
			Library: "mercari/go-circuitbreaker", Module: "github.com/mercari/go-circuitbreaker", Settings: settings, About: about, Notifies: true,
			New: func(_ string, notify func(sim.Change)) sim.Breaker {
				hook := circuitbreaker.WithOnStateChangeHookFn(func(from, to circuitbreaker.State) {
					notify(change(from, to, circuitbreaker.StateClosed, circuitbreaker.StateOpen))
				})
				b, ctx := circuitbreaker.New(append([]circuitbreaker.BreakerOption{hook}, options...)...), context.Background()
				return steps[nothing]{
					allow: func() (nothing, bool) { return nothing{}, b.Ready() },
					done: func(_ nothing, a sim.Answer) {
						err := verdict(a)
						if err == context.Canceled {
							err = circuitbreaker.Ignore(err)
						}
						_ = b.Done(ctx, err)
					},
				}
			},
		}
	}
	return []*sim.Policy{
		policy(Defaults, "Opens at 10 failures in a second, with exponential backoff, closes after 4 successes; half-open lets everything through."),
		policy(LikeOurs, "Opens at ≥ 50 % of ≥ 20 calls in a fixed window of 10 s, for 5 s, closes after one success; half-open lets everything through.",
			circuitbreaker.WithTripFunc(circuitbreaker.NewTripFuncFailureRate(20, 0.5)),
			circuitbreaker.WithCounterResetInterval(10*time.Second),
			circuitbreaker.WithOpenTimeout(5*time.Second),
			circuitbreaker.WithHalfOpenMaxSuccesses(1)),
	}
}
