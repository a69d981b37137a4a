package breaker_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// A rig drives one breaker in a bubble of virtual time, and fails the test when
// a call is not let through or rejected as it should be.
type rig struct {
	*testing.T
	b     *breaker.Breaker
	start time.Time
	seen  *[]breaker.Transition
}

// inBubble runs play with a breaker of its own.
func inBubble(t *testing.T, cfg breaker.Config, play func(rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { play(newRig(t, cfg)) })
}

func newRig(t *testing.T, cfg breaker.Config) rig {
	seen := new([]breaker.Transition)
	b := breaker.New("peer", cfg, breaker.Hooks{StateChanged: func(c breaker.Transition) { *seen = append(*seen, c) }})
	return rig{t, b, time.Now(), seen}
}

var errBroken = errors.New("broken")

// admit makes a call that has to be let through; its end is still to come.
func (r rig) admit() *breaker.Permit {
	r.Helper()
	p, err := r.b.Allow(context.Background())
	if err != nil {
		r.Fatalf("at %v: rejected: %v", r.now(), err)
	}
	return &p
}

// reject makes a call that has to be rejected.
func (r rig) reject() *breaker.OpenError {
	r.Helper()
	p, err := r.b.Allow(context.Background())
	if err == nil {
		p.Done(breaker.Ignored)
		r.Fatalf("at %v: let through; the circuit is %v", r.now(), r.b.State())
	}
	var open *breaker.OpenError
	if !errors.As(err, &open) {
		r.Fatalf("at %v: rejected with a %T", r.now(), err)
	}
	return open
}

// succeed, fail and ignore make calls that end at once.
func (r rig) succeed(n int) { r.Helper(); r.calls(n, breaker.Success) }
func (r rig) fail(n int)    { r.Helper(); r.calls(n, breaker.Failure) }
func (r rig) ignore(n int)  { r.Helper(); r.calls(n, breaker.Ignored) }

func (r rig) calls(n int, o breaker.Outcome) {
	r.Helper()
	for range n {
		r.admit().Done(o)
	}
}

// failAt fails one call at each of these times after the start.
func (r rig) failAt(at ...time.Duration) {
	r.Helper()
	for _, d := range at {
		r.sleepUntil(d)
		r.fail(1)
	}
}

func (r rig) sleepUntil(at time.Duration) { time.Sleep(time.Until(r.start.Add(at))) }

func (r rig) now() time.Duration { return time.Since(r.start) }

func (r rig) want(s breaker.State) {
	r.Helper()
	if got := r.b.State(); got != s {
		r.Fatalf("at %v: %v, want %v; %+v", r.now(), got, s, r.b.Snapshot())
	}
}

// wantOpenFor checks for how long from now the circuit is open.
func (r rig) wantOpenFor(d time.Duration) {
	r.Helper()
	r.want(breaker.Open)
	if got := time.Until(r.b.Snapshot().Until); got != d {
		r.Fatalf("at %v: open for %v, want %v", r.now(), got, d)
	}
}

// wantSeen checks the states that the circuit went through.
func (r rig) wantSeen(to ...breaker.State) {
	r.Helper()
	var got []breaker.State
	for _, c := range *r.seen {
		got = append(got, c.To)
	}
	if len(got) != len(to) {
		r.Fatalf("went through %v, want %v", got, to)
	}
	for i := range to {
		if got[i] != to[i] {
			r.Fatalf("went through %v, want %v", got, to)
		}
	}
}

// Rule sets of which one part matters.
var (
	// plain is the breaker of the textbooks, without a rule to open by.
	plain = breaker.Config{
		ShedRate: -1, ConsecutiveFailures: -1, IndependentFailures: -1, Chance: -1, HangAfter: -1,
		OpenFor: 10 * time.Second, MaxOpenFor: 64 * time.Second, ProbeShare: -1, SlowStart: -1, Jitter: -1,
	}
	// countRule opens on the third failure within a minute.
	countRule = with(plain, func(c *breaker.Config) { c.Window, c.Failures = time.Minute, 3 })
	// runRule opens on the third failure in a row.
	runRule = with(plain, func(c *breaker.Config) { c.ConsecutiveFailures, c.ConsecutiveSpan = 3, -1 })
)

// with returns a copy of cfg with some changes.
func with(cfg breaker.Config, change func(*breaker.Config)) breaker.Config {
	change(&cfg)
	return cfg
}
