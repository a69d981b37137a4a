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
	kind       kind
	permit     int // the number of the permit that is asked for or ended
	outcome    breaker.Outcome
	generation uint64 // that hold and retry mean
}

type kind string

const (
	allow  kind = "allow"
	done   kind = "done"
	trip   kind = "trip"
	reset  kind = "reset"
	hold   kind = "hold"
	retry  kind = "retry"
	state  kind = "state"
	totals kind = "totals"
)

// A result is what it got.
type result struct {
	admitted, probe bool           // allow
	state           breaker.State  // state, totals
	totals          breaker.Totals // totals: those that have nothing to do with time
	run             int            // totals
	generation      uint64         // totals
	acts            bool           // hold, retry
}

// A circuit is the model: one moment of a breaker.
type circuit struct {
	state      breaker.State
	byOperator bool // it was tripped
	due        bool // the next call is a probe
	generation uint64
	run        int
	out        int // probes
	good       int // probes in a row
	permits    [clients * permits]permit
	totals     breaker.Totals
}

type permit struct {
	generation uint64
	probe      bool
}

// sequential is the model. It knows what each operation gets, and in which state that
// leaves the circuit.
var sequential = porcupine.Model{
	Init: func() any { return circuit{} },
	Step: func(s, in, out any) (bool, any) {
		c := s.(circuit)
		return c.step(in.(operation)) == out.(result), c
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v: %+v", in, out) },
	DescribeState:     func(s any) string { return fmt.Sprintf("%+v", s) },
}

// step does op, and returns what it gets.
func (c *circuit) step(op operation) (got result) {
	switch op.kind {
	case allow:
		if c.state == breaker.Open && c.due {
			c.enter(breaker.HalfOpen)
		}
		got.admitted = c.state == breaker.Closed || c.state == breaker.HalfOpen && c.out < probes
		got.probe = got.admitted && c.state == breaker.HalfOpen
		if got.probe {
			c.out++
		}
		if got.admitted {
			c.permits[op.permit] = permit{c.generation, got.probe}
		}
	case done:
		c.end(op)
	case trip:
		if c.state != breaker.Open {
			c.enter(breaker.Open)
		}
		c.byOperator, c.due = true, false
	case reset:
		c.enter(breaker.Closed)
	case hold:
		got.acts = op.generation == c.generation && c.state != breaker.HalfOpen
		switch {
		case got.acts && c.state == breaker.Closed:
			c.enter(breaker.Open)
		case got.acts:
			c.due = false
		}
	case retry:
		got.acts = op.generation == c.generation && c.state == breaker.Open && !c.byOperator
		c.due = c.due || got.acts
	case state:
		got.state = c.state
	case totals:
		got = result{state: c.state, totals: c.totals, run: c.run, generation: c.generation}
	}
	return got
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
	if s == breaker.Closed {
		c.run = 0 // otherwise it stays as it was judged
	}
	c.state, c.out, c.good = s, 0, 0
	c.byOperator, c.due = false, false
	c.generation++
}
