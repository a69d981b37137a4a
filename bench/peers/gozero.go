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
		Library: "go-zero", Settings: Defaults,
		About: "Adaptive: rejects a growing share once calls in 10 s fail, one a second let through; nothing can be set.",
		New:   func(string, func(sim.Change)) sim.Breaker { return goZero{breaker.NewBreaker()} },
	}}
}

type goZero struct{ breaker.Breaker }

func (b goZero) Allow() func(sim.Answer) {
	promise, err := b.Breaker.Allow()
	if err != nil {
		return nil
	}
	return func(a sim.Answer) {
		switch err := verdict(a); err {
		case nil, context.Canceled: // as its httpc does
			promise.Accept()
		default:
			promise.Reject(err.Error())
		}
	}
}
