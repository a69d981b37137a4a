package peers

import (
	"context"
	"time"

	"github.com/cep21/circuit/v4"
	"github.com/cep21/circuit/v4/closers/hystrix"

	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
)

func cep21Policies() []*sim.Policy {
	factory := hystrix.Factory{}
	policy := func(settings, about string, timeout time.Duration, execution circuit.ExecutionConfig) *sim.Policy {
		return &sim.Policy{
			Library: "cep21/circuit", Module: "github.com/cep21/circuit/v4", Settings: settings, About: about, Notifies: true, Timeout: timeout,
			New: func(key string, notify func(sim.Change)) sim.Breaker {
				config := factory.Configure(key)
				config.Execution = execution
				config.Metrics.Circuit = []circuit.Metrics{circuitMetrics(notify)}
				b := circuit.NewCircuitFromConfig(key, config)
				return wrapper(func(work func() error) error {
					ctx, cancel := context.WithCancel(context.Background())
					defer cancel()
					return b.Execute(ctx, func(context.Context) error {
						err := work()
						if err == context.Canceled {
							cancel() // it asks the caller's context, not the error
						}
						return err
					}, nil)
				})
			},
		}
	}
	return []*sim.Policy{
		policy(Defaults, "Its Hystrix opener: ≥ 50 % of ≥ 20 calls in 10 s, for 5 s, one probe; gives up on a call after 1 s; at most 10 calls at once.",
			time.Second, circuit.ExecutionConfig{}),
		policy(LikeOurs, "The same, but without limits on duration and number of calls.",
			0, circuit.ExecutionConfig{Timeout: -1, MaxConcurrentRequests: -1}),
	}
}

// circuitMetrics is told when a circuit opens or closes.
type circuitMetrics func(sim.Change)

func (m circuitMetrics) Closed(context.Context, time.Time) { m(sim.Otherwise) }
func (m circuitMetrics) Opened(context.Context, time.Time) { m(sim.Opened) }
