package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// What other processes say of a peer (Hold, Retry), and what operators do to all
// circuits.

// hold is Hold in the generation that is looked at now.
func (r rig) hold(d time.Duration, reason string) bool {
	return r.b.Hold(r.b.Snapshot().Generation, d, reason)
}

func (r rig) retry(d time.Duration) bool { return r.b.Retry(r.b.Snapshot().Generation, d) }

func TestHoldOpensAClosedCircuit(t *testing.T) {
	inBubble(t, runRule, func(r rig) {
		r.fail(2)
		if !r.hold(20*time.Second, "9 of 10 processes say that it is down") {
			r.Fatal("refused")
		}
		r.wantOpenFor(20 * time.Second)
		const reason = "9 of 10 processes say that it is down"
		if e := r.reject(); e.Origin != breaker.ByFleet || !e.Fleet || e.Reason != reason || !e.OutageSince.Equal(r.start) {
			r.Errorf("%+v", e)
		}
		if s := r.b.Snapshot(); s.Origin != breaker.ByFleet || !s.Fleet || s.Reason != reason || !s.OutageSince.Equal(r.start) || s.Totals.Opened != 1 {
			r.Errorf("%+v", s)
		}
		r.wantSeen(breaker.Open)
		if c := (*r.seen)[0]; c.Origin != breaker.ByFleet || !c.Fleet || c.Reason != reason || !c.Until.Equal(r.start.Add(20*time.Second)) {
			r.Errorf("%+v", c)
		}
		time.Sleep(20*time.Second - 1)
		r.reject()
		time.Sleep(1 * time.Nanosecond)
		r.fail(1)
		r.wantOpenFor(10 * time.Second) // the rules' first opening: the backoff is as it was
		time.Sleep(10 * time.Second)
		r.succeed(1)
		if s := r.b.Snapshot(); s.Fleet || s.State != breaker.Closed || !s.OutageSince.IsZero() {
			r.Errorf("%+v", s)
		}
	})
}

// Of an open circuit Hold may put off the end, and changes nothing else.
func TestHoldLengthensAndNeverShortens(t *testing.T) {
	for d, want := range map[time.Duration]time.Duration{
		1: 10 * time.Second, 10*time.Second - 1: 10 * time.Second, 10*time.Second + 1: 10*time.Second + 1, time.Hour: time.Hour,
	} {
		inBubble(t, runRule, func(r rig) {
			r.fail(3)
			r.reject()
			before := r.b.Snapshot()
			for range 2 {
				if !r.hold(d, "others say so") {
					r.Fatal("refused")
				}
			}
			r.wantOpenFor(want)
			e := r.reject()
			if e.Origin != breaker.ByRules || e.Reason != before.Reason || !e.Fleet || !e.Until.Equal(r.start.Add(want)) || !e.Since.Equal(r.start) {
				r.Errorf("%+v", e)
			}
			after := r.b.Snapshot()
			before.Until, before.Fleet, before.Totals.Rejected, before.OutageRejected = after.Until, true, 2, 2
			if after != before {
				r.Errorf("\n got %+v\nwant %+v", after, before)
			}
			r.wantSeen(breaker.Open)
			time.Sleep(want - 1)
			r.reject()
			time.Sleep(1 * time.Nanosecond)
			r.fail(1)
			r.wantOpenFor(20 * time.Second) // the second opening by the rules
		})
	}
	inBubble(t, runRule, func(r rig) { // one that is open for ever
		r.b.Trip(1<<63-1, "for ever")
		if !r.hold(time.Second, "others say so") || !r.b.Snapshot().Until.IsZero() {
			r.Errorf("%+v", r.b.Snapshot())
		}
	})
	inBubble(t, runRule, func(r rig) { // one whose time is over
		r.fail(3)
		time.Sleep(time.Minute)
		r.hold(5*time.Second, "others say so")
		r.wantOpenFor(5 * time.Second)
		r.reject()
	})
}

