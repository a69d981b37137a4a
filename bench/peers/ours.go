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
			b := breaker.New(key, config, breaker.Hooks{StateChanged: func(t breaker.Transition) {
				notify(change(t.From, t.To, breaker.Closed, breaker.Open))
			}})
			ctx := context.Background()
			return steps[breaker.Permit]{
				allow: func() (breaker.Permit, bool) {
					permit, err := b.Allow(ctx)
					return permit, err == nil
				},
				done: func(permit breaker.Permit, a sim.Answer) {
					switch {
					case a.Fate == sim.OK:
						permit.Done(breaker.Success)
					case a.Fate == sim.Failed || a.Fate == sim.TimedOut:
						permit.Fail(errFailed)
					case a.Fate == sim.BodyFailed:
						permit.Answered()
						permit.Fail(errFailed)
					case a.Fate == sim.Throttled && retryAfter > 0:
						permit.Trip(min(a.RetryAfter, retryAfter), "Retry-After")
					default:
						permit.Done(breaker.Ignored)
					}
				},
			}
		},
	}
}
