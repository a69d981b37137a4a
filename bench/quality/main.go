// Command quality measures how well circuit breakers decide: it lets this
// project's breaker and its peers' real code live through the scenarios of
// package sim, and writes docs/quality.md with the figures and plots.
//
//	go run ./quality                            # all; writes the page
//	go run ./quality -short                     # a rough check in under a minute; writes nothing
//	go run ./quality -ours -config my.json      # our figures with other settings
//	go run ./quality -scenarios S1,S5 -seeds 50
//
// It fails if one of our figures misses its goal.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

func main() {
	var o options
	flag.BoolVar(&o.short, "short", false, "our own breaker only, three seeds, nothing written")
	flag.BoolVar(&o.ours, "ours", false, "our own breaker only, nothing written")
	flag.StringVar(&o.config, "config", "", "a breaker.Config as JSON `file`, in place of our defaults; nothing written")
	flag.StringVar(&o.scenarios, "scenarios", "", "only these, by `id`, separated by commas")
	flag.IntVar(&o.seeds, "seeds", 0, "runs of each scenario with each policy (20)")
	flag.StringVar(&o.docs, "docs", "../docs", "`directory` of quality.md")
	flag.BoolVar(&o.keep, "keep", false, "take the peers' figures from the last run: they depend on nothing of ours but package sim")
	flag.BoolVar(&o.page, "page", false, "write the page anew from the figures of the last run")
	flag.Parse()
	debug.SetGCPercent(400) // the runs make much garbage and keep little
	sim.Main(func(t *testing.T) int {
		if err := run(t, o, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "quality:", err)
			return 1
		}
		return 0
	})
}

type options struct {
	short, ours, keep, page bool
	config, scenarios, docs string
	seeds                   int
}

// partial runs print their figures and write nothing.
func (o options) partial() bool { return o.onlyOurs() || o.config != "" }

func (o options) onlyOurs() bool { return o.short || o.ours }

// slack is how far a figure may be beyond its goal.
func (o options) slack() float64 {
	if o.short {
		return 0.2
	}
	return 0
}

func run(t *testing.T, o options, out io.Writer) error {
	if o.page {
		report, err := readReport(o.docs)
		if err != nil {
			return err
		}
		return report.writePage(o.docs)
	}
	var base breaker.Config
	if o.config != "" {
		data, err := os.ReadFile(o.config)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(data, &base); err != nil {
			return fmt.Errorf("%s: %w", o.config, err)
		}
	}
	if o.seeds == 0 {
		o.seeds = 20
		if o.short {
			o.seeds = 3
		}
	}
	scenarios := sim.Scenarios()
	if o.scenarios != "" {
		want := strings.Split(o.scenarios, ",")
		scenarios = slices.DeleteFunc(scenarios, func(s *sim.Scenario) bool { return !slices.Contains(want, s.ID) })
		if len(scenarios) != len(want) {
			return fmt.Errorf("-scenarios %s: unknown id", o.scenarios)
		}
	}

	report := newReport(o.seeds)
	if !o.partial() {
		if err := report.resume(o.docs, o.keep || o.scenarios != ""); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "%s\n\n", base)
	for _, s := range scenarios {
		figures, pictures, err := runScenario(t, s, base, o, report.Figures[s.ID])
		if err != nil {
			return err
		}
		report.Figures[s.ID] = figures
		printFigures(out, s, figures, policiesFor(s.ID, base, o.onlyOurs()))
		if o.partial() {
			continue
		}
		if err := draw(o.docs, s, pictures); err != nil {
			return err
		}
		if err := report.save(o.docs); err != nil {
			return err
		}
	}
	if !o.partial() && len(report.Figures) == len(sim.Scenarios()) {
		kept, err := readReport(o.docs) // rounded, as the page is to be made from them again
		if err != nil {
			return err
		}
		if err := kept.writePage(o.docs); err != nil {
			return err
		}
	}
	if !check(out, report.Figures, o.slack()) {
		return errors.New("a figure missed its goal")
	}
	return nil
}

// runScenario returns the figures of one scenario by policy, and the runs to be
// drawn. The peers' figures are taken from last if they are to be kept.
func runScenario(t *testing.T, s *sim.Scenario, base breaker.Config, o options, last ByPolicy) (ByPolicy, map[string]*sim.Run, error) {
	var jobs []sim.Job
	kept := ByPolicy{}
	for _, p := range policiesFor(s.ID, base, o.onlyOurs()) {
		keep := o.keep && p.Library != oursName
		if keep {
			name := policyName(p)
			if kept[name] = last[name]; kept[name] == nil {
				return nil, nil, fmt.Errorf("-keep: the last run has no figures for %s, %s", s.ID, name)
			}
		}
		for i := range o.seeds {
			if seed := uint64(i) + 1; !keep || seed == seedDrawn(s, o.seeds) {
				jobs = append(jobs, sim.Job{Scenario: s, Policy: p, Seed: seed})
			}
		}
	}
	runs, pictures := map[string][]*sim.Run{}, map[string]*sim.Run{}
	sim.RunAll(t, jobs, func(job sim.Job, r *sim.Run) {
		name := policyName(job.Policy)
		if job.Seed == seedDrawn(s, o.seeds) {
			whole := *r
			pictures[name] = &whole
		}
		r.Bins = nil // there is no room for those of all runs
		runs[name] = append(runs[name], r)
	})
	figures := gather(runs)
	maps.Copy(figures, kept)
	return figures, pictures, nil
}

func printFigures(out io.Writer, s *sim.Scenario, f ByPolicy, policies []*sim.Policy) {
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "%s %s", s.ID, s.Title)
	for _, id := range shown[s.ID] {
		fmt.Fprint(tw, "\t", sim.MeasureOf(id).Title)
	}
	fmt.Fprintln(tw)
	for _, p := range policies {
		name := policyName(p)
		fmt.Fprint(tw, name)
		for _, id := range shown[s.ID] {
			fmt.Fprint(tw, "\t", sim.MeasureOf(id).Text(float64(f[name][id])))
		}
		fmt.Fprintln(tw)
	}
	_ = tw.Flush()
	fmt.Fprintln(out)
}
