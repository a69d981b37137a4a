package peers

import (
	"context"
	"errors"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
)

func failsafePolicies() []*sim.Policy {
	type builder = circuitbreaker.Builder[any]
	policy := func(settings, about string, configure func(builder) builder) *sim.Policy {
		return &sim.Policy{
			Library: "failsafe-go", Settings: settings, About: about, Notifies: true,
			New: func(_ string, notify func(sim.Change)) sim.Breaker {
				b := circuitbreaker.NewBuilder[any]().OnStateChanged(func(circuitbreaker.StateChangedEvent) { notify(sim.Otherwise) })
				return failsafe{configure(b).Build()}
			},
		}
	}
	return []*sim.Policy{
		policy(Defaults, "Opens at the first failure, for 60 s, one probe.", func(b builder) builder { return b }),
		policy(LikeOurs, "Opens at ≥ 50 % of ≥ 20 calls in 10 s, for 5 s ± 20 %, one probe; cancelled calls are successes.", func(b builder) builder {
			ours := func(_ any, err error) bool { return err != nil && !errors.Is(err, context.Canceled) }
			return b.HandleIf(ours).WithFailureRateThreshold(0.5, 20, 10*time.Second).WithSuccessThreshold(1).
				WithDelay(5 * time.Second).WithJitterFactor(0.2)
		}),
	}
}

type failsafe struct {
	circuitbreaker.CircuitBreaker[any]
}

func (b failsafe) Allow() func(sim.Answer) {
	if !b.TryAcquirePermit() {
		return nil
	}
	return func(a sim.Answer) {
		if err := verdict(a); err != nil {
			b.RecordError(err)
		} else {
			b.RecordSuccess()
		}
	}
}
