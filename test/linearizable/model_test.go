// Package linearizable checks that a breaker which many goroutines use at once
// behaves as if they had come one after another: for a recorded history of
// calls there has to be an order that a sequential model allows, and that
// respects what was over before what began.
package linearizable

import (
	"fmt"

	"github.com/anishathalye/porcupine"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

const (
	failuresToOpen   = 3
	probes           = 2
	successesToClose = 2

	clients = 4
	permits = 2 // of one client at a time
)

// An operation is what one client did.
type operation struct {
	kind    kind
	permit  int // the number of the permit that is asked for or ended
	outcome breaker.Outcome
}

type kind string

const (
	allow  kind = "allow"
	done   kind = "done"
	trip   kind = "trip"
	reset  kind = "reset"
	state  kind = "state"
	totals kind = "totals"
)

// A result is what it got.
type result struct {
	admitted, probe bool           // allow
	state           breaker.State  // state, totals
	totals          breaker.Totals // totals: those that have nothing to do with time
	run             int            // totals
}

// A circuit is the model: one moment of a breaker.
type circuit struct {
	state      breaker.State
	generation int
	run        int
	out        int // probes
	good       int // probes in a row
	permits    [clients * permits]permit
	totals     breaker.Totals
}

type permit struct {
	generation int
	probe      bool
}

// sequential returns the model. If the open time is next to nothing, then a
// call may find it over or not.
func sequential(openForEver bool) porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init: func() []any { return []any{circuit{generation: 1}} },
		Step: func(s, in, out any) []any {
			return s.(circuit).step(in.(operation), out.(result), openForEver)
		},
		DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v: %+v", in, out) },
		DescribeState:     func(s any) string { return fmt.Sprintf("%+v", s) },
	}
	return m.ToModel()
}

// step returns the states in which op, having got that result, may leave c:
// none if it cannot have got it.
func (c circuit) step(op operation, got result, openForEver bool) []any {
	switch op.kind {
	case allow:
		if c.state == breaker.Open && got.admitted && !openForEver {
			c.enter(breaker.HalfOpen)
		}
		want := result{admitted: c.state == breaker.Closed || c.state == breaker.HalfOpen && c.out < probes}
		want.probe = want.admitted && c.state == breaker.HalfOpen
		if got != want {
			return nil
		}
		if want.probe {
			c.out++
		}
		if want.admitted {
			c.permits[op.permit] = permit{c.generation, want.probe}
		}
	case done:
		c.end(op)
	case trip:
		if c.state != breaker.Open {
			c.enter(breaker.Open)
		}
	case reset:
		c.enter(breaker.Closed)
		c.run = 0
	case state:
		if got.state != c.state {
			return nil
		}
	case totals:
		if got != (result{state: c.state, totals: c.totals, run: c.run}) {
			return nil
		}
	}
	return []any{c}
}

func (c *circuit) end(op operation) {
	p := c.permits[op.permit]
	c.permits[op.permit] = permit{}
	if p.generation != c.generation {
		c.totals.Late++
		return
	}
	if p.probe {
		c.out--
	}
	switch op.outcome {
	case breaker.Ignored:
		c.totals.Ignored++
	case breaker.Success:
		c.totals.Successes++
		if !p.probe {
			c.run = 0
		} else if c.good++; c.good == successesToClose {
			c.enter(breaker.Closed)
			c.run = 0
		}
	case breaker.Failure:
		c.totals.Failures++
		if !p.probe {
			c.run++
		}
		if p.probe || c.run == failuresToOpen {
			c.enter(breaker.Open)
		}
	}
}

func (c *circuit) enter(s breaker.State) {
	if s == breaker.Open {
		c.totals.Opened++
	}
	c.state, c.out, c.good = s, 0, 0
	c.generation++
}
