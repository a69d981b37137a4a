package main

import (
	"fmt"
	"io"
	"slices"
	"testing"
	"text/tabwriter"

	"github.com/seed-0b728cf8/httpbreaker/bench/tune/replay"
	"github.com/seed-0b728cf8/httpbreaker/bench/tune/search"
	"github.com/seed-0b728cf8/httpbreaker/bench/tune/settings"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// runSearch looks for better settings than today's: those of the first -config, or
// the defaults.
func (o *options) runSearch(t *testing.T, l *loaded, out, progress io.Writer) error {
	configs, err := o.configurations()
	if err != nil {
		return err
	}
	today := configs[min(1, len(configs)-1)]
	bar := newBar(progress, "searching", 0)
	found, err := search.Run(t, &l.Log, today.config, search.Options{Progress: func(done, all int) {
		bar.all = int64(all)
		bar.set(int64(done))
	}})
	bar.end()
	if err != nil {
		return err
	}
	if o.json {
		return writeJSON(out, newSearchJSON(found))
	}
	printFound(out, found, today.name)
	return nil
}

// mostShown is how many configurations of the frontier are listed.
const mostShown = 15

func printFound(out io.Writer, f *search.Found, today string) {
	fmt.Fprintf(out, "%d configurations tried. Those that no other beats, in good answers lost and failures spared on the first half\n", f.Tried)
	fmt.Fprintf(out, "of the log, beside today's (%s) and the one that is recommended:\n\n", today)
	tw := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(tw, "\tfirst half: lost\tspared\tsecond half: lost\tspared\tsettings")
	line := func(mark string, t *search.Tried) {
		a, b := &t.Halves[0], &t.Halves[1]
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\n", mark, part(a.Lost, a.Good), part(a.Spared, a.Failed), part(b.Lost, b.Good), part(b.Spared, b.Failed),
			settings.Differences(t.Config))
	}
	same := func(a, b *search.Tried) bool { return a.Config.String() == b.Config.String() }
	line("today", &f.Today)
	if !same(&f.Best, &f.Today) {
		line("recommended", &f.Best)
	}
	front := thinned(f.Frontier, mostShown)
	for i := range front {
		if !same(&front[i], &f.Today) && !same(&front[i], &f.Best) {
			line("", &front[i])
		}
	}
	_ = tw.Flush()
	fmt.Fprintln(out)
	for _, w := range f.Warnings {
		fmt.Fprintf(out, "%s\n\n", w)
	}
	if same(&f.Best, &f.Today) {
		fmt.Fprintf(out, "Nothing that was tried is better than today's settings, %s:\n\n", today)
	} else {
		fmt.Fprint(out, "Recommended, since it spares most failures on the first half of the log, loses no more good answers than\ntoday's settings or one in two thousand, and holds on the second half:\n\n")
	}
	fmt.Fprintf(out, "%s\n\n%s\n\n%s\n", f.Best.Config, settings.JSON(f.Best.Config), settings.Go(f.Best.Config))
}

// thinned keeps n of the configurations, evenly spread, the first and last included.
func thinned(all []search.Tried, n int) []search.Tried {
	if len(all) <= n {
		return all
	}
	var some []search.Tried
	for i := range n {
		some = append(some, all[i*(len(all)-1)/(n-1)])
	}
	return some
}

// searchJSON is what was found, for programs.
type searchJSON struct {
	Tried       int         `json:"tried"`
	Today       triedJSON   `json:"today"`
	Recommended triedJSON   `json:"recommended"`
	Go          string      `json:"go"` // the recommended one
	Frontier    []triedJSON `json:"frontier"`
	Warnings    []string    `json:"warnings"`
}

type triedJSON struct {
	Config breaker.Config    `json:"config"`
	Halves [2]replay.Figures `json:"halves"`
}

func newSearchJSON(f *search.Found) searchJSON {
	as := func(t search.Tried) triedJSON { return triedJSON(t) }
	out := searchJSON{
		Tried: f.Tried, Today: as(f.Today), Recommended: as(f.Best), Go: settings.Go(f.Best.Config),
		Frontier: []triedJSON{}, Warnings: slices.Concat([]string{}, f.Warnings),
	}
	for _, t := range f.Frontier {
		out.Frontier = append(out.Frontier, as(t))
	}
	return out
}
