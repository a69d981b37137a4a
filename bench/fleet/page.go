package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"text/template"

	"github.com/seed-0b728cf8/httpbreaker/bench/plots"
	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
)

//go:embed page.md.tmpl
var pageText string

// Peer is a row of the page: a figure of the adapter and one of its peer.
type Peer struct{ What, Ours, Theirs string }

// writePage writes results/fleet.md and its plots.
func writePage(all []Group, r Results, peers []Peer, seeds int) error {
	page, err := template.New("page").Funcs(template.FuncMap{
		"figure": func(story, policy string) Figures { return r[story][policy] },
		"number": number,
		"percent": func(v float64) string {
			return fmt.Sprintf("%.1f %%", 100*v)
		},
		"goal": func(g Goal) string {
			return fmt.Sprintf("| %s | "+g.Text+" | "+g.Text+" |", g.What, g.Limit, g.Of(r))
		},
	}).Parse(pageText)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := page.Execute(&text, map[string]any{"Groups": all, "Goals": goals, "Peers": peers, "Seeds": seeds}); err != nil {
		return err
	}
	dir := resultsDir()
	if err := os.MkdirAll(filepath.Join(dir, "fleet"), 0o755); err != nil {
		return err
	}
	for _, d := range drawn {
		if err := d.draw(filepath.Join(dir, "fleet"), r); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "fleet.md"), text.Bytes(), 0o644)
}

// drawing is a plot of one story.
type drawing struct {
	story string
	chart plots.Chart
	note  func(Figures) string
}

var drawn = []drawing{
	{"1000", plots.Chart{Kind: plots.Requests, Before: 10, After: 40}, func(f Figures) string {
		return fmt.Sprintf("%s wasted, back %.1f s", number(f.Wasted, 0), f.Recover)
	}},
	{"cut-2-of-5-4", plots.Chart{Kind: plots.Requests, Before: 10, After: 9}, func(f Figures) string {
		return fmt.Sprintf("healthy rejected: %.1f %%", 100*f.Held)
	}},
	{"cold", plots.Chart{Kind: plots.Arrivals, Before: 10, After: 90, Capacity: coldCapacity}, func(f Figures) string {
		return fmt.Sprintf("busiest second %.2f ×", f.Herd)
	}},
}

// coldCapacity is what the host of the story can do, t seconds after it went down.
func coldCapacity(t float64) float64 {
	switch {
	case t < 0:
		return 4000
	case t < 60:
		return 0
	}
	return min(4400, 1200+(4400-1200)*(t-60)/60)
}

func (d drawing) draw(dir string, r Results) error {
	for name, theme := range map[string]plots.Theme{"light": plots.Light, "dark": plots.Dark} {
		chart := d.chart
		chart.Columns = 3
		for _, policy := range []string{"fleet", "one opens all", "local"} {
			f := r[d.story][policy]
			chart.Panels = append(chart.Panels, plots.Panel{
				Title: policy, Note: d.note(f), Ours: policy == "fleet", Run: f.Runs[0].seconds(),
			})
		}
		var svg bytes.Buffer
		if err := chart.SVG(&svg, theme); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, d.story+"-"+name+".svg"), svg.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// seconds is the run as package plots draws it.
func (r *Run) seconds() *sim.Run {
	each := int(1e9 / binLength)
	out := &sim.Run{FaultLength: r.Fault.Seconds(), FaultBin: int(r.Start.Seconds())}
	for i := 0; i+each <= len(r.Bins); i += each {
		var b sim.Bin
		for _, part := range r.Bins[i : i+each] {
			b.OK += part.OK
			b.Failed += part.Failed
			b.Rejected += part.Rejected
		}
		b.Sent = b.OK + b.Failed
		out.Bins = append(out.Bins, b)
	}
	return out
}
