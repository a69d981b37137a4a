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
			Library: "mercari/go-circuitbreaker", Settings: settings, About: about, Notifies: true,
			New: func(_ string, notify func(sim.Change)) sim.Breaker {
				hook := circuitbreaker.WithOnStateChangeHookFn(func(_, _ circuitbreaker.State) { notify(sim.Otherwise) })
				return mercari{circuitbreaker.New(append([]circuitbreaker.BreakerOption{hook}, options...)...)}
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

type mercari struct{ *circuitbreaker.CircuitBreaker }

func (b mercari) Allow() func(sim.Answer) {
	if !b.Ready() {
		return nil
	}
	return func(a sim.Answer) {
		err := verdict(a)
		if err == context.Canceled {
			err = circuitbreaker.Ignore(err)
		}
		_ = b.Done(context.Background(), err)
	}
}
