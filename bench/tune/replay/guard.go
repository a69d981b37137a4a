package replay

import (
	"context"
	"errors"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/bench/peers"
	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
	"github.com/seed-0b728cf8/httpbreaker/bench/tune/logs"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// Guard is one way to guard the calls of a log, with a circuit for each host.
type Guard struct {
	Name  string
	About string // its settings, in words

	config breaker.Config
	policy *sim.Policy // in place of config
}

// Ours is this project's breaker. It waits without jitter, so that the same log
// gives the same figures.
func Ours(name string, config breaker.Config) Guard {
	about := config.String()
	if config.Jitter >= 0 {
		config.Jitter = -1
	}
	return Guard{Name: name, About: about, config: config}
}

// None lets every call through.
func None() Guard { return Peer(peers.None()) }

// Peer is another library.
func Peer(p *sim.Policy) Guard {
	return Guard{Name: p.Name(), About: p.About, policy: p}
}

// TellsOpenings reports whether the guard tells when its circuits open.
func (g *Guard) TellsOpenings() bool { return g.policy == nil || g.policy.Notifies }

// TellsTimes reports whether it tells for how long they are open.
func (g *Guard) TellsTimes() bool { return g.policy == nil }

// timeout is when the guard itself gives up on a call, or zero.
func (g *Guard) timeout() time.Duration {
	if g.policy == nil {
		return 0
	}
	return g.policy.Timeout
}

// circuit is that of one host.
type circuit interface {
	allow(f *flight) bool
	end(f *flight, o logs.Outcome, took int64)
}

// flight is a call that one guard has let through.
type flight struct {
	permit  breaker.Permit
	done    func(sim.Answer)
	sent    bool
	givenUp bool // who has made it waits no longer, though it goes on
}

var errFailed = errors.New("the call failed")

// newCircuit is called in the bubble. It calls opened when a circuit that was closed
// opens, in whole or in part, and ours calls changed for every change.
func (g *Guard) newCircuit(key string, recorded bool, opened func(), changed func(breaker.Transition)) circuit {
	if g.policy != nil {
		return peerCircuit{g.policy.New(key, func(c sim.Change) {
			if c == sim.Opened {
				opened()
			}
		})}
	}
	hooks := breaker.Hooks{StateChanged: func(t breaker.Transition) {
		if t.From == breaker.Closed {
			opened()
		}
		changed(t)
	}}
	if recorded {
		hooks.Done = func(context.Context, breaker.Call) {}
	}
	return ourCircuit{breaker.New(key, g.config, hooks)}
}

type ourCircuit struct{ *breaker.Breaker }

func (c ourCircuit) allow(f *flight) bool {
	var err error
	f.permit, err = c.Allow(context.Background())
	return err == nil
}

func (c ourCircuit) end(f *flight, o logs.Outcome, _ int64) {
	switch o {
	case logs.Succeeded:
		f.permit.Done(breaker.Success)
	case logs.Failed:
		f.permit.Fail(errFailed)
	default:
		f.permit.Done(breaker.Ignored)
	}
}

type peerCircuit struct{ sim.Breaker }

func (c peerCircuit) allow(f *flight) bool {
	f.done = c.Allow()
	return f.done != nil
}

func (c peerCircuit) end(f *flight, o logs.Outcome, took int64) {
	fates := [...]sim.Fate{logs.Succeeded: sim.OK, logs.Failed: sim.Failed, logs.Ignored: sim.Cancelled, logs.Rejected: sim.Cancelled}
	f.done(sim.Answer{Fate: fates[o], After: time.Duration(took)})
	f.done = nil
}
