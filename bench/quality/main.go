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
	flag.BoolVar(&o.short, "short", false, "three seeds, few peers, nothing written")
	flag.BoolVar(&o.ours, "ours", false, "our own breaker only, nothing written")
	flag.StringVar(&o.config, "config", "", "a breaker.Config as JSON `file`, in place of our defaults; nothing written")
	flag.StringVar(&o.scenarios, "scenarios", "", "only these, by `id`, separated by commas; nothing written")
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
func (o options) partial() bool { return o.short || o.ours || o.config != "" || o.scenarios != "" }

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
		return report.write(o.docs)
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

	var jobs []sim.Job
	for _, s := range scenarios {
		for _, p := range policiesFor(s.ID, base, o.ours || o.short) {
			for i := range o.seeds {
				seed := uint64(i) + 1
				if o.keep && p.Library != oursName && seed != seedDrawn(s, o.seeds) {
					continue
				}
				jobs = append(jobs, sim.Job{Scenario: s, Policy: p, Seed: seed})
			}
		}
	}
	runs := map[string]map[string][]*sim.Run{}
	pictures := map[string]map[string]*sim.Run{}
	for _, s := range scenarios {
		runs[s.ID], pictures[s.ID] = map[string][]*sim.Run{}, map[string]*sim.Run{}
	}
	sim.RunAll(t, jobs, func(job sim.Job, r *sim.Run) {
		id, name := job.Scenario.ID, policyName(job.Policy)
		if job.Seed == seedDrawn(job.Scenario, o.seeds) {
			whole := *r
			pictures[id][name] = &whole
		}
		r.Bins = nil // there is no room for those of all runs
		runs[id][name] = append(runs[id][name], r)
	})
	figures := gather(runs)
	if o.keep {
		if err := figures.keep(o.docs, o.seeds); err != nil {
			return err
		}
	}

	fmt.Fprintf(out, "%s\n\n", base)
	printFigures(out, scenarios, figures, base, o.ours || o.short)
	met := check(out, figures, o.slack())
	if !o.partial() {
		if err := newReport(o.seeds, figures).write(o.docs); err != nil {
			return err
		}
		for _, s := range scenarios {
			if err := draw(o.docs, s, pictures[s.ID]); err != nil {
				return err
			}
		}
	}
	if !met {
		return errors.New("a figure missed its goal")
	}
	return nil
}

func printFigures(out io.Writer, scenarios []*sim.Scenario, f Figures, base breaker.Config, onlyOurs bool) {
	for _, s := range scenarios {
		tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintf(tw, "%s %s", s.ID, s.Title)
		for _, id := range shown[s.ID] {
			fmt.Fprint(tw, "\t", sim.MeasureOf(id).Title)
		}
		fmt.Fprintln(tw)
		for _, p := range policiesFor(s.ID, base, onlyOurs) {
			name := policyName(p)
			fmt.Fprint(tw, name)
			for _, id := range shown[s.ID] {
				fmt.Fprint(tw, "\t", sim.MeasureOf(id).Text(float64(f[s.ID][name][id])))
			}
			fmt.Fprintln(tw)
		}
		_ = tw.Flush()
		fmt.Fprintln(out)
	}
}
