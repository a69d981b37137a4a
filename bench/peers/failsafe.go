package peers

import (
	"context"
	"errors"
	"time"

	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
	"github.com/failsafe-go/failsafe-go/adaptivethrottler"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
)

const failsafeModule = "github.com/failsafe-go/failsafe-go"

// failed leaves the caller's own cancellation out.
func failed(_ any, err error) bool { return err != nil && !errors.Is(err, context.Canceled) }

// recorder is what its policies that judge failures have in common.
type recorder interface {
	TryAcquirePermit() bool
	RecordError(error)
	RecordSuccess()
}

func recorded(r recorder) sim.Breaker {
	return steps[nothing]{
		allow: func() (nothing, bool) { return nothing{}, r.TryAcquirePermit() },
		done: func(_ nothing, a sim.Answer) {
			if err := verdict(a); err != nil {
				r.RecordError(err)
			} else {
				r.RecordSuccess()
			}
		},
	}
}

func failsafePolicies() []*sim.Policy {
	type builder = circuitbreaker.Builder[any]
	policy := func(settings, about string, configure func(builder) builder) *sim.Policy {
		return &sim.Policy{
			Library: "failsafe-go", Module: failsafeModule, Settings: settings, About: about, Notifies: true,
			New: func(_ string, notify func(sim.Change)) sim.Breaker {
				b := circuitbreaker.NewBuilder[any]().OnStateChanged(func(e circuitbreaker.StateChangedEvent) {
					notify(change(e.OldState, e.NewState, circuitbreaker.ClosedState, circuitbreaker.OpenState))
				})
				return recorded(configure(b).Build())
			},
		}
	}
	return []*sim.Policy{
		policy(Defaults, "Opens at the first failure, for 60 s, one probe.", func(b builder) builder { return b }),
		policy(LikeOurs, "Opens at ≥ 50 % of ≥ 20 calls in 10 s, for 5 s ± 20 %, one probe; cancelled calls are successes.", func(b builder) builder {
			return b.HandleIf(failed).WithFailureRateThreshold(0.5, 20, 10*time.Second).WithSuccessThreshold(1).
				WithDelay(5 * time.Second).WithJitterFactor(0.2)
		}),
	}
}

func throttlerPolicies() []*sim.Policy {
	type throttler = adaptivethrottler.AdaptiveThrottler[any]
	policy := func(settings, about string, build func() throttler) *sim.Policy {
		return &sim.Policy{
			Library: "failsafe-go throttler", Module: failsafeModule, Settings: settings, About: about,
			New: func(string, func(sim.Change)) sim.Breaker { return recorded(build()) },
		}
	}
	return []*sim.Policy{
		policy(Defaults, "Adaptive: rejects a growing share, at most 90 %, once fewer than 90 % of the calls in a minute succeed.",
			adaptivethrottler.NewWithDefaults[any]),
		policy(LikeOurs, "The same once fewer than 50 % of ≥ 20 calls in 10 s succeed; cancelled calls are successes.", func() throttler {
			return adaptivethrottler.NewBuilder[any]().HandleIf(failed).WithFailureRateThreshold(0.5, 20, 10*time.Second).Build()
		}),
	}
}

// A limiter judges no failures, so nothing of it can be set like ours.
func limiterPolicies() []*sim.Policy {
	return []*sim.Policy{{
		Library: "failsafe-go limiter", Module: failsafeModule, Settings: Defaults,
		About: "Adaptive: limits the calls in flight, 20 at first, 1 to 200 as latency falls and rises; does not look at failures.",
		New: func(string, func(sim.Change)) sim.Breaker {
			return steps[adaptivelimiter.Permit]{
				allow: adaptivelimiter.NewWithDefaults[any]().TryAcquirePermit,
				done: func(permit adaptivelimiter.Permit, a sim.Answer) {
					if a.Fate == sim.Cancelled || a.Fate == sim.TimedOut { // as its executor does when the context is done
						permit.Drop()
					} else {
						permit.Record()
					}
				},
			}
		},
	}}
}
