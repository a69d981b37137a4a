package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-0b728cf8/httpbreaker/bench/peers"
	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// The page says nothing that was not measured.
func TestPageIsGenerated(t *testing.T) {
	report, err := readReport("../../docs")
	if err != nil {
		t.Fatal(err)
	}
	want, err := report.page()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join("../../docs", pageFile))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/quality.md is not what its figures make; run: go run ./quality -page")
	}
	if report.Defaults != (breaker.Config{}).String() {
		t.Errorf("docs/quality.md was measured with other defaults: %s; run: go run ./quality -keep", report.Defaults)
	}
}

// over is a figure over a few seeds.
func over(t *testing.T, id, measured string, config breaker.Config) float64 {
	t.Helper()
	s, err := scenario(id)
	if err != nil {
		t.Fatal(err)
	}
	var runs []*sim.Run
	var jobs []sim.Job
	for seed := range 2 {
		jobs = append(jobs, sim.Job{Scenario: s, Policy: peers.Ours(changed, config, 0), Seed: uint64(seed) + 1})
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
		{"no ramp", "S7", "herd", func(c *breaker.Config) { c.Ramp = 0 }, 1.2},
		{"no rule for a run of failures", "S1", "wasted", func(c *breaker.Config) { c.ConsecutiveFailures = -1 }, 2},
		{"no wait for one event to be over", "S15", "rejected", func(c *breaker.Config) { c.ConsecutiveSpan = -1 }, 2},
		{"no look at calls in flight", "S4", "in flight", func(c *breaker.Config) { c.SlowCall = -1 }, 4},
		{"opens at the first failure", "S0", "healthy rejected", func(c *breaker.Config) { c.Failures = 1 }, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name+", "+tt.scenario, func(t *testing.T) {
			sound, _, _ := suitedTo(tt.scenario, breaker.Config{})
			broken := sound
			tt.bug(&broken)
			before, after := over(t, tt.scenario, tt.measure, sound), over(t, tt.scenario, tt.measure, broken)
			t.Logf("%s: %.4g sound, %.4g broken", tt.measure, before, after)
			if after <= before*tt.factor || after == 0 {
				t.Errorf("the figure does not show the bug: %.4g sound, %.4g broken", before, after)
			}
		})
	}
}
