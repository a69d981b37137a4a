package peers

import (
	"context"

	"github.com/zeromicro/go-zero/core/breaker"
	"github.com/zeromicro/go-zero/core/logx"

	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
)

// Its package prints the load of the process every minute, used or not.
func init() { logx.Disable() }

func goZeroPolicies() []*sim.Policy {
	return []*sim.Policy{{
		Library: "go-zero", Module: "github.com/zeromicro/go-zero", Settings: Defaults,
		About: "Adaptive: rejects a growing share once calls in 10 s fail, one a second let through; nothing can be set.",
		New: func(string, func(sim.Change)) sim.Breaker {
			b := breaker.NewBreaker()
			return steps[breaker.Promise]{
				allow: func() (breaker.Promise, bool) {
					promise, err := b.Allow()
					return promise, err == nil
				},
				done: func(promise breaker.Promise, a sim.Answer) {
					switch err := verdict(a); err {
					case nil, context.Canceled: // as its httpc does
						promise.Accept()
					default:
						promise.Reject(err.Error())
					}
				},
			}
		},
	}}
}
