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
			Library: "sony/gobreaker", Module: "github.com/sony/gobreaker/v2", Settings: settings, About: about, Notifies: true,
			New: func(key string, notify func(sim.Change)) sim.Breaker {
				st := st
				st.Name = key
				st.OnStateChange = func(_ string, from, to gobreaker.State) {
					notify(change(from, to, gobreaker.StateClosed, gobreaker.StateOpen))
				}
				b := gobreaker.NewTwoStepCircuitBreaker[any](st)
				return steps[func(error)]{
					allow: func() (func(error), bool) {
						done, err := b.Allow()
						return done, err == nil
					},
					done: func(done func(error), a sim.Answer) { done(verdict(a)) },
				}
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
