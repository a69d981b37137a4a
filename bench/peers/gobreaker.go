package peers

import (
	"context"
	"errors"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
)

func gobreakerPolicies() []*sim.Policy {
	policy := func(settings, about string, st gobreaker.Settings) *sim.Policy {
		return &sim.Policy{
			Library: "sony/gobreaker", Settings: settings, About: about, Notifies: true,
			New: func(key string, notify func(sim.Change)) sim.Breaker {
				st := st
				st.Name = key
				st.OnStateChange = func(string, gobreaker.State, gobreaker.State) { notify(sim.Otherwise) }
				return twoStepGobreaker{gobreaker.NewTwoStepCircuitBreaker[any](st)}
			},
		}
	}
	return []*sim.Policy{
		policy(Defaults, "Opens after 6 failures in a row, for 60 s, one probe.", gobreaker.Settings{}),
		policy(LikeOurs, "Opens at ≥ 50 % of ≥ 20 calls in a rolling 10 s, for 5 s, one probe; cancelled calls excluded.", gobreaker.Settings{
			Interval:     10 * time.Second,
			BucketPeriod: time.Second,
			Timeout:      5 * time.Second,
			ReadyToTrip: func(c gobreaker.Counts) bool {
				return c.Requests >= 20 && 2*c.TotalFailures >= c.Requests
			},
			IsExcluded: func(err error) bool { return errors.Is(err, context.Canceled) },
		}),
	}
}

type twoStepGobreaker struct {
	*gobreaker.TwoStepCircuitBreaker[any]
}

func (b twoStepGobreaker) Allow() func(sim.Answer) {
	done, err := b.TwoStepCircuitBreaker.Allow()
	if err != nil {
		return nil
	}
	return func(a sim.Answer) { done(verdict(a)) }
}
