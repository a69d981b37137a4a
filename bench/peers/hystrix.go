package peers

import (
	"time"

	"github.com/afex/hystrix-go/hystrix"

	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
)

// With settings like ours it would do what cep21/circuit does, whose opener is
// the same, and take as much time to run as all others together.
func hystrixPolicies() []*sim.Policy {
	return []*sim.Policy{{
		Library: "afex/hystrix-go", Module: "github.com/afex/hystrix-go", Settings: Defaults, Timeout: time.Second, Abandons: true,
		About: "Opens at ≥ 50 % of ≥ 20 calls in 10 s, for 5 s, one probe; gives up on a call after 1 s; at most 10 calls at once.",
		New: func(key string, _ func(sim.Change)) sim.Breaker { // all circuits are global, by name
			return wrapper(func(work func() error) error { return hystrix.Do(key, work, nil) })
		},
	}}
}