// reached says how to bring a breaker into some state: what each method does there.
var reached = map[string]struct {
	cfg         breaker.Config
	reach       func(rig)
	hold, retry bool // whether it acts
}{
	"closed":          {runRule, func(rig) {}, true, false},
	"closed, failing": {runRule, func(r rig) { r.fail(2) }, true, false},
	"open":            {runRule, func(r rig) { r.fail(3) }, true, true},
	"open, due":       {runRule, func(r rig) { r.fail(3); time.Sleep(time.Minute) }, true, true},
	"tripped":         {runRule, func(r rig) { r.b.Trip(time.Minute, "test") }, true, false},
	"tripped by the peer": {runRule, func(r rig) {
		r.admit().Trip(time.Minute, "the peer asked for it")
	}, true, false},
	"held":           {runRule, func(r rig) { r.hold(time.Minute, "test") }, true, true},
	"probed":         {runRule, func(r rig) { r.fail(3); time.Sleep(10 * time.Second); r.admit() }, false, false},
	"slow start":     {slowStartRule, func(r rig) { r.toSlowStart() }, false, false},
	"shedding":       {shedRule, func(r rig) { r.toShedding() }, false, false},
	"observed, open": {with(runRule, func(c *breaker.Config) { c.Mode = breaker.Observe }), func(r rig) { r.fail(3) }, true, true},
	"observed":       {with(runRule, func(c *breaker.Config) { c.Mode = breaker.Observe }), func(rig) {}, true, false},
	"disabled":       {runRule, func(r rig) { r.b.SetMode(breaker.Disabled, "test") }, false, false},
	"disabled, open": {runRule, func(r rig) { r.fail(3); r.b.SetMode(breaker.Disabled, "test") }, false, false},
	"forced open":    {runRule, func(r rig) { r.b.SetMode(breaker.ForceOpen, "test") }, false, false},
	"forced, open":   {runRule, func(r rig) { r.fail(3); r.b.SetMode(breaker.ForceOpen, "test") }, false, false},
}

// slowStartRule opens on the third failure in a row and comes back by a slow start with
// two calls in flight; shedRule rejects a share from one half of ten calls on.
var (
	slowStartRule = with(runRule, func(c *breaker.Config) { c.SlowStart = 2 })
	shedRule      = with(plain, func(c *breaker.Config) { c.ShedRate, c.MinCalls, c.ConsecutiveFailures = 0.5, 10, -1 })
)

// toSlowStart brings a circuit with slowStartRule to the slow start.
func (r rig) toSlowStart() {
	r.Helper()
	for range 20 {
		r.succeed(1)
		time.Sleep(50 * time.Millisecond)
	}
	r.fail(3)
	for r.b.State() == breaker.Open {
		if p, err := r.b.Allow(r.Context()); err == nil {
			p.Done(breaker.Success)
		}
		time.Sleep(50 * time.Millisecond)
	}
	r.want(breaker.HalfOpen)
	if reason := r.b.Snapshot().Reason; !strings.Contains(reason, "slow start") {
		r.Fatalf("half-open, and the reason is %q", reason)
	}
}

// toShedding brings a circuit with shedRule to rejecting a share.
func (r rig) toShedding() {
	r.Helper()
	r.succeed(5)
	r.fail(4)
	time.Sleep(time.Second)
	r.fail(2)
	r.want(breaker.HalfOpen)
	if s := r.b.Snapshot(); s.Share <= 0 || s.Share >= 1 || !strings.Contains(s.Reason, "share") {
		r.Fatalf("%+v", s)
	}
}

// Where Hold and Retry do not act they say so, and change nothing. A generation that has
// passed is such a place, and a time that is none another.
func TestHoldAndRetryActWhereTheySaySo(t *testing.T) {
	for name, at := range reached {
		t.Run(name, func(t *testing.T) {
			for what, act := range map[string]func(r rig) (acts, want bool){
				"Hold":                      func(r rig) (bool, bool) { return r.hold(time.Hour, "others say so"), at.hold },
				"Retry":                     func(r rig) (bool, bool) { return r.retry(time.Hour), at.retry },
				"Hold for no time":          func(r rig) (bool, bool) { return r.hold(0, "others say so"), false },
				"Hold for less than none":   func(r rig) (bool, bool) { return r.hold(-1, "others say so"), false },
				"Hold of what has passed":   func(r rig) (bool, bool) { return r.b.Hold(r.b.Snapshot().Generation-1, time.Hour, "x"), false },
				"Hold of what is to come":   func(r rig) (bool, bool) { return r.b.Hold(r.b.Snapshot().Generation+1, time.Hour, "x"), false },
				"Retry of what has passed":  func(r rig) (bool, bool) { return r.b.Retry(r.b.Snapshot().Generation-1, time.Hour), false },
				"Retry of what is to come":  func(r rig) (bool, bool) { return r.b.Retry(r.b.Snapshot().Generation+1, time.Hour), false },
				"Hold of a huge generation": func(r rig) (bool, bool) { return r.b.Hold(1<<63|r.b.Snapshot().Generation, time.Hour, "x"), false },
			} {
				inBubble(t, at.cfg, func(r rig) {
					at.reach(r)
					before, seen := r.b.Snapshot(), len(*r.seen)
					acts, want := act(r)
					if acts != want {
						r.Errorf("%s: %t, want %t", what, acts, want)
					}
					after := r.b.Snapshot()
					if !acts && (after != before || len(*r.seen) != seen) {
						r.Errorf("%s: said no, and\n     %+v\nbecame %+v", what, before, after)
					}
					if acts && !after.Until.Equal(time.Now().Add(time.Hour)) {
						r.Errorf("%s: said yes, and is open until %v", what, after.Until)
					}
				})
			}
		})
	}
}

