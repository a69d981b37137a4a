package linearizable

import (
	"context"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// rules have nothing to do with time, but for OpenFor.
func rules(openFor time.Duration) breaker.Config {
	return breaker.Config{
		Window:              24 * time.Hour,
		FailureRate:         -1,
		ConsecutiveFailures: failuresToOpen,
		ConsecutiveSpan:     -1,
		OpenFor:             openFor,
		MaxOpenFor:          openFor,
		Jitter:              -1,
		Probes:              probes,
		ProbeSuccesses:      successesToClose,
		ProbeTimeout:        24 * time.Hour,
	}
}

func TestConcurrentCallsAreLinearizable(t *testing.T) {
	histories, steps := 250, 50
	if testing.Short() {
		histories = 50
	}
	for name, openFor := range map[string]time.Duration{"open for ever": 24 * time.Hour, "open for no time": 1} {
		t.Run(name, func(t *testing.T) {
			model := sequential(openFor > 1)
			var met [3]int // operations that found the circuit in each state
			overlaps := 0
			for seed := range uint64(histories) {
				b := breaker.New("peer", rules(openFor))
				history := record(b, seed, steps, openFor > 1)
				verdict, info := porcupine.CheckOperationsVerbose(model, history, time.Minute)
				if verdict != porcupine.Ok {
					t.Fatalf("history %d is %v:\n%s", seed, verdict, describe(model, history, info))
				}
				overlaps += overlapping(history)
				for _, op := range history {
					if op.Input.(operation).kind == state {
						met[op.Output.(result).state]++
					}
				}
			}
			t.Logf("%d operations overlapped another; states met: %v", overlaps, met)
			if met[breaker.Closed] == 0 || met[breaker.Open] == 0 || openFor == 1 && met[breaker.HalfOpen] == 0 || overlaps == 0 {
				t.Errorf("the histories show too little: %d overlaps, states %v", overlaps, met)
			}
		})
	}
}

// record lets clients use b at random, and returns what they did and got.
func record(b *breaker.Breaker, seed uint64, steps int, mayReset bool) []porcupine.Operation {
	start := time.Now()
	histories := make([][]porcupine.Operation, clients)
	var arrived atomic.Int64
	var all sync.WaitGroup
	for id := range clients {
		all.Go(func() {
			c := client{b: b, id: id, random: rand.New(rand.NewPCG(seed, uint64(id))), start: start}
			arrived.Add(1)
			for arrived.Load() < clients { // start together, so that steps overlap
				runtime.Gosched()
			}
			for range steps {
				c.act(mayReset)
			}
			histories[id] = c.history
		})
	}
	all.Wait()
	var history []porcupine.Operation
	for _, h := range histories {
		history = append(history, h...)
	}
	return history
}

// overlapping counts the operations that another client's began during.
func overlapping(history []porcupine.Operation) (n int) {
	for _, a := range history {
		for _, b := range history {
			if a.ClientId != b.ClientId && a.Call < b.Call && b.Call < a.Return {
				n++
				break
			}
		}
	}
	return n
}

type client struct {
	b       *breaker.Breaker
	id      int
	random  *rand.Rand
	start   time.Time
	permits [permits]*breaker.Permit
	history []porcupine.Operation
}

// act does one operation.
func (c *client) act(mayReset bool) {
	n := c.random.IntN(permits)
	op := operation{kind: totals}
	switch dice := c.random.IntN(40); {
	case dice < 30 && c.permits[n] == nil:
		op = operation{kind: allow, permit: c.id*permits + n}
	case dice < 30:
		op = operation{kind: done, permit: c.id*permits + n, outcome: c.outcome()}
	case dice < 31:
		op = operation{kind: trip}
	case dice < 33 && mayReset:
		op = operation{kind: reset}
	case dice < 37:
		op = operation{kind: state}
	}
	var got result
	called := time.Since(c.start)
	switch op.kind {
	case allow:
		p, err := c.b.Allow(context.Background())
		got = result{admitted: err == nil, probe: p.Probe()}
		if err == nil {
			c.permits[n] = &p
		}
	case done:
		c.permits[n].Done(op.outcome)
		c.permits[n] = nil
	case trip:
		c.b.Trip(0, "test")
	case reset:
		c.b.Reset()
	case state:
		got = result{state: c.b.State()}
	case totals:
		s := c.b.Snapshot()
		s.Totals.Rejected, s.Totals.OpenTime = 0, 0
		got = result{state: s.State, totals: s.Totals, run: s.Counts.ConsecutiveFailures}
	}
	c.history = append(c.history, porcupine.Operation{
		ClientId: c.id, Input: op, Call: int64(called), Output: got, Return: int64(time.Since(c.start)),
	})
}

func (c *client) outcome() breaker.Outcome {
	outcomes := []breaker.Outcome{
		breaker.Success, breaker.Success, breaker.Success,
		breaker.Failure, breaker.Failure, breaker.Failure, breaker.Failure, breaker.Ignored,
	}
	return outcomes[c.random.IntN(len(outcomes))]
}

// describe lists the longest order that the model allows, and what is left.
func describe(model porcupine.Model, history []porcupine.Operation, info porcupine.LinearizationInfo) string {
	var longest []porcupine.Operation
	for _, orders := range info.PartialLinearizationsOperations() {
		for _, order := range orders {
			if len(order) > len(longest) {
				longest = order
			}
		}
	}
	var s strings.Builder
	write := func(op porcupine.Operation) {
		s.WriteString(time.Duration(op.Call).String() + "–" + time.Duration(op.Return).String() + " ")
		s.WriteString(model.DescribeOperation(op.Input, op.Output) + "\n")
	}
	ordered := map[porcupine.Operation]bool{}
	for _, op := range longest {
		write(op)
		ordered[op] = true
	}
	s.WriteString("no place for any of:\n")
	for _, op := range history {
		if !ordered[op] {
			write(op)
		}
	}
	return s.String()
}

// The checker itself has to refuse what cannot have happened.
func TestImpossibleHistoriesAreRefused(t *testing.T) {
	admitted := result{admitted: true}
	probe := result{admitted: true, probe: true}
	fail := func(n int) operation { return operation{done, n, breaker.Failure} }
	type step struct {
		in  operation
		out result
	}
	opening := []step{
		{operation{kind: allow, permit: 0}, admitted}, {operation{kind: allow, permit: 1}, admitted},
		{operation{kind: allow, permit: 2}, admitted}, {operation{kind: allow, permit: 3}, admitted},
		{fail(0), result{}}, {fail(1), result{}}, {fail(2), result{}},
	}
	for name, test := range map[string]struct {
		then     []step
		possible bool
	}{
		"rejected when open":     {[]step{{operation{kind: allow}, result{}}}, true},
		"admitted when open":     {[]step{{operation{kind: allow}, admitted}}, false},
		"closed after failures":  {[]step{{operation{kind: state}, result{state: breaker.Closed}}}, false},
		"late call moves a run":  {[]step{{operation{kind: reset}, result{}}, {fail(3), result{}}, {operation{kind: totals}, result{totals: breaker.Totals{Failures: 4, Opened: 1}, run: 1}}}, false},
		"late call is late":      {[]step{{operation{kind: reset}, result{}}, {fail(3), result{}}, {operation{kind: totals}, result{totals: breaker.Totals{Failures: 3, Late: 1, Opened: 1}}}}, true},
		"as many probes as fit":  {[]step{{operation{kind: allow}, probe}, {operation{kind: allow, permit: 1}, probe}}, true},
		"one probe too many":     {[]step{{operation{kind: allow}, probe}, {operation{kind: allow, permit: 1}, probe}, {operation{kind: allow, permit: 2}, probe}}, false},
		"a probe freed its slot": {[]step{{operation{kind: allow}, probe}, {operation{kind: allow, permit: 1}, probe}, {operation{kind: done, permit: 1}, result{}}, {operation{kind: allow, permit: 2}, probe}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			var history []porcupine.Operation
			for i, s := range append(opening[:len(opening):len(opening)], test.then...) {
				history = append(history, porcupine.Operation{Input: s.in, Output: s.out, Call: int64(2 * i), Return: int64(2*i + 1)})
			}
			if got := porcupine.CheckOperations(sequential(false), history); got != test.possible {
				t.Errorf("possible = %v, want %v", got, test.possible)
			}
		})
	}
}
