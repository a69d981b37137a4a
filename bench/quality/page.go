package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"text/template"

	"github.com/seed-0b728cf8/httpbreaker/bench/peers"
	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// Report is all that the page is made of. It is kept beside the page as JSON.
type Report struct {
	Seeds    int
	Defaults string            // the rules of our defaults
	Versions map[string]string // module path: version
	Figures  Figures
}

func newReport(seeds int) *Report {
	r := &Report{Seeds: seeds, Defaults: breaker.Config{}.String(), Versions: map[string]string{}, Figures: Figures{}}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if peers.Modules[m.Path] != "" {
				r.Versions[m.Path] = m.Version
			}
		}
	}
	return r
}

const (
	pageFile    = "quality.md"
	figuresFile = "quality/figures.json"
)

func readReport(docs string) (*Report, error) {
	data, err := os.ReadFile(filepath.Join(docs, figuresFile))
	if err != nil {
		return nil, err
	}
	r := new(Report)
	return r, json.Unmarshal(data, r)
}

// resume takes over the figures of the last run, if there are any and they are
// of as many seeds. Without need it begins anew.
func (r *Report) resume(docs string, need bool) error {
	if !need {
		return nil
	}
	last, err := readReport(docs)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case last.Seeds != r.Seeds:
		return fmt.Errorf("the last run had %d seeds, not %d", last.Seeds, r.Seeds)
	}
	r.Figures = last.Figures
	return nil
}

// save writes the figures.
func (r *Report) save(docs string) error {
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(docs, figuresFile), append(data, '\n'), 0o644)
}

func (r *Report) writePage(docs string) error {
	page, err := r.page()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(docs, pageFile), page, 0o644)
}

//go:embed page.md.tmpl
var pageTemplate string

// page makes docs/quality.md.
func (r *Report) page() ([]byte, error) {
	funcs := template.FuncMap{
		"fig":      r.fig,
		"overview": r.overview,
		"goals":    r.goals,
		"table":    r.table,
		"plot":     picture,
		"measures": func() []sim.Measure { return sim.Measures },
		"policies": func() []*sim.Policy { return peers.All() },
		"version":  func(p *sim.Policy) string { return r.version(p) },
		"scenario": scenario,
		"rank":     r.rank,
		"remark":   func(id string) string { return remarks[id] },
	}
	t, err := template.New("page").Funcs(funcs).Parse(pageTemplate)
	if err != nil {
		return nil, err
	}
	var page bytes.Buffer
	if err := t.Execute(&page, r); err != nil {
		return nil, err
	}
	return page.Bytes(), nil
}

// Stories are all scenarios, for the template.
func (r *Report) Stories() []*sim.Scenario { return sim.Scenarios() }

func scenario(id string) (*sim.Scenario, error) {
	for _, s := range sim.Scenarios() {
		if s.ID == id {
			return s, nil
		}
	}
	return nil, fmt.Errorf("no scenario %q", id)
}

func (r *Report) version(p *sim.Policy) string {
	for path, library := range peers.Modules {
		if library == p.Library {
			return path + " " + r.Versions[path]
		}
	}
	return ""
}

// fig is one figure, for use within prose.
func (r *Report) fig(scenario, policy, id string) (string, error) {
	v, err := r.Figures.get(scenario, policy, id)
	return sim.MeasureOf(id).Text(v), err
}

// column is one of the overview.
type column struct{ scenario, measure, head string }

var columns = []column{
	{"S0", "healthy rejected", "healthy: rejected"},
	{"S1", "wasted", "down: wasted calls"},
	{"S1", "recover", "down: recovery p95"},
	{"S2", "good", "30 % errors: goodput"},
	{"S3", "good", "flapping: goodput"},
	{"S4", "wasted seconds", "hang: wasted call-s"},
	{"S5", "wasted", "little traffic: wasted"},
	{"S6", "good", "bad route: goodput"},
	{"S7", "recover", "cold restart: recovery p95"},
	{"S7", "herd", "cold restart: peak"},
	{"S8", "rejected after share", "own network lost: rejected after"},
	{"S13b", "wasted", "broken bodies: wasted"},
	{"S15", "rejected", "lost connection: rejected"},
}

