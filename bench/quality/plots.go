package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed-0b728cf8/httpbreaker/bench/peers"
	"github.com/seed-0b728cf8/httpbreaker/bench/plots"
	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
)

// drawn are the scenarios with a picture, and how each is drawn.
var drawn = map[string]plots.Chart{
	"S0":   {Before: 120},
	"S1":   {Before: 15, After: 60},
	"S2":   {Before: 15, After: 45},
	"S3":   {Before: 15, After: 45},
	"S4":   {Before: 15, After: 45, Kind: plots.InFlight},
	"S5":   {Before: 240, After: 480},
	"S6":   {Before: 15, After: 45},
	"S7":   {Before: 15, After: 75, Kind: plots.Arrivals},
	"S8":   {Before: 15, After: 75},
	"S9":   {Before: 15, After: 45},
	"S10":  {Before: 60, After: 60},
	"S11":  {Before: 15, After: 90},
	"S12":  {Before: 540},
	"S13b": {Before: 15, After: 45},
	"S14":  {Before: 15, After: 60},
	"S15":  {Before: 20, After: 20},
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

// panels reports whether a policy is drawn: the peers in settings like ours
// where they can be set, and ours in those suited to the scenario.
func isDrawn(p *sim.Policy, among []*sim.Policy) bool {
	better := map[string]string{oursName: suited}[p.Library]
	if better == "" {
		better = peers.LikeOurs
	}
	return p.Settings == better || !slices.ContainsFunc(among, func(o *sim.Policy) bool {
		return o.Library == p.Library && o.Settings == better
	})
}

// draw writes the pictures of a scenario.
func draw(docs string, s *sim.Scenario, runs map[string]*sim.Run) error {
	chart, ok := drawn[s.ID]
	if !ok {
		return nil
	}
	chart.Columns = 4
	policies := policiesShown(s.ID)
	for _, p := range policies {
		if !isDrawn(p, policies) {
			continue
		}
		run := runs[policyName(p)]
		title := p.Library
		if p.Settings == suited {
			title += ", " + suited
		}
		chart.Panels = append(chart.Panels, plots.Panel{Title: title, Note: sim.Note(run, shown[s.ID]...), Ours: p.Library == oursName, Run: run})
		if s.ID == "S7" {
			chart.Capacity = sim.QueueCapacity(run.FaultLength)
		}
	}
	for name, theme := range map[string]plots.Theme{"light": plots.Light, "dark": plots.Dark} {
		file, err := os.Create(filepath.Join(docs, "quality", strings.ToLower(s.ID)+"-"+name+".svg"))
		if err != nil {
			return err
		}
		if err := chart.SVG(file, theme); err != nil {
			return err
		}
		if err := file.Close(); err != nil {
			return err
		}
	}
	return nil
}
