package peers

import (
	"context"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// Ours is this project's breaker. It judges answers as httpbreaker.Transport
// does; retryAfter is what httpbreaker.Config.RetryAfter is.
func Ours(settings string, config breaker.Config, retryAfter time.Duration) *sim.Policy {
	about := config.String()
	if retryAfter > 0 {
		about += "; a Retry-After opens it for that long, at most " + retryAfter.String()
	}
	return &sim.Policy{
		Library: "httpbreaker", Settings: settings, About: about, Notifies: true,
		New: func(key string, notify func(sim.Change)) sim.Breaker {
			hooks := breaker.Hooks{StateChanged: func(t breaker.Transition) {
				switch {
				case t.From == breaker.Closed:
					notify(sim.Opened)
				case t.From == breaker.Open && t.To == breaker.HalfOpen:
					notify(sim.Probed)
				default:
					notify(sim.Otherwise)
				}
			}}
			return &ours{breaker.New(key, config, hooks), retryAfter}
		},
	}
}

type ours struct {
	*breaker.Breaker
	retryAfter time.Duration
}

func (b *ours) Allow() func(sim.Answer) {
	permit, err := b.Breaker.Allow(context.Background())
	if err != nil {
		return nil
	}
	return func(a sim.Answer) {
		switch {
		case a.Fate == sim.Failed:
			permit.Fail(errFailed)
		case a.Fate == sim.BodyFailed:
			permit.Answered()
			permit.Fail(errFailed)
		case a.Fate == sim.OK:
			permit.Done(breaker.Success)
		case a.Fate == sim.Throttled && b.retryAfter > 0:
			permit.Trip(min(a.RetryAfter, b.retryAfter), "Retry-After")
		default:
			permit.Done(breaker.Ignored)
		}
	}
}
