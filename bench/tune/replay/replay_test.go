package replay_test

import (
	"bytes"
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/bench/peers"
	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
	"github.com/seed-0b728cf8/httpbreaker/bench/tune/logs"
	"github.com/seed-0b728cf8/httpbreaker/bench/tune/replay"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/record"
)

// steady waits without jitter: the simulator and a replay would draw it differently.
var steady = breaker.Config{Jitter: -1}

// stories have calls at moments of their own: of those that come at the same
// nanosecond a recording does not tell which was first.
func stories() map[string]*sim.Scenario {
	flawless := func(c sim.Call) sim.Answer { return sim.Answer{After: sim.Latency(c)} }
	story := func(rate float64, faulty func(sim.Call) sim.Answer) *sim.Scenario {
		return &sim.Scenario{
			ID: "replayed", Traffic: sim.Traffic{Rate: rate}, Before: 30 * time.Second,
			Fault: [2]time.Duration{time.Minute, time.Minute}, After: time.Minute, Server: sim.During(flawless, faulty),
		}
	}
	share := func(failing float64, how func(sim.Call) sim.Answer) func(sim.Call) sim.Answer {
		return func(c sim.Call) sim.Answer {
			if c.Other < failing {
				return how(c)
			}
			return flawless(c)
		}
	}
	flapping := story(50, sim.Refuse)
	flapping.Server = sim.Flapping(flawless, 5*time.Second, 5*time.Second)
	many := story(40, sim.Refuse)
	many.Clients, many.Routes, many.Circuits = 3, 2, 2
	all := map[string]*sim.Scenario{
		"down": story(100, sim.Refuse), "hang": story(100, sim.Hang), "quiet": story(0.2, sim.Refuse), "flapping": flapping,
		"half fails": story(50, share(0.5, sim.Refuse)), "70 % fail": story(50, share(0.7, sim.Refuse)),
		"60 % hang": story(50, share(0.6, sim.Hang)), "many circuits": many,
		"slow": story(20, func(c sim.Call) sim.Answer { return sim.Answer{After: sim.LatencyAround(c, 3*time.Second)} }),
	}
	for name, s := range all {
		s.ID = name // some libraries keep their circuits for ever, by their names
	}
	return all
}

// recorded runs a scenario under ours with config and returns what it recorded.
func recorded(t *testing.T, s *sim.Scenario, config breaker.Config) (*replay.Log, *sim.Run) {
	t.Helper()
	calls := 0 // none is recorded in the first run, which only counts them
	var text bytes.Buffer
	var r *record.Recorder
	play := func() *sim.Run {
		left := calls
		policy := peers.Ours("recorded", config, 0)
		policy.New = func(key string, _ func(sim.Change)) sim.Breaker {
			var hooks []breaker.Hooks
			if calls > 0 {
				if r == nil {
					r = record.New(&text, nil)
				}
				hooks = append(hooks, r.Hooks())
			}
			return circuit{breaker.New(key, config, hooks...), func() {
				if left--; left == 0 { // still in the bubble, to which the recorder belongs
					if err := r.Close(); err != nil {
						t.Error(err)
					}
				}
			}}
		}
		return sim.RunOne(t, sim.Job{Scenario: s, Policy: policy, Seed: 1})
	}
	calls = play().Requests
	run := play()
	if d := r.Stats().Dropped; d > 0 {
		t.Fatalf("%d calls are not in the recording", d)
	}

	var l replay.Log
	keys := logs.Keys{Limit: 100}
	report, err := logs.Read(&text, logs.Options{}, &keys, l.Add)
	if err != nil || report.BadAll > 0 {
		t.Fatal(err, report)
	}
	l.Keys, l.Begin, l.Recorded = keys.Names, report.Begin, config.Mode != breaker.Disabled
	if err := l.Sort(); err != nil {
		t.Fatal(err)
	}
	return &l, run
}

type circuit struct {
	*breaker.Breaker
	ended func()
}

func (c circuit) Allow() func(sim.Answer) {
	permit, err := c.Breaker.Allow(context.Background())
	if err != nil {
		c.ended()
		return nil
	}
	return func(a sim.Answer) {
		if a.Fate == sim.OK {
			permit.Done(breaker.Success)
		} else {
			permit.Done(breaker.Failure)
		}
		c.ended()
	}
}

// same compares a replay with a run of the simulator.
func same(t *testing.T, got *replay.Result, want *sim.Run) {
	t.Helper()
	failed := 0
	for _, b := range want.Bins {
		failed += b.Failed
	}
	f := got.Total
	for what, pair := range map[string][2]float64{
		"calls":          {float64(f.Calls), float64(want.Requests)},
		"rejected":       {float64(f.Rejected), float64(want.Rejected)},
		"most in flight": {float64(f.MostInFlight), float64(want.PeakInFlight)},
		"failures sent":  {float64(f.Failed - f.Spared), float64(failed)},
		"wasted calls":   {float64(f.Failed - f.Spared), float64(want.Wasted)},
		"wasted seconds": {f.FailedSeconds, want.WastedSeconds},
	} {
		if math.Abs(pair[0]-pair[1]) > 1e-9*pair[1] {
			t.Errorf("%s: %v in the replay, %v in the simulator", what, pair[0], pair[1])
		}
	}
}

