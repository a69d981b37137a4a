package main

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"
)

// Figures are the means of the runs of one story with one policy.
type Figures struct {
	Wasted, T95, Recover, Probes, Held, Herd float64
	Answered                                 float64 // share of what could be, from the fault to the end
	Scripts, Peak, Well, Events              float64 // a second; in all for Events
	Runs                                     []*Run  `json:"-"`
}

func mean(s *Story, runs []*Run) Figures {
	f := Figures{Runs: runs}
	n := float64(len(runs))
	recovered := true
	for _, r := range runs {
		f.Wasted += float64(r.Wasted) / n
		f.T95 += r.T95 / n
		f.Recover += r.Recover / n
		recovered = recovered && r.Recover >= 0
		f.Probes += float64(r.Probes) / n
		f.Answered += r.answered() / n
		f.Held += float64(r.Held) / float64(max(1, r.Offered)) / n
		f.Herd += r.Herd / n
		f.Scripts += float64(r.Store.Fault) / s.Fault.Seconds() / n
		f.Peak += float64(r.Store.Peak) / n
		f.Well += float64(r.Store.Well) / n
		f.Events += float64(r.Store.Events) / n
	}
	if !recovered {
		f.Recover = math.Inf(1)
	}
	return f
}

// answered is the share of the calls since the fault began that were answered, of
// those that could be.
func (r *Run) answered() float64 {
	var sum Bin
	for _, b := range r.Bins[r.Start/binLength:] {
		sum.OK += b.OK
		sum.Possible += b.Possible
	}
	return float64(sum.OK) / float64(max(1, sum.Possible))
}

// Results are all figures, by story and policy.
type Results map[string]map[string]Figures

// Goal is a figure that has to be reached.
type Goal struct {
	What  string
	Limit float64
	Text  string // of a figure, as for fmt
	Of    func(Results) float64
}

func share(r Results, story string, of func(Figures) float64) float64 {
	return 100 * of(r[story]["fleet"]) / of(r[story]["local"])
}

var goals = []Goal{
	{"1,000 × 4/s, 2 min: wasted, of local", 20, "%.1f %%", func(r Results) float64 {
		return share(r, "1000", func(f Figures) float64 { return f.Wasted })
	}},
	{"until 95 % reject", 1.5, "%.2f s", func(r Results) float64 { return r["1000"]["fleet"].T95 }},
	{"until 95 % are answered again", 3.5, "%.2f s", func(r Results) float64 { return r["1000"]["fleet"].Recover }},
	{"probes, of local", 3, "%.1f %%", func(r Results) float64 {
		return share(r, "1000", func(f Figures) float64 { return f.Probes })
	}},
	{"10 min: wasted, of local", 10, "%.1f %%", func(r Results) float64 {
		return share(r, "1000-long", func(f Figures) float64 { return f.Wasted })
	}},
	{"2 of 5 cut off: healthy calls rejected", 0.04, "%.2f %%", func(r Results) float64 { return 100 * r["cut-2-of-5-4"]["fleet"].Held }},
	{"2/3 of 99 cut off: healthy calls rejected", 0.04, "%.2f %%", func(r Results) float64 { return 100 * r["cut-66-of-99-4"]["fleet"].Held }},
	{"4 of 5 cut off: healthy calls rejected", 1, "%.2f %%", func(r Results) float64 { return 100 * r["cut-4-of-5-4"]["fleet"].Held }},
	{"scripts a second while well", 0, "%.0f", func(r Results) float64 { return r["1000"]["fleet"].Well }},
	{"scripts a second in an incident", 300, "%.0f", func(r Results) float64 { return r["1000"]["fleet"].Scripts }},
	{"back cold: busiest second, of ordinary traffic", 1.1, "%.2f ×", func(r Results) float64 { return r["cold"]["fleet"].Herd }},
	{"no Redis: wasted, of local", 101, "%.0f %%", func(r Results) float64 {
		return share(r, "absent", func(f Figures) float64 { return f.Wasted })
	}},
}

// checkGoals prints the goals whose stories were run, and reports whether all are
// reached.
func checkGoals(out io.Writer, r Results) bool {
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	ok := true
	for _, g := range goals {
		v := g.Of(r)
		if math.IsNaN(v) || len(r) == 0 {
			continue
		}
		word := "reached"
		if v > g.Limit {
			word, ok = "MISSED", false
		}
		fmt.Fprintf(tw, "%s\t"+g.Text+"\t≤ "+g.Text+"\t%s\n", g.What, v, g.Limit, word)
	}
	_ = tw.Flush()
	return ok
}
