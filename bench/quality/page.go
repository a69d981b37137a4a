package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/template"

	"github.com/seed-0b728cf8/httpbreaker/bench/peers"
	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

//go:embed page.md.tmpl
var pageTemplate string

// page makes quality.md of the figures, and of those from before.
func (r *Report) page(before *Report) ([]byte, error) {
	funcs := template.FuncMap{
		"before":   func() *Report { return before },
		"overview": r.overview,
		"summary":  func() string { return r.summary(before.Figures) },
		"groups":   sim.Groups,
		"table":    r.table,
		"plot":     picture,
		"titles":   titles,
		"measures": func() []sim.Measure { return sim.Measures },
		"policies": func() []*sim.Policy { return allPolicies(breaker.Config{}) },
	}
	t, err := template.New("page").Funcs(funcs).Parse(pageTemplate)
	if err != nil {
		return nil, err
	}
	var page bytes.Buffer
	err = t.Execute(&page, r)
	return page.Bytes(), err
}

// writePage writes the page from the figures as they were written: rounded.
func writePage() error {
	r, err := readReport(results("quality", "figures.json"))
	if err != nil {
		return err
	}
	before, err := readReport(results("quality", "baseline.json"))
	if err != nil {
		return err
	}
	page, err := r.page(before)
	if err != nil {
		return err
	}
	return os.WriteFile(results("quality.md"), page, 0o644)
}

// text is some figures of a policy in a scenario, or nothing if it was not run.
func (f Figures) text(scenario, policy string, measures []string) string {
	var all []string
	for _, id := range measures {
		if v, ok := f.get(scenario, policy, id); ok {
			all = append(all, sim.MeasureOf(id).Text(v))
		}
	}
	return strings.Join(all, " / ")
}

// titles are what the figures of a scenario are.
func titles(measures []string) string {
	var all []string
	for _, id := range measures {
		all = append(all, sim.MeasureOf(id).Title)
	}
	return strings.Join(all, " / ")
}

// columns are those of the overview: scenario, measure and what it says.
var columns = []struct{ scenario, measure, head string }{
	{"S0", "rejected", "healthy: rejected"},
	{"S1", "wasted", "down: wasted calls"},
	{"S1", "recover", "down: recovery p95"},
	{"S2", "good", "30 % errors: goodput"},
	{"S2c", "good", "50 % errors: goodput"},
	{"S3", "good", "flapping: goodput"},
	{"S4", "wasted seconds", "hang: wasted call-s"},
	{"S4-60%", "good", "60 % hang: goodput"},
	{"S5", "wasted", "little traffic: wasted"},
	{"S7", "recover", "cold restart: recovery p95"},
	{"S7", "herd", "cold restart: peak"},
	{"S17-60", "good", "overload: goodput"},
}

// overview is the table of the telling figures.
func (r *Report) overview() string {
	var s strings.Builder
	s.WriteString("| |")
	for _, c := range columns {
		fmt.Fprintf(&s, " %s |", c.head)
	}
	s.WriteString("\n|---|" + strings.Repeat("--:|", len(columns)) + "\n")
	for _, p := range policiesFor(sim.Scenarios()[0], breaker.Config{}) {
		fmt.Fprintf(&s, "| %s |", bold(p))
		for _, c := range columns {
			fmt.Fprintf(&s, " %s |", r.Figures.text(c.scenario, p.Name(), []string{c.measure}))
		}
		s.WriteString("\n")
	}
	return s.String()
}

func bold(p *sim.Policy) string {
	if p.Name() == ours {
		return "**" + p.Name() + "**"
	}
	return p.Name()
}

// summary is a line for each story: ours, before, the goal and the peers.
func (r *Report) summary(before Figures) string {
	var s strings.Builder
	s.WriteString("| story | figures | ours | before | goals | best safe peer | better in both | better, and not safe |\n|---|---|--:|--:|---|---|---|---|\n")
	goals := r.Figures.goals(sim.Scenarios())
	for _, story := range sim.Scenarios() {
		var wanted []string
		for _, o := range goals {
			if o.scenario.ID != story.ID {
				continue
			}
			text := o.measure.Title + " " + o.limit()
			if !o.met() {
				text = fmt.Sprintf("**missed**: %s, is %s", text, o.measure.Text(o.v))
			}
			wanted = append(wanted, text)
		}
		both := compared(story)
		best := r.best(story)
		ahead, unsafe := r.Figures.ahead(story)
		fmt.Fprintf(&s, "| %s %s | %s | %s | %s | %s | %s: %s | %s | %s |\n", story.ID, story.Title, titles(both),
			r.Figures.text(story.ID, ours, both), before.text(story.ID, ours, both), strings.Join(wanted, "; "),
			best, r.Figures.text(story.ID, best, both), strings.Join(ahead, "; "), strings.Join(unsafe, "; "))
	}
	return s.String()
}

// best is the safe peer with the best telling figure of a story.
func (r *Report) best(s *sim.Scenario) (best string) {
	m := sim.MeasureOf(s.Figures[0])
	for _, p := range peers.All() {
		v, ok := r.Figures.get(s.ID, p.Name(), m.ID)
		top, _ := r.Figures.get(s.ID, best, m.ID)
		if ok && r.Figures.unsafe(p.Name()) == nil && (best == "" || m.Better(v, top, 0)) {
			best = p.Name()
		}
	}
	return best
}

// table is all figures of the stories of a group: a line for each policy.
func (r *Report) table(g sim.Group) string {
	var s strings.Builder
	s.WriteString("| |")
	for _, story := range g.Stories {
		fmt.Fprintf(&s, " %s |", story.ID)
	}
	s.WriteString("\n|---|" + strings.Repeat("--:|", len(g.Stories)) + "\n")
	for _, p := range allPolicies(breaker.Config{}) {
		if !slices.ContainsFunc(g.Stories, func(s *sim.Scenario) bool { return r.Figures[s.ID][p.Name()] != nil }) {
			continue
		}
		fmt.Fprintf(&s, "| %s |", bold(p))
		for _, story := range g.Stories {
			fmt.Fprintf(&s, " %s |", r.Figures.text(story.ID, p.Name(), story.Figures))
		}
		s.WriteString("\n")
	}
	return s.String()
}

// picture embeds the plot of a story, if it has one.
func picture(s *sim.Scenario) string {
	if s.Plot == nil {
		return ""
	}
	return fmt.Sprintf("![%s: what became of the calls over time, for each library](quality/%s)", s.Title, plotFile(s))
}
