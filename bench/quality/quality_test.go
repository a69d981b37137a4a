package main

import (
	"bytes"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/seed-0b728cf8/httpbreaker/bench/peers"
	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// The page says nothing that was not measured.
func TestPageIsGenerated(t *testing.T) {
	report, err := readReport(results("quality", "figures.json"))
	if err != nil {
		t.Fatal(err)
	}
	before, err := readReport(results("quality", "baseline.json"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := report.page(before)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(results("quality.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("bench/results/quality.md is not what its figures make; run: go run ./bench/quality -page")
	}
	if report.Defaults != (breaker.Config{}).String() {
		t.Errorf("bench/results/quality.md was measured with other defaults: %s; run: go run ./bench/quality -keep", report.Defaults)
	}
}

func TestStoriesAreChosenByPattern(t *testing.T) {
	for only, want := range map[string][]string{
		"S4,S7":  {"S4", "S7"},
		"S0*":    {"S0", "S0b", "S0c", "S0d"},
		"S2-?0%": {"S2-60%", "S2-70%", "S2-90%"},
	} {
		stories, err := options{only: only}.stories()
		if err != nil {
			t.Error(err)
		}
		var got []string
		for _, s := range stories {
			got = append(got, s.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("-only %s is %v, want %v", only, got, want)
		}
	}
	for _, only := range []string{"S99", "S4,", "["} {
		if _, err := (options{only: only}).stories(); err == nil {
			t.Errorf("-only %q is taken", only)
		}
	}
}

func TestPoliciesAreChosenByName(t *testing.T) {
	if err := checkList("ours,peers,no breaker,plain"); err != nil {
		t.Error(err)
	}
	if err := checkList("ours,nobody"); err == nil {
		t.Error("nobody is taken for a policy")
	}
	for list, want := range map[string]int{"ours": 1, "plain": 1, "sony": 2, "": len(allPolicies(breaker.Config{})), "peers": len(peers.All())} {
		got := 0
		for _, p := range allPolicies(breaker.Config{}) {
			if chosen(p, list) {
				got++
			}
		}
		if got != want {
			t.Errorf("-policies %q chooses %d, want %d", list, got, want)
		}
	}
}

// A peer is ahead if it is safe, and better in both figures by more than 3 %.
func TestFrontier(t *testing.T) {
	story := &sim.Scenario{ID: "story", Figures: []string{"good", "wasted", "detect"}}
	for _, tt := range []struct {
		name                   string
		good, wasted, rejected float64
		ahead, unsafe          bool
	}{
		{"better in both", 60, 90, 0, true, false},
		{"as good in one", 50, 90, 0, false, false},
		{"better by less than 3 %", 51, 90, 0, false, false},
		{"worse in one", 60, 110, 0, false, false},
		{"rejects healthy calls", 60, 90, 0.06, false, true},
		{"not measured", math.NaN(), 90, 0, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := Figures{"story": {
				ours:   {"good": 50, "wasted": 100, "detect": 1},
				"peer": {"good": Figure(tt.good), "wasted": Figure(tt.wasted), "detect": 9},
			}}
			for _, s := range sim.Scenarios() {
				f[s.ID] = ByPolicy{"peer": {"rejected": Figure(tt.rejected)}}
			}
			ahead, unsafe := f.ahead(story)
			if len(ahead) > 0 != tt.ahead || len(unsafe) > 0 != tt.unsafe {
				t.Errorf("ahead: %q, unsafe: %q; want %v, %v", ahead, unsafe, tt.ahead, tt.unsafe)
			}
		})
	}
}

// What is worse and pays for nothing is told.
func TestWorseThanBefore(t *testing.T) {
	story := &sim.Scenario{ID: "story", Figures: []string{"good", "wasted"}}
	figures := func(good, wasted Figure) Figures {
		return Figures{"story": {ours: {"good": good, "wasted": wasted}}}
	}
	for now, want := range map[[2]Figure]bool{{50, 100}: false, {40, 100}: true, {40, 90}: false, {50, 110}: true, {60, 110}: false} {
		if got := figures(now[0], now[1]).worse(story, figures(50, 100)); got != want {
			t.Errorf("50 %% and 100 before, %v now: worse is %v, want %v", now, got, want)
		}
	}
	if figures(50, 100).worse(story, Figures{}) {
		t.Error("worse than what was not measured")
	}
}

// over is a figure over a few seeds.
func over(t *testing.T, id, measured string, config breaker.Config) float64 {
	t.Helper()
	stories, err := options{only: id}.stories()
	if err != nil {
		t.Fatal(err)
	}
	var runs []*sim.Run
	var jobs []sim.Job
	for seed := range 2 {
		jobs = append(jobs, sim.Job{Scenario: stories[0], Policy: peers.Ours("", config, 0), Seed: uint64(seed) + 1})
	}
	sim.RunAll(t, jobs, func(_ sim.Job, r *sim.Run) { runs = append(runs, r) })
	return sim.MeasureOf(measured).Over(runs)
}

// Bugs put in on purpose must show in the figures, or the figures are worth nothing.
func TestFiguresShowBugs(t *testing.T) {
	tests := []struct {
		name, scenario, measure string
		bug                     func(*breaker.Config)
		factor                  float64 // by which the figure gets worse, at least
	}{
		{"probes without limit", "S4", "wasted seconds", func(c *breaker.Config) { c.Probes = 10_000 }, 1.5},
		{"no rule for a run of failures", "S5", "wasted", func(c *breaker.Config) { c.ConsecutiveFailures = -1 }, 2},
		{"no rule for independent failures", "S1", "detect", func(c *breaker.Config) { c.IndependentFailures = -1 }, 2},
		{"no wait for one event to be over", "S15", "rejected", func(c *breaker.Config) { c.ConsecutiveSpan = -1 }, 2},
		{"opens at the first failure", "S0", "rejected", func(c *breaker.Config) { c.Failures = 1 }, 2},
		{"no look at calls that wait", "S4", "in flight", func(c *breaker.Config) { c.HangAfter = -1 }, 3},
		{"all calls at once after the first good probe", "S7", "herd", func(c *breaker.Config) { c.SlowStart = -1 }, 1.2},
		{"probes by time alone", "S3c", "rejected", func(c *breaker.Config) { c.ProbeShare = -1 }, 2},
		{"all or nothing", "S2c", "rejected", func(c *breaker.Config) { c.ShedRate, c.FailureRate = -1, 0.5 }, 5},
	}
	for _, tt := range tests {
		t.Run(tt.name+", "+tt.scenario, func(t *testing.T) {
			var broken breaker.Config
			tt.bug(&broken)
			before, after := over(t, tt.scenario, tt.measure, breaker.Config{}), over(t, tt.scenario, tt.measure, broken)
			t.Logf("%s: %.4g sound, %.4g broken", tt.measure, before, after)
			if after <= before*tt.factor || after == 0 {
				t.Errorf("the figure does not show the bug: %.4g sound, %.4g broken", before, after)
			}
		})
	}
}
