package fleet_test

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerredis/fleet"
)

// hostile is an engine in which others write what they like.
type hostile struct {
	rng      *rand.Rand // of the node's goroutine
	verdict  func() fleet.Verdict
	view     func() fleet.View
	events   func() (fleet.Event, bool)
	every    time.Duration
	reported atomic.Int64
}

func (h *hostile) Report(_ context.Context, reports []fleet.Report) ([]fleet.Verdict, error) {
	h.reported.Add(int64(len(reports)))
	all := make([]fleet.Verdict, len(reports))
	for i := range all {
		all[i] = h.verdict()
	}
	return all, nil
}

func (h *hostile) Look(context.Context, int64) (fleet.View, error) { return h.view(), nil }

func (h *hostile) SetMode(context.Context, fleet.Mode) error { return nil }

func (h *hostile) Listen(ctx context.Context, ready func(), got func(fleet.Event)) error {
	ready()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(h.every):
			if e, ok := h.events(); ok {
				got(e)
			}
		}
	}
}

func (h *hostile) number() int64 {
	return []int64{0, 1, -1, 3, 100, math.MaxInt64, math.MinInt64, h.rng.Int64()}[h.rng.IntN(8)]
}

func (h *hostile) anyVerdict() fleet.Verdict {
	n := func() int64 { return h.number() }
	return fleet.Verdict{
		Incident: n(), Suspected: h.rng.IntN(2) == 0, Age: time.Duration(n()), Bad: int(n()), Good: int(n()), Quiet: int(n()),
		Round: n(), Due: time.Duration(n()), Lease: time.Duration(n()),
	}
}

func withHostile(t *testing.T, h *hostile, test func(f *fleet.Fleet, set *breaker.Set)) {
	synctest.Test(t, func(t *testing.T) {
		h.rng = rand.New(rand.NewPCG(1, 1))
		if h.view == nil {
			h.view = func() fleet.View { return fleet.View{} }
		}
		if h.every == 0 {
			h.every = time.Second
		}
		if h.events == nil {
			h.events = func() (e fleet.Event, ok bool) { return e, false }
		}
		set := breaker.NewSet(breaker.Options{})
		set.Get(host)
		f, err := fleet.New(h, set, fleet.Options{Fleet: "test"})
		require.NoError(t, err)
		defer f.Close()
		test(f, set)
	})
}

func succeed(set *breaker.Set) (allowed bool) {
	p, err := set.Get(host).Allow(context.Background())
	if err == nil {
		p.Done(breaker.Success)
	}
	return err == nil
}

// Whatever stands in the store, a node neither panics nor spins, and opens for no
// longer than MaxOpenFor.
func TestGarbageFromTheEngine(t *testing.T) {
	h := &hostile{every: 20 * time.Millisecond}
	h.verdict = h.anyVerdict
	h.view = func() fleet.View {
		v := fleet.View{Version: h.number(), Keys: []string{host, "", strings.Repeat("k", 1<<20), "\x00\xff"}}
		for range 50 {
			v.Modes = append(v.Modes, fleet.Mode{
				Key: []string{"", host, "other"}[h.rng.IntN(3)], Mode: breaker.Mode(h.rng.IntN(200)),
				Reason: strings.Repeat("\xff", h.rng.IntN(1000)), For: time.Duration(h.number()),
			})
		}
		return v
	}
	events := rand.New(rand.NewPCG(2, 2))
	h.events = func() (fleet.Event, bool) {
		return fleet.Event{Kind: fleet.EventKind(events.IntN(256)), Key: []string{"", host, strings.Repeat("k", 1<<16)}[events.IntN(3)]}, true
	}
	withHostile(t, h, func(f *fleet.Fleet, set *breaker.Set) {
		for range 6000 {
			succeed(set)
			s := set.Get(host).Snapshot()
			assert.LessOrEqual(t, time.Until(s.Until), 45*time.Second)
			assert.LessOrEqual(t, len(s.Reason), 600)
			f.Status()
			time.Sleep(50 * time.Millisecond)
		}
		assert.Less(t, h.reported.Load(), int64(300*100), "reports in five minutes")
	})
}