// What was recorded under some settings is, replayed under the same, what happened.
func TestAReplayOfWhatWasRecordedIsWhatHappened(t *testing.T) {
	for name, s := range stories() {
		for settings, config := range map[string]breaker.Config{
			"defaults": steady,
			"slow":     {Jitter: -1, SlowCall: time.Second},
			"eager":    {Jitter: -1, ConsecutiveFailures: 2, ConsecutiveSpan: -1, OpenFor: time.Second},
		} {
			t.Run(name+", "+settings, func(t *testing.T) {
				l, run := recorded(t, s, config)
				got, err := replay.Run(t, l, []replay.Guard{replay.Ours("again", config)}, replay.Options{})
				if err != nil {
					t.Fatal(err)
				}
				f := got[0].Total
				if f.Unknown != run.Rejected || f.Spared+f.Lost > 0 || f.Guessed > 0 {
					t.Errorf("%+v: decided otherwise than it did", f)
				}
				same(t, got[0], run)
			})
		}
	}
}

// What was recorded without a breaker is, replayed under some settings, what the
// simulator says of them.
func TestAReplayUnderOtherSettingsIsWhatWouldHaveHappened(t *testing.T) {
	for name, s := range stories() {
		t.Run(name, func(t *testing.T) {
			l, bare := recorded(t, s, breaker.Config{Mode: breaker.Disabled})
			guards := []replay.Guard{replay.None()}
			want := []*sim.Run{bare}
			for settings, config := range map[string]breaker.Config{
				"defaults": steady,
				"slow":     {Jitter: -1, SlowCall: time.Second},
				"a count":  {Jitter: -1, Failures: 10, OpenFor: 3 * time.Second},
			} {
				guards = append(guards, replay.Ours(settings, config))
				want = append(want, sim.RunOne(t, sim.Job{Scenario: s, Policy: peers.Ours(settings, config, 0), Seed: 1}))
			}
			for _, p := range peers.All() {
				if p.Library == "sony/gobreaker" || p.Library == "failsafe-go" && p.Settings == peers.Defaults {
					guards = append(guards, replay.Peer(p))
					want = append(want, sim.RunOne(t, sim.Job{Scenario: s, Policy: p, Seed: 1}))
				}
			}
			got, err := replay.Run(t, l, guards, replay.Options{Bins: 100})
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range got {
				if r.Total.Failed > 0 || i > 0 {
					same(t, r, want[i])
				}
			}
		})
	}
}

func TestTheFiguresAddUp(t *testing.T) {
	l, _ := recorded(t, stories()["many circuits"], breaker.Config{Mode: breaker.Disabled})
	got, err := replay.Run(t, l, []replay.Guard{replay.None(), replay.Ours("ours", steady)}, replay.Options{Bins: 50})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range got {
		f, h := r.Total, r.Halves
		if f.Calls != l.Calls || f.Good+f.Failed != f.Calls || f.Spared+f.Lost != f.Rejected {
			t.Errorf("%+v", f)
		}
		if h[0].Calls != l.Calls/2 || h[0].Calls+h[1].Calls != f.Calls || h[0].Spared+h[1].Spared != f.Spared ||
			h[0].Lost+h[1].Lost != f.Lost || h[0].Openings+h[1].Openings != f.Openings ||
			math.Abs(h[0].FailedSeconds+h[1].FailedSeconds-f.FailedSeconds) > 1e-6 {
			t.Errorf("the halves %+v are not the whole %+v", h, f)
		}
		good, failed, rejected, most := 0, 0, 0, 0
		for _, b := range r.Bins {
			good, failed, rejected, most = good+b.Good, failed+b.Failed, rejected+b.Rejected, max(most, b.InFlight)
		}
		if good+f.Lost != f.Good || failed+f.Spared != f.Failed || rejected != f.Rejected || most != f.MostInFlight || len(r.Bins) > 50 {
			t.Errorf("the bins have %d good, %d failed, %d rejected, at most %d in flight; the figures are %+v", good, failed, rejected, most, f)
		}
		if len(r.Keys) != len(l.Keys) || len(l.Keys) != 6 {
			t.Errorf("%d hosts of %d", len(r.Keys), len(l.Keys))
		}
	}
	if f := got[1].Total; f.Openings < 6 || f.OpenSeconds < 6*40 || f.OpenSeconds > 6*80 {
		t.Errorf("six circuits open for about a minute each: %+v", f)
	}
	if f := got[0].Total; f.Rejected+f.Openings > 0 || f.OpenSeconds > 0 {
		t.Errorf("without a breaker: %+v", f)
	}
}

func TestTooManyCallsInFlightAreAMistakeInTheUnit(t *testing.T) {
	l := replay.Log{Keys: []string{"a"}}
	for i := range 401_000 {
		_ = l.Add(logs.Call{Start: int64(i), Took: int64(23 * time.Hour)})
	}
	_ = l.Sort()
	_, err := replay.Run(t, &l, []replay.Guard{replay.None()}, replay.Options{})
	if err == nil || !strings.Contains(err.Error(), "is the unit of the durations right?") {
		t.Errorf("error %v", err)
	}
}

func TestHostileLogs(t *testing.T) {
	day := int64(24 * time.Hour)
	for name, c := range map[string]struct {
		calls []logs.Call
		want  string
	}{
		"a hundred years without a call": {calls: []logs.Call{{Start: 0, Outcome: logs.Failed}, {Start: 36500 * day, Took: day, Outcome: logs.Failed}}},
		"every call at one moment":       {calls: make([]logs.Call, 10_000)},
		"only rejections":                {calls: []logs.Call{{Outcome: logs.Rejected}, {Start: 5, Outcome: logs.Rejected}}},
		"nothing":                        {},
	} {
		t.Run(name, func(t *testing.T) {
			l := replay.Log{Keys: []string{"a"}}
			for _, call := range c.calls {
				_ = l.Add(call)
			}
			_ = l.Sort()
			guards := []replay.Guard{replay.None(), replay.Ours("ours", breaker.Config{})}
			for _, p := range peers.All() {
				guards = append(guards, replay.Peer(p))
			}
			if _, err := replay.Run(t, &l, guards, replay.Options{Bins: 10}); err != nil {
				t.Error(err)
			}
		})
	}
}
