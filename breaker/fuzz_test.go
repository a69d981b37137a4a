package breaker_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// FuzzBreaker reads a rule set and a list of operations from its input, and
// does them to a breaker and to the model, which must agree after each.
func FuzzBreaker(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(randomOperations(seed, 200))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		input = input[:min(len(input), 1000)] // the model is slow
		synctest.Test(t, func(t *testing.T) { compareWithModel(t, input) })
	})
}

// TestBreakerAgreesWithModel is FuzzBreaker on inputs drawn from fixed seeds, so
// that every run of the tests covers some hundred of them.
func TestBreakerAgreesWithModel(t *testing.T) {
	runs := uint64(600)
	switch {
	case testing.Short():
		runs = 100
	case breaker.RaceDetector:
		runs = 150
	}
	synctest.Test(t, func(t *testing.T) {
		for seed := range runs {
			compareWithModel(t, randomOperations(1000+seed, 1000))
		}
	})
}

func randomOperations(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	input := make([]byte, n)
	for i := range input {
		input[i] = byte(r.Uint32())
	}
	return input
}

// A program reads decisions from fuzz input, and zeros after its end.
type program []byte

func (p *program) byte() byte {
	if len(*p) == 0 {
		return 0
	}
	b := (*p)[0]
	*p = (*p)[1:]
	return b
}

func choose[T any](p *program, from ...T) T { return from[int(p.byte())%len(from)] }

// A kind of programs has something that the breaker knows only roughly, so that nothing
// may hang on that.
type kind struct {
	slow    bool // calls may be overdue: they move nothing
	streams bool // calls may go on after their answer: probes come by time alone
}

// rules reads a Config in which times are exact and one call can matter.
func (p *program) rules(k kind) breaker.Config {
	const s = time.Second
	cfg := breaker.Config{
		Window:              choose(p, 0, 2*s, 5*s, time.Minute),
		WindowCalls:         choose(p, 0, 0, 0, 4, 30),
		MinCalls:            choose(p, -1, 1, 3, 4),
		ShedRate:            choose(p, 0, 0, 0.3, 0.7, -1),
		FailureRate:         choose(p, 0, 0, 0, 0.25, 0.6, 1, -1),
		Failures:            choose(p, 0, 0, 0, 2, 4, 20),
		ConsecutiveFailures: choose(p, 0, 1, 2, 3, -1),
		ConsecutiveSpan:     choose(p, 0, -1, 3*s),
		IndependentFailures: choose(p, 0, -1, 2, 4),
		Chance:              choose(p, 0, -1, 0.01, 0.2, 0.5),
		HangAfter:           -1,
		OpenFor:             choose(p, 0, 10*time.Millisecond, s),
		MaxOpenFor:          choose(p, 0, 6*s, 30*s),
		ProbeShare:          choose(p, 0, -1, 0.1, 0.5),
		Jitter:              -1,
		Probes:              choose(p, 0, 1, 2, 3),
		ProbeSuccesses:      choose(p, 0, 1, 2, 3),
		ProbeTimeout:        choose(p, 0, 2*s, time.Minute),
		SlowStart:           choose(p, 0, 1, 3, -1),
	}
	if k.streams {
		cfg.ProbeShare = -1
	}
	if k.slow {
		cfg.SlowCall = choose(p, 0, 1500*time.Millisecond, 3500*time.Millisecond)
		cfg.SlowRate, cfg.FailureRate, cfg.ConsecutiveFailures = -1, 0, -1
	}
	switch p.byte() % 8 {
	case 0, 1: // the run alone
		cfg.ShedRate, cfg.FailureRate, cfg.Failures = -1, 0, 0
		cfg.ConsecutiveSpan = choose(p, 0, 0, 3*s)
	case 2:
		cfg.Trip = func(c breaker.Counts) bool { return c.Calls%5 == 4 }
	}
	if cfg.Validate() != nil && cfg.FailureRate > 0 { // less than ShedRate
		cfg.ShedRate = 0
	}
	if cfg.Validate() != nil { // every rule is off
		cfg.Failures = 3
	}
	return cfg
}