// A generation ends where the state counts calls anew, so that an opinion about an
// outage that is over moves nothing.
func TestGenerationPassesWithEachOpeningProbeAndClosing(t *testing.T) {
	inBubble(t, runRule, func(r rig) {
		seen := map[uint64]bool{}
		next := func(what string) {
			r.Helper()
			g := r.b.Snapshot().Generation
			if seen[g] {
				r.Errorf("%s: in a generation that has been", what)
			}
			seen[g] = true
			for old := range seen {
				if old != g && (r.b.Hold(old, time.Hour, "too late") || r.b.Retry(old, time.Hour)) {
					r.Errorf("%s: acts on an earlier generation", what)
				}
			}
		}
		next("made")
		r.fail(3)
		next("opened")
		time.Sleep(10 * time.Second)
		p := r.admit()
		next("probed")
		p.Done(breaker.Failure)
		next("open again")
		time.Sleep(20 * time.Second)
		r.succeed(1)
		next("closed")
		r.b.Trip(time.Second, "test")
		next("tripped")
		r.b.Reset("test")
		next("reset")
		if c := *r.seen; c[0].Generation == c[1].Generation {
			r.Errorf("transitions of one generation: %+v", c)
		}
		if last := (*r.seen)[len(*r.seen)-1]; last.Generation != r.b.Snapshot().Generation {
			r.Errorf("the last transition led to generation %d, and it is %d", last.Generation, r.b.Snapshot().Generation)
		}
	})
}

// Retry moves the time of the probe, and keeps reason and origin.
func TestRetryMovesTheProbe(t *testing.T) {
	for _, held := range []bool{false, true} {
		for d, want := range map[time.Duration]time.Duration{
			-1: 0, 0: 0, 1: 1, time.Second: time.Second, time.Hour: time.Hour,
		} {
			inBubble(t, runRule, func(r rig) {
				origin := breaker.ByRules
				if held {
					r.hold(10*time.Second, "others say so")
					origin = breaker.ByFleet
				} else {
					r.fail(3)
				}
				before := r.b.Snapshot()
				time.Sleep(time.Second)
				if !r.retry(d) {
					r.Fatal("refused")
				}
				r.wantOpenFor(want)
				after := r.b.Snapshot()
				before.Until, before.Totals.OpenTime = after.Until, time.Second
				if after != before || after.Origin != origin {
					r.Errorf("\n got %+v\nwant %+v", after, before)
				}
				if want > 0 {
					if e := r.reject(); !e.Until.Equal(after.Until) || e.Reason != after.Reason || e.Origin != origin || e.Fleet != held {
						r.Errorf("%+v", e)
					}
					time.Sleep(want - 1)
					r.reject()
					time.Sleep(1 * time.Nanosecond)
				}
				if p := r.admit(); !p.Probe() {
					r.Error("let through, and not as a probe")
				}
			})
		}
	}
}

