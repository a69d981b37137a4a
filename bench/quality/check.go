package main

import (
	"fmt"
	"io"
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

// A safe policy rejects at most this share of the calls where nothing is wrong, in
// per cent.
const safe = 0.05

// unsafe returns the first story in which nothing is wrong and a policy rejects
// more than that, or nil.
func (f Figures) unsafe(policy string) *sim.Scenario {
	for _, s := range sim.Scenarios() {
		if v, ok := f.get(s.ID, policy, "rejected"); s.Well && (!ok || v > safe) {
			return s
		}
	}
	return nil
}

// beyond is by how much a peer has to be better to count.
const beyond = 0.03

// ahead returns the peers that are better than ours in all of the first two figures
// of a scenario. While one of them is safe, ours is not on the frontier.
func (f Figures) ahead(s *sim.Scenario) (ahead, unsafe []string) {
	for policy := range f[s.ID] {
		if policy == noBreaker || strings.HasPrefix(policy, ours) {
			continue
		}
		behind := func(id string) bool {
			m := sim.MeasureOf(id)
			theirs, _ := f.get(s.ID, policy, id)
			v, _ := f.get(s.ID, ours, id)
			return !m.Better(theirs, v, beyond)
		}
		if slices.ContainsFunc(compared(s), behind) {
			continue
		}
		text := fmt.Sprintf("%s (%s)", policy, f.text(s.ID, policy, compared(s)))
		if story := f.unsafe(policy); story != nil {
			unsafe = append(unsafe, fmt.Sprintf("%s, and %s rejected in %s", text, f.text(story.ID, policy, []string{"rejected"}), story.ID))
		} else {
			ahead = append(ahead, text)
		}
	}
	slices.Sort(ahead)
	slices.Sort(unsafe)
	return ahead, unsafe
}

// compared are the figures that the frontier is about.
func compared(s *sim.Scenario) []string {
	return s.Figures[:min(2, len(s.Figures))]
}

// worse reports whether ours is worse than before in a figure of a scenario, and
// better in none.
func (f Figures) worse(s *sim.Scenario, before Figures) bool {
	worse, better := false, false
	for _, id := range s.Figures {
		m := sim.MeasureOf(id)
		now, ok := f.get(s.ID, ours, id)
		was, known := before.get(s.ID, ours, id)
		if ok && known {
			worse = worse || m.Better(was, now, beyond)
			better = better || m.Better(now, was, beyond)
		}
	}
	return worse && !better
}

// check prints what ours has reached of the goals of the stories, where a safe
// peer is better, and where ours is worse than before; it returns how often a goal
// is missed or a peer is better. Peers that were not run have the figures of the
// last whole run.
func (f Figures) check(w io.Writer, stories []*sim.Scenario, before Figures) (missed int) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "story\tgoal\t\treached\tbefore\t")
	goals := f.goals(stories)
	for _, o := range goals {
		verdict := ""
		if !o.met() {
			missed++
			verdict = "MISSED"
		}
		id := o.measure.ID
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\n", o.scenario.ID, o.measure.Title, o.limit(), o.measure.Text(o.v),
			before.text(o.scenario.ID, ours, []string{id}), verdict)
	}
	_ = tw.Flush()
	fmt.Fprintln(w)
	behind := 0
	for _, s := range stories {
		both := compared(s)
		ahead, unsafe := f.ahead(s)
		about := fmt.Sprintf("%s, %s %s: ", s.ID, titles(both), f.text(s.ID, ours, both))
		if len(ahead) > 0 {
			behind++
			fmt.Fprintln(w, "not on the frontier:", about+strings.Join(ahead, "; "))
		}
		if len(unsafe) > 0 {
			fmt.Fprintln(w, "better, and not safe:", about+strings.Join(unsafe, "; "))
		}
		if f.worse(s, before) {
			fmt.Fprintf(w, "worse than before: %s, %s %s, was %s\n", s.ID, titles(s.Figures),
				f.text(s.ID, ours, s.Figures), before.text(s.ID, ours, s.Figures))
		}
	}
	fmt.Fprintf(w, "%d of %d goals reached; on the frontier in %d of %d stories\n", len(goals)-missed, len(goals), len(stories)-behind, len(stories))
	return missed + behind
}