// duration reads how far to move the clock: often to just before, at or just
// after a time that means something.
func (p *program) duration(m *model) time.Duration {
	var d time.Duration
	switch p.byte() % 8 {
	case 0, 1, 2:
		d = time.Duration(p.byte()) * 11 * time.Millisecond
	case 3:
		d = time.Duration(p.byte()) * time.Second
	case 4:
		d = m.cfg.Window / 10
	case 5:
		d = choose(p, m.cfg.ProbeTimeout, m.cfg.ProbeTimeout/8)
	case 6:
		d = max(0, time.Until(m.opening.until))
	case 7:
		d = time.Second
	}
	return max(0, d+time.Duration(choose(p, 0, 0, -1, 1)))
}

// A played call is one permit, and the model's account of it.
type played struct {
	permit  *breaker.Permit
	call    *modelCall
	sending *breaker.Sending
}

// A comparison drives a breaker and its model.
type comparison struct {
	t       *testing.T
	b       *breaker.Breaker
	m       *model
	kind    kind
	history []string

	out, ended []*played

	// What hooks were told.
	rejected       []*breaker.OpenError
	done, failed   []breaker.Call
	transitions    []breaker.Transition
	watched, timed bool // hooks are there, Done among them
}

func compareWithModel(t *testing.T, input []byte) {
	p := program(input)
	c := &comparison{t: t, kind: kind{slow: p.byte()%3 == 0, streams: p.byte()%2 == 0}}
	var hooks []breaker.Hooks
	switch p.byte() % 4 {
	case 0:
		c.watched = true
	case 1:
		c.watched, c.timed = true, true
	}
	if c.watched {
		h := breaker.Hooks{
			StateChanged: func(s breaker.Transition) { c.transitions = append(c.transitions, s) },
			Rejected:     func(_ context.Context, err *breaker.OpenError) { c.rejected = append(c.rejected, err) },
			Failed:       func(call breaker.Call) { c.failed = append(c.failed, call) },
		}
		if c.timed {
			h.Done = func(_ context.Context, call breaker.Call) { c.done = append(c.done, call) }
		}
		hooks = []breaker.Hooks{h}
	}
	cfg := p.rules(c.kind)
	c.b, c.m = breaker.New("peer", cfg, hooks...), newModel(cfg)
	c.did("New: %v", cfg)
	for len(p) > 0 {
		c.step(&p)
		c.check(c.m.differs(c.b))
		for _, want := range c.m.transitions {
			if c.watched && len(c.transitions) == 0 {
				c.check(fmt.Sprintf("no transition, want %+v", want))
			} else if c.watched {
				c.check(c.m.differsInTransition(c.transitions[0], want))
				c.transitions = c.transitions[1:]
			}
		}
		if c.m.transitions = nil; len(c.transitions) > 0 {
			c.check(fmt.Sprintf("one transition too many: %+v", c.transitions[0]))
		}
	}
}

func (c *comparison) did(format string, args ...any) {
	c.history = append(c.history, fmt.Sprintf(format, args...))
}

func (c *comparison) check(diff string) {
	c.t.Helper()
	if diff != "" {
		c.t.Fatalf("step %d: %s\n--- after\n%s", len(c.history)-1, diff, strings.Join(c.history, "\n"))
	}
}

