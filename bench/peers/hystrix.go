package peers

import (
	"time"

	"github.com/afex/hystrix-go/hystrix"

	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
)

func hystrixPolicies() []*sim.Policy {
	policy := func(settings, about string, timeout time.Duration, config hystrix.CommandConfig) *sim.Policy {
		return &sim.Policy{
			Library: "afex/hystrix-go", Settings: settings, About: about, Timeout: timeout, Abandons: true,
			New: func(key string, _ func()) sim.Breaker {
				hystrix.ConfigureCommand(key, config)
				return hystrixCommand(key)
			},
		}
	}
	return []*sim.Policy{
		policy(Defaults, "Opens at ≥ 50 % of ≥ 20 calls in 10 s, for 5 s, one probe; gives up on a call after 1 s; at most 10 calls at once.",
			time.Second, hystrix.CommandConfig{}),
		policy(LikeOurs, "The same, but gives up on a call after 10 s; at most 2,000 calls at once.",
			10*time.Second, hystrix.CommandConfig{Timeout: 10_000, MaxConcurrentRequests: 2000}),
	}
}

// hystrixCommand is the name of a circuit: all of them are global.
type hystrixCommand string

func (name hystrixCommand) Allow() func(sim.Answer) {
	admitted := make(chan struct{}, 1)
	answer := make(chan sim.Answer, 1)
	errs := hystrix.Go(string(name), func() error {
		admitted <- struct{}{}
		return verdict(<-answer)
	}, nil)
	select {
	case <-admitted:
	case <-errs:
		return nil
	}
	return func(a sim.Answer) { answer <- a }
}
