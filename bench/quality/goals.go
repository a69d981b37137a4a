package main

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"

	"github.com/seed-0b728cf8/httpbreaker/bench/peers"
	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
)

// goal is a figure that the defaults (or the settings that the manual suggests
// for such a case) have to reach.
type goal struct {
	scenario, measure string
	limit             float64 // at most, or at least if more is better
}

var goals = []goal{
	{"S0", "healthy rejected", 0.01},
	{"S0b", "healthy rejected", 0.01},
	{"S0c", "healthy rejected", 0.01},
	{"S0d", "healthy rejected", 0.01},
	{"S1", "wasted", 150},
	{"S1", "detect", 1.2},
	{"S1", "recover", 10},
	{"S2", "good", 95},
	{"S3", "good", 50},
	{"S4", "wasted seconds", 2000},
	{"S4", "in flight", 200},
	{"S5", "wasted", 20},
	{"S6r", "good", 95},
	{"S7", "recover", 25},
	{"S7", "herd", 1.3},
	{"S8", "rejected after share", 2},
	{"S10", "healthy rejected", 0},
	{"S11", "healthy rejected", 0},
	{"S12", "rejected", 0},
	{"S14", "rejected", 0},
	{"S15", "rejected", 0},
	{"S15b", "rejected", 0},
}

// met reports whether v is good enough. Figures of short runs are rough: slack
// widens the limit by that share.
func (g goal) met(v, slack float64) bool {
	if sim.MeasureOf(g.measure).Higher {
		return v >= g.limit*(1-slack)
	}
	return v <= g.limit*(1+slack)
}

// ours is our figure for a goal: with the settings suited to the scenario, if
// there are any, else with the others.
func (f Figures) ours(g goal) (v float64, settings string) {
	for _, settings := range []string{suited, peers.Defaults, changed} {
		if v, ok := f[g.scenario][oursName+", "+settings][g.measure]; ok {
			return float64(v), settings
		}
	}
	return math.NaN(), ""
}

// check prints how ours did against each goal and reports whether all are met.
func check(w io.Writer, f Figures, slack float64) bool {
	all := true
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "scenario\twhat\tours\tgoal\t")
	for _, g := range goals {
		if f[g.scenario] == nil {
			continue
		}
		m := sim.MeasureOf(g.measure)
		v, settings := f.ours(g)
		sign, verdict := "≤", ""
		if m.Higher {
			sign = "≥"
		}
		if !g.met(v, slack) {
			verdict, all = "MISSED", false
		}
		fmt.Fprintf(tw, "%s (%s)\t%s\t%s\t%s %s\t%s\n", g.scenario, settings, m.Title, m.Text(v), sign, m.Text(g.limit), verdict)
	}
	_ = tw.Flush()
	return all
}
