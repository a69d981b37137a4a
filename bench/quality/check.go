package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
)

// outcome is one goal and what came of it.
type outcome struct {
	scenario *sim.Scenario
	measure  *sim.Measure
	goal     float64
	v        float64
}

func (o outcome) met() bool {
	if o.measure.Higher {
		return o.v >= o.goal
	}
	return o.v <= o.goal
}

// limit is the goal for people.
func (o outcome) limit() string {
	if o.measure.Higher {
		return "≥ " + o.measure.Text(o.goal)
	}
	return "≤ " + o.measure.Text(o.goal)
}

// goals are those of the stories that were measured, in order.
func (f Figures) goals(stories []*sim.Scenario) []outcome {
	var all []outcome
	for _, s := range stories {
		for i := range sim.Measures {
			m := &sim.Measures[i]
			goal, wanted := s.Goals[m.ID]
			if v, ok := f.get(s.ID, ours, m.ID); wanted && ok {
				all = append(all, outcome{s, m, goal, v})
			}
		}
	}
	return all
}

// A safe policy rejects at most this share of a healthy host's calls, in per cent …
const safe = 0.05

// … in these scenarios.
var healthy = []string{"S0", "S0b", "S0c", "S0d"}

func (f Figures) safe(policy string) bool {
	return !slices.ContainsFunc(healthy, func(id string) bool {
		v, ok := f.get(id, policy, "rejected")
		return !ok || v > safe
	})
}

// beyond is by how much a peer has to be better to count.
const beyond = 0.03

// ahead returns the safe peers that are better than ours in all of the first two
// figures of a scenario: while there is one, ours is not on the frontier.
func (f Figures) ahead(s *sim.Scenario) []string {
	var ahead []string
	for policy := range f[s.ID] {
		if policy == noBreaker || strings.HasPrefix(policy, ours) || !f.safe(policy) {
			continue
		}
		behind := func(id string) bool {
			m := sim.MeasureOf(id)
			theirs, _ := f.get(s.ID, policy, id)
			v, _ := f.get(s.ID, ours, id)
			return !m.Better(theirs, v) || math.Abs(theirs-v) <= beyond*math.Abs(v)
		}
		if !slices.ContainsFunc(compared(s), behind) {
			ahead = append(ahead, policy)
		}
	}
	slices.Sort(ahead)
	return ahead
}

// compared are the figures that the frontier is about.
func compared(s *sim.Scenario) []string {
	two := s.Figures[:min(2, len(s.Figures))]
	return slices.DeleteFunc(slices.Clone(two), func(id string) bool { return id == "events" })
}

// check prints the goals of the scenarios and the peers that are ahead, beside the
// figures from before, and returns how many are missed. Peers that were not run are
// judged by the figures of the last whole run.
func (f Figures) check(w io.Writer, stories []*sim.Scenario, before Figures) (missed int) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "story\tgoal\t\treached\tbefore\t")
	reached := 0
	for _, o := range f.goals(stories) {
		verdict := ""
		if o.met() {
			reached++
		} else {
			missed++
			verdict = "MISSED"
		}
		was := "–"
		if v, ok := before.get(o.scenario.ID, ours, o.measure.ID); ok {
			was = o.measure.Text(v)
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\n", o.scenario.ID, o.measure.Title, o.limit(), o.measure.Text(o.v), was, verdict)
	}
	_ = tw.Flush()
	fmt.Fprintln(w)
	behind := 0
	for _, s := range stories {
		ahead := f.ahead(s)
		if len(ahead) == 0 {
			continue
		}
		behind++
		fmt.Fprintf(w, "%s: better in both are", s.ID)
		for _, policy := range append([]string{ours}, ahead...) {
			var figures []string
			for _, id := range compared(s) {
				v, _ := f.get(s.ID, policy, id)
				figures = append(figures, sim.MeasureOf(id).Text(v))
			}
			if policy == ours {
				fmt.Fprintf(w, " (ours: %s)", strings.Join(figures, ", "))
				continue
			}
			fmt.Fprintf(w, "; %s (%s)", policy, strings.Join(figures, ", "))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "goals: %d reached, %d missed; frontier: on it in %d stories, not in %d\n", reached, missed, len(stories)-behind, behind)
	return missed + behind
}