// overview is the table of the telling figures. The best of each column is bold.
func (r *Report) overview() string {
	var rows []string
	seen := map[string]bool{}
	add := func(name string) {
		if !seen[name] {
			seen[name] = true
			rows = append(rows, name)
		}
	}
	add(oursName + ", " + peers.Defaults)
	add(oursName + ", " + suited)
	add(noBreaker)
	for _, settings := range []string{peers.LikeOurs, peers.Defaults} {
		for _, p := range peers.All() {
			if p.Settings == settings {
				add(policyName(p))
			}
		}
	}
	value := func(c column, name string) float64 {
		f := r.Figures[c.scenario]
		if f[name] == nil && name == oursName+", "+suited {
			name = oursName + ", " + peers.Defaults
		}
		return float64(f[name][c.measure])
	}
	// There is no herd where nobody ever comes back.
	competes := func(c column, name string) bool {
		return name != noBreaker && (c.measure != "herd" || !math.IsInf(value(column{c.scenario, "recover", ""}, name), 1))
	}
	var s strings.Builder
	s.WriteString("| |")
	for _, c := range columns {
		fmt.Fprintf(&s, " %s |", c.head)
	}
	s.WriteString("\n|---|" + strings.Repeat("--:|", len(columns)) + "\n")
	for _, name := range rows {
		fmt.Fprintf(&s, "| %s |", name)
		for _, c := range columns {
			m, v := sim.MeasureOf(c.measure), value(c, name)
			best := competes(c, name)
			for _, other := range rows {
				if competes(c, other) && m.Better(value(c, other), v) {
					best = false
				}
			}
			fmt.Fprintf(&s, " %s |", bold(m.Text(v), best))
		}
		s.WriteString("\n")
	}
	return s.String()
}

func bold(text string, yes bool) string {
	if yes {
		return "**" + text + "**"
	}
	return text
}

func (r *Report) goals() string {
	var s strings.Builder
	s.WriteString("| scenario | what | goal | reached | |\n|---|---|--:|--:|---|\n")
	for _, g := range goals {
		m := sim.MeasureOf(g.measure)
		v, name := r.Figures.ours(g)
		verdict, sign := "", "≤"
		if m.Higher {
			sign = "≥"
		}
		if !g.met(v, 0) {
			verdict = "**missed**"
		}
		with := ""
		if name == suited {
			with = " (" + suited + ")"
		}
		fmt.Fprintf(&s, "| %s%s | %s | %s %s | %s | %s |\n", g.scenario, with, m.Title, sign, m.Text(g.limit), m.Text(v), verdict)
	}
	return s.String()
}

// policiesShown are the policies of a scenario's table, ours first.
func policiesShown(id string) []*sim.Policy { return policiesFor(id, breaker.Config{}, false) }

// table is all that is shown of a scenario, for every policy.
func (r *Report) table(id string) (string, error) {
	var s strings.Builder
	s.WriteString("| |")
	for _, m := range shown[id] {
		fmt.Fprintf(&s, " %s |", sim.MeasureOf(m).Title)
	}
	s.WriteString("\n|---|" + strings.Repeat("--:|", len(shown[id])) + "\n")
	for _, p := range policiesShown(id) {
		name := policyName(p)
		fmt.Fprintf(&s, "| %s |", bold(name, p.Library == oursName))
		for _, m := range shown[id] {
			text, err := r.fig(id, name, m)
			if err != nil {
				return "", err
			}
			if m == "events" && !p.Notifies {
				text = "–"
			}
			fmt.Fprintf(&s, " %s |", text)
		}
		s.WriteString("\n")
	}
	return s.String(), nil
}

// rank says who is best in a scenario by its telling measure, and where ours are.
func (r *Report) rank(id string) string {
	m := sim.MeasureOf(shown[id][0])
	best, ours := 0.0, 0.0
	var leaders []string
	oursTitle := ""
	for _, p := range policiesShown(id) {
		if p.Library == noBreaker {
			continue
		}
		name := policyName(p)
		v := float64(r.Figures[id][name][m.ID])
		if p.Library == oursName {
			if oursTitle == "" || m.Better(v, ours) {
				ours, oursTitle = v, name
			}
		}
		switch {
		case leaders == nil || m.Better(v, best):
			best, leaders = v, []string{name}
		case m.Text(v) == m.Text(best):
			leaders = append(leaders, name)
		}
	}
	before := 0
	for _, p := range policiesShown(id) {
		if p.Library != noBreaker && p.Library != oursName && m.Better(float64(r.Figures[id][policyName(p)][m.ID]), ours) {
			before++
		}
	}
	switch {
	case before == 0 && len(leaders) > 4:
		return fmt.Sprintf("By %s, the best is %s, reached by %d settings, ours among them.", m.Title, m.Text(best), len(leaders))
	case before == 0:
		return fmt.Sprintf("By %s, the best is %s: %s.", m.Title, m.Text(best), strings.Join(leaders, "; "))
	case len(leaders) > 4:
		return fmt.Sprintf("By %s, the best is %s, reached by %d settings; ours has %s, and %d do better.",
			m.Title, m.Text(best), len(leaders), m.Text(ours), before)
	}
	return fmt.Sprintf("By %s, the best is %s: %s. Ours has %s, and %d do better.",
		m.Title, m.Text(best), strings.Join(leaders, "; "), m.Text(ours), before)
}

// picture embeds the plot of a scenario, if it has one.
func picture(id string) (string, error) {
	if _, ok := drawn[id]; !ok {
		return "", nil
	}
	s, err := scenario(id)
	if err != nil {
		return "", err
	}
	name := "quality/" + strings.ToLower(id)
	return fmt.Sprintf(`<picture>
  <source media="(prefers-color-scheme: dark)" srcset="%s-dark.svg">
  <img alt="%s: what became of the requests over time, for each library" src="%s-light.svg">
</picture>`, name, s.Title, name), nil
}