// What operators do is told as what they did, whether or not it moved the circuit.
func TestOperationsAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []breaker.Operation
		hooks := breaker.Hooks{Operated: func(op breaker.Operation) { got = append(got, op) }}
		b := breaker.New("peer", runRule, hooks)
		start := time.Now()
		b.Trip(time.Minute, "maintenance, by ann")
		b.Trip(0, "again")
		time.Sleep(time.Second)
		b.Reset("done, by ann")
		b.Reset("")
		b.SetMode(breaker.Observe, "first week")
		b.SetMode(breaker.Observe, "first week")
		b.Update(countRule) // is no operator's act on the state
		b.Hold(b.Snapshot().Generation, time.Second, "fleet")
		b.Retry(b.Snapshot().Generation, time.Second)
		then := start.Add(time.Second)
		want := []breaker.Operation{
			{Key: "peer", At: start, Act: breaker.ActTrip, Reason: "maintenance, by ann"},
			{Key: "peer", At: start, Act: breaker.ActTrip, Reason: "again"},
			{Key: "peer", At: then, Act: breaker.ActReset, Reason: "done, by ann"},
			{Key: "peer", At: then, Act: breaker.ActReset},
			{Key: "peer", At: then, Act: breaker.ActMode, Mode: breaker.Observe, Reason: "first week"},
			{Key: "peer", At: then, Act: breaker.ActMode, Mode: breaker.Observe, Reason: "first week"},
		}
		if len(got) != len(want) {
			t.Fatalf("told of %+v", got)
		}
		for i := range want {
			if !got[i].At.Equal(want[i].At) {
				t.Errorf("%d: at %v, want %v", i, got[i].At, want[i].At)
			}
			got[i].At = want[i].At
			if got[i] != want[i] {
				t.Errorf("%d: %+v, want %+v", i, got[i], want[i])
			}
		}
	})
}

// The reason of Reset is told, and Reset knows no slow start.
func TestResetClosesAtOnceAndSaysWhy(t *testing.T) {
	for name, at := range reached {
		t.Run(name, func(t *testing.T) {
			inBubble(t, at.cfg, func(r rig) {
				at.reach(r)
				mode := r.b.Snapshot().Mode
				r.b.Reset("repaired, by ann")
				s := r.b.Snapshot()
				if mode == breaker.ForceOpen {
					if s.State != breaker.Open {
						t.Errorf("%+v", s)
					}
					r.b.SetMode(breaker.Enforce, "")
					s = r.b.Snapshot()
				}
				if s.State != breaker.Closed || s.Share != 1 || s.Counts != (breaker.Counts{}) || !s.OutageSince.IsZero() || s.LastFailure != "" {
					t.Errorf("%+v", s)
				}
				if mode == breaker.Enforce && (s.Reason != "repaired, by ann" || s.Origin != breaker.ByOperator) {
					t.Errorf("%+v", s)
				}
				if strings.HasPrefix(name, "closed") || mode != breaker.Enforce {
					return
				}
				if c := (*r.seen)[len(*r.seen)-1]; c.To != breaker.Closed || c.Reason != "repaired, by ann" || c.Origin != breaker.ByOperator {
					t.Errorf("%+v", c)
				}
				for range 100 {
					r.admit()
				}
			})
		})
	}
}

// All circuits, those to come included, have the mode that was set for all; Enforce
// gives those to come what their Config says.
func TestSetModeIsForAllCircuits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []breaker.Operation
		var moved []string
		set := breaker.NewSet(breaker.Options{
			Config:   runRule,
			Override: func(key string, c *breaker.Config) { c.Mode = map[string]breaker.Mode{"watched": breaker.Observe}[key] },
			Hooks: []breaker.Hooks{{
				Operated:     func(op breaker.Operation) { got = append(got, op) },
				StateChanged: func(c breaker.Transition) { moved = append(moved, c.Key) },
			}},
		})
		for i := range 10 {
			set.Get(strconv.Itoa(i))
		}
		set.Get("open").Trip(time.Hour, "test")
		got, moved = nil, nil
		check := func(mode breaker.Mode, reason string, keys ...string) {
			t.Helper()
			for _, key := range keys {
				s := set.Get(key).Snapshot()
				if s.Mode != mode || mode != breaker.Enforce && s.Reason != reason {
					t.Errorf("%s: mode %v for %q, want %v for %q", key, s.Mode, s.Reason, mode, reason)
				}
			}
		}
		set.SetMode(breaker.ForceOpen, "data leak, by ann")
		check(breaker.ForceOpen, "data leak, by ann", "0", "9", "open", "new", "watched")
		if _, err := set.Get("newer").Allow(t.Context()); err == nil {
			t.Error("a circuit that came later lets calls through")
		} else if open := new(breaker.OpenError); !errors.As(err, &open) || open.Reason != "data leak, by ann" || open.Mode != breaker.ForceOpen {
			t.Errorf("%+v", open)
		}
		if len(moved) != 10 {
			t.Errorf("transitions of %v, want one of each that was closed", moved)
		}
		set.SetMode(breaker.Disabled, "breaker trouble")
		check(breaker.Disabled, "breaker trouble", "0", "9", "open", "new", "watched", "newest")
		set.SetMode(breaker.Enforce, "over")
		check(breaker.Enforce, "", "0", "9", "open", "new", "newest", "yet another")
		if s := set.Get("open").Snapshot(); s.State != breaker.Open || s.Reason == "" {
			t.Errorf("what the rules had made is gone: %+v", s)
		}
		set.Remove("watched")
		if s := set.Get("watched").Snapshot(); s.Mode != breaker.Observe {
			t.Errorf("a new key has mode %v, its Config says observe", s.Mode)
		}
		for i := range got {
			got[i].At = time.Time{}
		}
		if want := fmt.Sprint([]breaker.Operation{
			{Act: breaker.ActMode, Mode: breaker.ForceOpen, Reason: "data leak, by ann"},
			{Act: breaker.ActMode, Mode: breaker.Disabled, Reason: "breaker trouble"},
			{Act: breaker.ActMode, Mode: breaker.Enforce, Reason: "over"},
		}); fmt.Sprint(got) != want {
			t.Errorf("told of %v, want %v", got, want)
		}
	})
}

