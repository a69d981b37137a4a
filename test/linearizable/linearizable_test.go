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

// rules are those of a plain breaker. Nothing of it has to do with time: a circuit stays
// open until a client sets it back or lets it be probed.
var rules = breaker.Config{
	Window:              24 * time.Hour,
	ShedRate:            -1,
	ConsecutiveFailures: failuresToOpen,
	ConsecutiveSpan:     -1,
	Chance:              -1,
	HangAfter:           -1,
	OpenFor:             24 * time.Hour,
	ProbeShare:          -1,
	Jitter:              -1,
	Probes:              probes,
	ProbeSuccesses:      successesToClose,
	ProbeTimeout:        24 * time.Hour,
	SlowStart:           -1,
}

func TestConcurrentCallsAreLinearizable(t *testing.T) {
	histories, steps := 500, 50
	if testing.Short() {
		histories = 100
	}
	var met [3]int // operations that found the circuit in each state
	var acted [2]int
	overlaps := 0
	for seed := range uint64(histories) {
		b := breaker.New("peer", rules)
		history := record(b, seed, steps)
		verdict, info := porcupine.CheckOperationsVerbose(sequential, history, time.Minute)
		if verdict != porcupine.Ok {
			t.Fatalf("history %d is %v:\n%s", seed, verdict, describe(history, info))
		}
		overlaps += overlapping(history)
		for _, op := range history {
			switch op.Input.(operation).kind {
			case state:
				met[op.Output.(result).state]++
			case hold, retry:
				if op.Output.(result).acts {
					acted[1]++
				} else {
					acted[0]++
				}
			}
		}
	}
	t.Logf("%d operations overlapped another; states met: %v; hold and retry refused and acted: %v", overlaps, met, acted)
	for _, n := range append(met[:], acted[0], acted[1], overlaps) {
		if n < histories/10 {
			t.Errorf("the histories show too little")
			break
		}
	}
}

// record lets clients use b at random, and returns what they did and got.
func record(b *breaker.Breaker, seed uint64, steps int) []porcupine.Operation {
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
				c.act()
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
	seen    uint64 // the generation that it has seen last
	history []porcupine.Operation
}

// act does one operation.
func (c *client) act() {
	n := c.random.IntN(permits)
	op := operation{kind: totals}
	switch dice := c.random.IntN(50); {
	case dice < 30 && c.permits[n] == nil:
		op = operation{kind: allow, permit: c.id*permits + n}
	case dice < 30:
		op = operation{kind: done, permit: c.id*permits + n, outcome: c.outcome()}
	case dice < 31:
		op = operation{kind: trip}
	case dice < 32:
		op = operation{kind: reset}
	case dice < 33:
		op = operation{kind: hold, generation: c.seen}
	case dice < 39:
		op = operation{kind: retry, generation: c.seen}
	case dice < 42:
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
		c.b.Reset("test")
	case hold:
		got = result{acts: c.b.Hold(op.generation, 24*time.Hour, "test")}
	case retry:
		got = result{acts: c.b.Retry(op.generation, 0)}
	case state:
		got = result{state: c.b.State()}
	case totals:
		s := c.b.Snapshot()
		s.Totals.Rejected, s.Totals.OpenTime = 0, 0
		got = result{state: s.State, totals: s.Totals, run: s.Counts.ConsecutiveFailures, generation: s.Generation}
		c.seen = s.Generation
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
func describe(history []porcupine.Operation, info porcupine.LinearizationInfo) string {
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
		s.WriteString(sequential.DescribeOperation(op.Input, op.Output) + "\n")
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
	fail := func(n int) operation { return operation{kind: done, permit: n, outcome: breaker.Failure} }
	ask := func(n int) operation { return operation{kind: allow, permit: n} }
	due := operation{kind: retry, generation: 1}
	acts := result{acts: true}
	type step struct {
		in  operation
		out result
	}
	opening := []step{
		{ask(0), admitted}, {ask(1), admitted}, {ask(2), admitted}, {ask(3), admitted},
		{fail(0), result{}}, {fail(1), result{}}, {fail(2), result{}},
	}
	for name, test := range map[string]struct {
		then     []step
		possible bool
	}{
		"rejected when open":       {[]step{{ask(0), result{}}}, true},
		"admitted when open":       {[]step{{ask(0), admitted}}, false},
		"probed before its time":   {[]step{{ask(0), probe}}, false},
		"closed after failures":    {[]step{{operation{kind: state}, result{state: breaker.Closed}}}, false},
		"late call moves a run":    {[]step{{operation{kind: reset}, result{}}, {fail(3), result{}}, {operation{kind: totals}, result{totals: breaker.Totals{Failures: 4, Opened: 1}, run: 1, generation: 2}}}, false},
		"late call is late":        {[]step{{operation{kind: reset}, result{}}, {fail(3), result{}}, {operation{kind: totals}, result{totals: breaker.Totals{Failures: 3, Late: 1, Opened: 1}, generation: 2}}}, true},
		"its generation":           {[]step{{operation{kind: totals}, result{state: breaker.Open, totals: breaker.Totals{Failures: 3, Opened: 1}, run: 3, generation: 1}}}, true},
		"another generation":       {[]step{{operation{kind: totals}, result{state: breaker.Open, totals: breaker.Totals{Failures: 3, Opened: 1}, run: 3, generation: 2}}}, false},
		"as many probes as fit":    {[]step{{due, acts}, {ask(0), probe}, {ask(1), probe}}, true},
		"one probe too many":       {[]step{{due, acts}, {ask(0), probe}, {ask(1), probe}, {ask(2), probe}}, false},
		"a probe freed its slot":   {[]step{{due, acts}, {ask(0), probe}, {ask(1), probe}, {operation{kind: done, permit: 1}, result{}}, {ask(2), probe}}, true},
		"due and rejected":         {[]step{{due, acts}, {ask(0), result{}}}, false},
		"retry of what has passed": {[]step{{operation{kind: retry}, acts}}, false},
		"retry when closed":        {[]step{{operation{kind: reset}, result{}}, {operation{kind: retry, generation: 2}, acts}}, false},
		"retry when tripped":       {[]step{{operation{kind: trip}, result{}}, {due, acts}}, false},
		"hold of what is due":      {[]step{{due, acts}, {operation{kind: hold, generation: 1}, acts}, {ask(0), result{}}}, true},
		"hold when half-open":      {[]step{{due, acts}, {ask(0), probe}, {operation{kind: hold, generation: 2}, acts}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var history []porcupine.Operation
			for i, s := range append(opening[:len(opening):len(opening)], test.then...) {
				history = append(history, porcupine.Operation{Input: s.in, Output: s.out, Call: int64(2 * i), Return: int64(2*i + 1)})
			}
			if got := porcupine.CheckOperations(sequential, history); got != test.possible {
				t.Errorf("possible = %v, want %v", got, test.possible)
			}
		})
	}
}
