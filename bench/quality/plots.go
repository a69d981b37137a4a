package main

import (
	"os"
	"slices"
	"strings"

	"github.com/seed-0b728cf8/httpbreaker/bench/peers"
	"github.com/seed-0b728cf8/httpbreaker/bench/plots"
	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

func plotFile(s *sim.Scenario) string {
	return strings.ToLower(strings.TrimSuffix(s.ID, "%")) + ".svg"
}

// seedDrawn is the seed of the run that is drawn: the one whose fault has the
// middle length.
func seedDrawn(s *sim.Scenario, seeds int) uint64 {
	all := make([]uint64, seeds)
	for i := range all {
		all[i] = uint64(i) + 1
	}
	slices.SortStableFunc(all, func(a, b uint64) int { return int(s.FaultLength(a) - s.FaultLength(b)) })
	return all[seeds/2]
}

// drawn are the policies in a picture: ours, none, and each peer once, like ours if that can be set.
func drawn(s *sim.Scenario) []*sim.Policy {
	all := policiesFor(s, breaker.Config{})
	libraries := map[string]*sim.Policy{}
	for _, p := range all {
		if p.Name() == ours || p.Library != ours && (libraries[p.Library] == nil || p.Settings == peers.LikeOurs) {
			libraries[p.Library] = p
		}
	}
	return slices.DeleteFunc(all, func(p *sim.Policy) bool { return libraries[p.Library] != p })
}

// draw writes the picture of a story.
func draw(s *sim.Scenario, runs map[string]*sim.Run) error {
	chart := plots.Chart{Kind: s.Plot.Kind, Before: s.Plot.Before, After: s.Plot.After, Columns: 4}
	for _, p := range drawn(s) {
		run := runs[p.Name()]
		chart.Panels = append(chart.Panels, plots.Panel{Title: p.Library, Note: sim.Note(run, s.Figures...), Ours: p.Library == ours, Run: run})
		if s.Plot.Capacity != nil {
			chart.Capacity = func(t float64) float64 { return s.Plot.Capacity(t, run.FaultLength) }
		}
	}
	file, err := os.Create(results("quality", plotFile(s)))
	if err != nil {
		return err
	}
	defer file.Close()
	if err := chart.SVG(file, plots.Light); err != nil {
		return err
	}
	return file.Close()
}