// The circuits to come are also those that were there before and had to make room: no
// record of an earlier mode brings that back.
func TestSetModeIsForEvictedCircuitsToo(t *testing.T) {
	for _, before := range []breaker.Mode{breaker.Enforce, breaker.Observe, breaker.ForceOpen, breaker.Disabled} {
		for _, after := range []breaker.Mode{breaker.Enforce, breaker.Observe, breaker.ForceOpen, breaker.Disabled} {
			set := breaker.NewSet(breaker.Options{Config: runRule, MaxKeys: 10})
			set.Get("open").Trip(time.Hour, "test")
			set.Get("closed")
			set.SetMode(before, "before")
			for i := range 100 {
				set.Get(strconv.Itoa(i))
			}
			set.SetMode(after, "after")
			for key, state := range map[string]breaker.State{"open": breaker.Open, "closed": breaker.Closed} {
				s := set.Get(key).Snapshot()
				switch after {
				case breaker.ForceOpen:
					state = breaker.Open
				case breaker.Disabled:
					state = breaker.Closed
				}
				if s.Mode != after || s.State != state {
					t.Errorf("%v, then %v: %s comes back %v in mode %v", before, after, key, s.State, s.Mode)
				}
			}
		}
	}
}

func TestSetModeOfNoSuchModePanics(t *testing.T) {
	for what, f := range map[string]func(){
		"Breaker": func() { breaker.New("peer", runRule).SetMode(4, "") },
		"Set":     func() { breaker.NewSet(breaker.Options{}).SetMode(255, "") },
	} {
		func() {
			defer func() {
				if p := fmt.Sprint(recover()); !strings.Contains(p, "want one of") {
					t.Errorf("%s: panics with %q", what, p)
				}
			}()
			f()
		}()
	}
}

// Failures are told with their error, late ones too; successes and ignored calls are not.
func TestFailedHearsOfFailuresAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []breaker.Call
		b := breaker.New("peer", runRule, breaker.Hooks{Failed: func(c breaker.Call) { got = append(got, c) }})
		r := rig{T: t, b: b}
		late := r.admit()
		r.succeed(20)
		r.ignore(2)
		for range 3 {
			r.admit().Fail(errBroken)
		}
		late.Fail(errBroken)
		time.Sleep(10 * time.Second)
		_, err := breaker.Do(t.Context(), b, func(context.Context) (int, error) { return 0, errBroken })
		if err != errBroken || len(got) != 5 {
			t.Fatalf("%v, told of %d failures, want 5: %+v", err, len(got), got)
		}
		for i, c := range got {
			if c.Key != "peer" || c.Outcome != breaker.Failure || c.Err != errBroken || c.Late != (i == 3) || c.Probe != (i == 4) {
				t.Errorf("%d: %+v", i, c)
			}
		}
	})
}

// Who comes into a set and goes is told, once each.
func TestAddedAndEvictedAreTold(t *testing.T) {
	var events []string
	set := breaker.NewSet(breaker.Options{MaxKeys: 2, Hooks: []breaker.Hooks{{
		Added:   func(key string) { events = append(events, "+"+key) },
		Evicted: func(key string) { events = append(events, "-"+key) },
	}}})
	set.Get("a")
	set.Get("a")
	set.Get("b")
	set.Get("c")
	set.Remove("c")
	set.Remove("c")
	set.Get("c")
	got := strings.Join(events, " ")
	if got != "+a +b -a +c -c +c" && got != "+a +b -b +c -c +c" {
		t.Errorf("told of %s", got)
	}
}
