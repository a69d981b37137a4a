package breaker_test

import (
	"context"
	"errors"
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
// that every run of the tests covers some thousand of them.
func TestBreakerAgreesWithModel(t *testing.T) {
	runs := uint64(1000)
	if testing.Short() {
		runs = 100
	}
	synctest.Test(t, func(t *testing.T) {
		for seed := range runs {
			compareWithModel(t, randomOperations(1000+seed, 300))
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

// rules reads a Config in which times are exact and one call can matter. If it
// has SlowCall, time has to move in whole seconds: half a second is more than
// the steps in which overdue calls are noticed.
func (p *program) rules(slow bool) breaker.Config {
	const s = time.Second
	cfg := breaker.Config{
		Window:              choose(p, 0, 2*s, 5*s, time.Minute),
		WindowCalls:         choose(p, 0, 0, 0, 4, 7),
		MinCalls:            choose(p, -1, 1, 3, 4),
		FailureRate:         choose(p, 0, 0.25, 0.6, 1, -1),
		SlowRate:            choose(p, 0, 0.4, 1, -1),
		Failures:            choose(p, 0, 0, 2, 4),
		ConsecutiveFailures: choose(p, 0, 1, 2, 3, -1),
		ConsecutiveSpan:     choose(p, 0, -1, 3*s),
		OpenFor:             choose(p, 0, 1, s),
		MaxOpenFor:          choose(p, 0, 6*s, 30*s),
		ProbeShare:          -1, ShedRate: -1, Chance: -1, IndependentFailures: -1, HangAfter: -1, SlowStart: -1,
		Jitter:         -1,
		Probes:         choose(p, 0, 1, 2, 3),
		ProbeSuccesses: choose(p, 0, 1, 2, 3),
		ProbeTimeout:   choose(p, 0, 2*s, time.Minute),
	}
	if slow {
		cfg.SlowCall = choose(p, 0, 1500*time.Millisecond, 3500*time.Millisecond)
		cfg.ConsecutiveFailures = -1
	}
	if p.byte()%4 == 0 {
		cfg.Trip = func(c breaker.Counts) bool { return c.Calls%5 == 4 }
	}
	if cfg.Validate() != nil { // every rule is off
		cfg.Failures = 3
	}
	return cfg
}

// duration reads how far to move the clock: often to just before, at or just
// after a time that means something.
func (p *program) duration(m *model, slow bool) time.Duration {
	var d time.Duration
	switch p.byte() % 8 {
	case 0, 1, 2:
		d = time.Duration(p.byte()) * 11 * time.Millisecond
	case 3:
		d = time.Duration(p.byte()) * time.Second
	case 4:
		d = m.cfg.Window / 10
	case 5:
		d = m.cfg.ProbeTimeout
	case 6:
		d = max(0, time.Until(m.until))
	case 7:
		d = time.Second
	}
	d += time.Duration(choose(p, 0, 0, -1, 1))
	if slow {
		d = d.Round(time.Second)
	}
	return max(0, d)
}

// A played call is one permit, and the model's account of it.
type played struct {
	permit *breaker.Permit
	call   *modelCall
}

func compareWithModel(t *testing.T, input []byte) {
	p := program(input)
	slow := p.byte()%3 == 0
	cfg := p.rules(slow)
	b, m := breaker.New("peer", cfg), newModel(cfg)
	history := []string{fmt.Sprintf("New: %v", cfg)}
	fail := func(format string, args ...any) {
		t.Helper()
		t.Fatalf("%s\n--- after\n%s", fmt.Sprintf(format, args...), strings.Join(history, "\n"))
	}
	var out, ended []played
	take := func() (c played, ok bool) {
		if len(out) == 0 {
			return played{}, false
		}
		i := int(p.byte()) % len(out)
		c = out[i]
		out = append(out[:i:i], out[i+1:]...)
		ended = append(ended, c)
		return c, true
	}
	for step := 0; len(p) > 0; step++ {
		did := ""
		switch op := p.byte() % 32; {
		case op < 10:
			permit, err := b.Allow(context.Background())
			call := m.allow()
			did = fmt.Sprintf("Allow: %v", err)
			if (err == nil) != (call != nil) {
				history = append(history, did)
				fail("Allow: err = %v, the model says admitted = %v", err, call != nil)
			}
			if err != nil {
				checkRejection(fail, m, err)
				break
			}
			if permit.Probe() != call.probe {
				fail("Probe() = %v, the model says %v", permit.Probe(), call.probe)
			}
			out = append(out, played{&permit, call})
		case op < 20:
			c, ok := take()
			if !ok {
				continue
			}
			outcome := choose(&p, breaker.Success, breaker.Success, breaker.Failure, breaker.Failure, breaker.Failure, breaker.Ignored)
			did = fmt.Sprintf("%v of the call of %v", outcome, m.clock(c.call.start))
			if outcome == breaker.Failure && p.byte()%2 == 0 {
				c.permit.Fail(errors.New("broken"))
			} else {
				c.permit.Done(outcome)
			}
			m.done(c.call, outcome)
		case op < 21:
			if len(ended) == 0 {
				continue
			}
			again := ended[int(p.byte())%len(ended)]
			again.permit.Done(breaker.Failure)
			again.permit.Answered()
			did = "Done and Answered on a call that had ended"
		case op < 22:
			if len(out) == 0 {
				continue
			}
			c := out[int(p.byte())%len(out)]
			c.permit.Answered()
			m.answered(c.call)
			did = fmt.Sprintf("Answered of the call of %v", m.clock(c.call.start))
		case op < 27:
			d := p.duration(m, slow)
			time.Sleep(d)
			did = fmt.Sprintf("%v later: %v", d, m.clock(time.Now()))
		case op < 28:
			d := choose(&p, 0, 1, time.Second, 20*time.Second)
			b.Trip(d, "because")
			m.trip(d)
			did = fmt.Sprintf("Trip %v", d)
		case op < 29:
			c, ok := take()
			if !ok {
				continue
			}
			d := choose(&p, 0, 1, time.Second, 20*time.Second)
			c.permit.Trip(d, "because")
			m.permitTrip(c.call, d)
			did = fmt.Sprintf("Permit.Trip %v of the call of %v", d, m.clock(c.call.start))
		case op < 30:
			if p.byte()%4 != 0 {
				continue
			}
			b.Reset("")
			m.reset()
			did = "Reset"
		case op < 31:
			mode := choose(&p, breaker.Enforce, breaker.Enforce, breaker.Enforce, breaker.Observe, breaker.ForceOpen, breaker.Disabled)
			b.SetMode(mode, "because")
			m.setMode(mode)
			did = fmt.Sprintf("SetMode %v", mode)
		default:
			next := p.rules(slow)
			next.Window, next.WindowCalls = cfg.Window, cfg.WindowCalls
			if next.SlowCall > 0 && len(out) > 0 {
				next.SlowCall = m.cfg.SlowCall // which of the two holds for calls in flight is left open
			}
			if err := b.Update(next); err != nil {
				continue
			}
			m.update(next)
			did = fmt.Sprintf("Update: %v", next)
		}
		history = append(history, did)
		if diff := m.differs(b); diff != "" {
			fail("step %d: %s", step, diff)
		}
	}
}

// checkRejection looks at what a rejected caller is told.
func checkRejection(fail func(string, ...any), m *model, err error) {
	var open *breaker.OpenError
	if !errors.As(err, &open) || !errors.Is(err, breaker.ErrOpen) {
		fail("rejected with a %T", err)
		return
	}
	since, until := m.entered, time.Time{}
	switch {
	case m.mode == breaker.ForceOpen:
		since = m.since
	case m.state == breaker.Open:
		until = m.until
	}
	if open.State != m.effective() || open.Mode != m.mode || open.Reason == "" ||
		!open.Since.Equal(since) || !open.Until.Equal(until) {
		fail("rejected with %+v, want state %v since %v until %v", open, m.effective(), m.clock(since), m.clock(until))
	}
}