// Messages alone open nothing: they make the node ask, at most once a second.
func TestForgedEventsOpenNothing(t *testing.T) {
	h := &hostile{every: 10 * time.Millisecond, verdict: func() fleet.Verdict { return fleet.Verdict{} }}
	h.events = func() (fleet.Event, bool) { return fleet.Event{Kind: fleet.Opened, Key: host}, true }
	withHostile(t, h, func(f *fleet.Fleet, set *breaker.Set) {
		for range 600 {
			assert.True(t, succeed(set))
			time.Sleep(100 * time.Millisecond)
		}
		assert.Less(t, h.reported.Load(), int64(65))
		assert.Greater(t, h.reported.Load(), int64(30))
	})
}

func TestAVerdictThatDoesNotFollowFromItsOpinionsIsIgnored(t *testing.T) {
	for name, v := range map[string]fleet.Verdict{
		"too few":      {Incident: 1, Suspected: true, Bad: 2},
		"none":         {Incident: 1, Suspected: true},
		"contradicted": {Incident: 1, Suspected: true, Bad: 80, Good: 20},
		"negative":     {Incident: 1, Suspected: true, Bad: 3, Good: -5},
	} {
		t.Run(name, func(t *testing.T) {
			h := &hostile{verdict: func() fleet.Verdict { return v }}
			h.view = func() fleet.View { return fleet.View{Version: 1, Keys: []string{host}} }
			withHostile(t, h, func(_ *fleet.Fleet, set *breaker.Set) {
				time.Sleep(time.Minute)
				assert.Equal(t, breaker.Closed, set.Get(host).State())
				assert.NotZero(t, h.reported.Load())
			})
		})
	}
}

// A verdict that never ends, with a probe that is never granted, holds nobody for
// longer than MaxOpenFor.
func TestAnIncidentInWhichNobodyProbesIsLetGo(t *testing.T) {
	h := &hostile{verdict: func() fleet.Verdict {
		return fleet.Verdict{Incident: 7, Suspected: true, Bad: 50, Due: time.Hour}
	}}
	h.view = func() fleet.View { return fleet.View{Version: 1, Keys: []string{host}} }
	withHostile(t, h, func(_ *fleet.Fleet, set *breaker.Set) {
		time.Sleep(time.Second) // before its first success
		var last time.Time
		longest := time.Duration(0)
		start := time.Now()
		for time.Since(start) < 10*time.Minute {
			if succeed(set) {
				last = time.Now()
			}
			if last.IsZero() {
				last = start
			}
			longest = max(longest, time.Since(last))
			time.Sleep(100 * time.Millisecond)
		}
		assert.Greater(t, longest, 30*time.Second, "it was held")
		assert.Less(t, longest, 55*time.Second, "MaxOpenFor, and the hold that was running")
	})
}

type short struct{ hostile }

func (s *short) Report(context.Context, []fleet.Report) ([]fleet.Verdict, error) { return nil, nil }

func TestAnEngineThatReturnsTooFewVerdictsCountsAsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &short{hostile{every: time.Second, events: func() (e fleet.Event, ok bool) { return e, false }, view: func() fleet.View { return fleet.View{} }}}
		set := breaker.NewSet(breaker.Options{})
		f, err := fleet.New(s, set, fleet.Options{Fleet: "test"})
		require.NoError(t, err)
		defer f.Close()
		for range 5 {
			p, err := set.Get(host).Allow(t.Context())
			require.NoError(t, err)
			p.Fail(errDown)
		}
		time.Sleep(100 * time.Millisecond)
		assert.False(t, f.Status().Reachable)
		assert.Contains(t, f.Status().Error, "0 verdicts on 1 reports")
	})
}
