package search

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/bench/tune/logs"
	"github.com/seed-0b728cf8/httpbreaker/bench/tune/replay"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// log makes ten calls a second for an hour; failing says of each whether it fails.
func log(t *testing.T, failing func(second int, luck float64) bool) *replay.Log {
	t.Helper()
	l := &replay.Log{Keys: []string{"a"}}
	rng := rand.New(rand.NewPCG(1, 1))
	start := time.Date(2026, 3, 10, 9, 0, 0, 0, time.UTC).UnixNano()
	for i := range 36_000 {
		o := logs.Succeeded
		if failing(i/10, rng.Float64()) {
			o = logs.Failed
		}
		if err := l.Add(logs.Call{Start: start + int64(i)*1e8 + rng.Int64N(1e8), Took: 1e7 + rng.Int64N(1e7), Outcome: o}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Sort(); err != nil {
		t.Fatal(err)
	}
	return l
}

var fewer = Options{Rounds: 2, Each: 20}

// patient is slow to see an outage, so that others are better.
var patient = breaker.Config{ConsecutiveFailures: 100, ConsecutiveSpan: 10 * time.Second, FailureRate: -1, OpenFor: 10 * time.Second}

func TestBetterSettingsAreFoundAndHold(t *testing.T) {
	l := log(t, func(second int, _ float64) bool { return second%240 < 45 }) // an outage every four minutes
	f, err := Run(t, l, patient, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if f.Best.Config.String() == patient.String() || len(f.Warnings) > 0 {
		t.Fatalf("%+v, %q", f.Best, f.Warnings)
	}
	for half := range 2 {
		_, sent := f.Best.cost(half)
		_, before := f.Today.cost(half)
		if sent > before/2 {
			t.Errorf("half %d: %d failures sent, where %d were", half, sent, before)
		}
		if f.Best.Halves[half].Lost > f.Today.Halves[half].Lost+9 {
			t.Errorf("half %d: %+v", half, f.Best.Halves[half])
		}
	}
	if n := changes(f.Best.Config); n > changes(patient)+4 {
		t.Errorf("%d settings changed, where few matter: %s", n, f.Best.Config)
	}
	for i := range f.Frontier {
		for j := range f.Frontier {
			if f.Frontier[i].beats(&f.Frontier[j], 0) {
				t.Errorf("%+v beats %+v", f.Frontier[i], f.Frontier[j])
			}
		}
	}
}

func TestTheSecondHalfIsTheTest(t *testing.T) {
	half := func(lost, spared int) replay.Figures {
		return replay.Figures{Calls: 11_000, Good: 10_000, Failed: 1000, Lost: lost, Spared: spared}
	}
	today := Tried{Halves: [2]replay.Figures{half(5, 500), half(5, 500)}}
	for name, c := range map[string]struct {
		second replay.Figures // under what was found on the first half
		warn   string
		keeps  bool // today's settings
	}{
		"it holds":                           {second: half(5, 900)},
		"it spares fewer there":              {half(5, 300), "Over-fitted", true},
		"it spares no more, and loses more":  {half(500, 500), "Over-fitted", true},
		"it spares more, and loses far more": {half(500, 900), "more than on the first half", false},
		"there is nothing to spare":          {replay.Figures{Calls: 10_000, Good: 10_000}, "no failures in the second half", false},
	} {
		t.Run(name, func(t *testing.T) {
			f := Found{Today: today, Best: Tried{
				Config: breaker.Config{OpenFor: time.Second}, Halves: [2]replay.Figures{half(5, 900), c.second},
			}}
			if c.second.Failed == 0 {
				f.Today.Halves[1] = c.second
			}
			f.check()
			if c.warn == "" && len(f.Warnings) > 0 || c.warn != "" && (len(f.Warnings) != 1 || !strings.Contains(f.Warnings[0], c.warn)) {
				t.Errorf("warnings %q, want %q", f.Warnings, c.warn)
			}
			if keeps := f.Best.Config.OpenFor == 0; keeps != c.keeps {
				t.Errorf("keeps today's settings: %v", keeps)
			}
		})
	}
}

func TestALogThatCannotTeachSaysSo(t *testing.T) {
	f, err := Run(t, log(t, func(int, float64) bool { return false }), breaker.Config{}, fewer)
	if err != nil || len(f.Warnings) == 0 || f.Best.Config.String() != (breaker.Config{}).String() {
		t.Errorf("%+v, %v", f, err)
	}
	early := log(t, func(second int, _ float64) bool { return second < 1200 && second%600 < 60 })
	f, err = Run(t, early, patient, fewer)
	if err != nil || len(f.Warnings) != 1 || f.Best.Config.String() == patient.String() {
		t.Errorf("%+v, %v", f, err)
	}
	again, err := Run(t, early, patient, fewer)
	if err != nil || again.Best.Config.String() != f.Best.Config.String() {
		t.Errorf("the same search finds %s, and %s", f.Best.Config, again.Best.Config)
	}
}