// step does one operation.
func (c *comparison) step(p *program) {
	m, b := c.m, c.b
	switch op := p.byte() % 44; {
	case op < 10:
		if call := c.allow(); call != nil {
			c.out = append(c.out, call)
			c.did("Allow: admitted")
			if p.byte()%8 == 0 {
				c.did("Sending")
				call.sending = call.permit.Sending()
				m.sends(call.call)
			}
			break
		}
		c.did("Allow: rejected")
	case op < 20:
		if call := c.take(p); call != nil {
			outcome := choose(p, breaker.Success, breaker.Success, breaker.Failure, breaker.Failure, breaker.Failure, breaker.Ignored)
			text := choose(p, "", "broken")
			c.did("%v of the call of %v", outcome, m.clock(call.call.start))
			c.end(call, outcome, text)
		}
	case op < 21:
		if len(c.ended) > 0 {
			again := c.ended[int(p.byte())%len(c.ended)].permit
			again.Done(breaker.Failure)
			again.Answered()
			again.Sending().Sent()
			c.did("Done, Answered and Sending on a call that had ended")
		}
	case op < 23:
		first := int(p.byte()) % 6
		if !c.kind.streams {
			break
		}
		for _, call := range c.out[min(first, len(c.out)):min(first+choose(p, 1, 1, 5), len(c.out))] {
			c.did("Answered of the call of %v", m.clock(call.call.start))
			c.answer(call)
		}
	case op < 24:
		if call := c.look(p); call != nil && call.sending != nil {
			c.did("Sent of the call of %v", m.clock(call.call.start))
			call.sending.Sent()
			m.send(call.call)
		}
	case op < 30:
		d := p.duration(m)
		time.Sleep(d)
		c.did("%v later: %v", d, m.clock(time.Now()))
	case op < 33:
		c.burst(p)
	case op < 34:
		d := choose(p, 0, 1, time.Second, 20*time.Second)
		c.did("Trip %v", d)
		b.Trip(d, "because")
		m.trip(d)
	case op < 35:
		if call := c.take(p); call != nil {
			d := choose(p, 0, 1, 1234*time.Millisecond, 20*time.Second+1) // as long as no rule says
			c.did("Permit.Trip %v of the call of %v", d, m.clock(call.call.start))
			c.part()
			call.permit.Trip(d, "because")
			c.check(m.sees(b, call.call))
			m.end(call.call, breaker.Failure, "because", d)
			c.told(call)
		}
	case op < 36:
		if p.byte()%4 == 0 {
			c.did("Reset")
			b.Reset("")
			m.close(time.Now(), breaker.ByOperator)
		}
	case op < 37:
		mode := choose(p, breaker.Enforce, breaker.Enforce, breaker.Enforce, breaker.Observe, breaker.ForceOpen, breaker.Disabled)
		c.did("SetMode %v", mode)
		b.SetMode(mode, "because")
		m.setMode(mode)
	case op < 38:
		generation := b.Snapshot().Generation - choose[uint64](p, 0, 0, 0, 1)
		d := choose(p, 0, 1, time.Second, 20*time.Second)
		c.did("Hold %v of generation %d", d, generation)
		if got, want := b.Hold(generation, d, "because"), m.hold(generation, d); got != want {
			c.check(fmt.Sprintf("Hold = %v, want %v", got, want))
		}
	case op < 39:
		generation := b.Snapshot().Generation - choose[uint64](p, 0, 0, 0, 1)
		d := choose(p, -1, 0, time.Second, 20*time.Second)
		c.did("Retry %v of generation %d", d, generation)
		if got, want := b.Retry(generation, d), m.retry(generation, d); got != want {
			c.check(fmt.Sprintf("Retry = %v, want %v", got, want))
		}
	case op < 41:
		n, answered := choose(p, 2, 5, 15), c.kind.streams && p.byte()%2 == 0
		c.did("Allow %d times, answered: %v", n, answered)
		for range n {
			call := c.allow()
			if call == nil {
				continue
			}
			if answered {
				c.answer(call)
			}
			c.out = append(c.out, call)
		}
	case op < 43:
		outcome := choose(p, breaker.Success, breaker.Failure, breaker.Ignored)
		n := min(len(c.out), choose(p, 4, 100))
		c.did("%v of %d calls", outcome, n)
		for range n {
			c.end(c.take(p), outcome, "")
		}
	default:
		next := p.rules(c.kind)
		if next.SlowCall > 0 && len(c.out) > 0 {
			next.SlowCall = m.cfg.SlowCall // which of the two holds for calls in flight is left open
		}
		// A rule that holds at once opens when a call fails, or when somebody looks for slow ones.
		if holds := next.Failures > 0 && m.counts().Failures >= next.Failures; next.Validate() == nil && !(c.kind.slow && holds) {
			c.did("Update: %v", next)
			if err := b.Update(next); err != nil {
				c.check(err.Error())
			}
			m.update(next)
		}
	}
}
