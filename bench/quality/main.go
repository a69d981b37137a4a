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
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/seed-0b728cf8/httpbreaker/bench/peers"
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
	flag.Parse()
	sim.Main(func(t *testing.T) int {
		if err := run(t, o, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "quality:", err)
			return 1
		}
		return 0
	})
}

type options struct {
	short, ours       bool
	config, scenarios string
	seeds             int
}

// partial runs print their figures and write nothing.
func (o options) partial() bool { return o.short || o.ours || o.config != "" || o.scenarios != "" }

func run(t *testing.T, o options, out io.Writer) error {
	var base breaker.Config
	settings := peers.Defaults
	if o.config != "" {
		data, err := os.ReadFile(o.config)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(data, &base); err != nil {
			return fmt.Errorf("%s: %w", o.config, err)
		}
		settings = policiesFor("", base, true)[0].Settings
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
			for seed := range o.seeds {
				jobs = append(jobs, sim.Job{Scenario: s, Policy: p, Seed: uint64(seed) + 1})
			}
		}
	}
	runs := map[string]map[string][]*sim.Run{}
	sim.RunAll(t, jobs, func(job sim.Job, r *sim.Run) {
		byPolicy := runs[job.Scenario.ID]
		if byPolicy == nil {
			byPolicy = map[string][]*sim.Run{}
			runs[job.Scenario.ID] = byPolicy
		}
		name := policyName(job.Policy)
		byPolicy[name] = append(byPolicy[name], r)
	})
	figures := gather(runs)

	fmt.Fprintf(out, "%s\n\n", base)
	printFigures(out, scenarios, figures, base, o.ours || o.short)
	if !check(out, figures, settings, 0) {
		return fmt.Errorf("a figure missed its goal")
	}
	return nil
}

func printFigures(out io.Writer, scenarios []*sim.Scenario, f Figures, base breaker.Config, onlyOurs bool) {
	for _, s := range scenarios {
		tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintf(tw, "%s %s", s.ID, s.Title)
		for _, id := range shown[s.ID] {
			fmt.Fprint(tw, "\t", measure(id).Title)
		}
		fmt.Fprintln(tw)
		for _, p := range policiesFor(s.ID, base, onlyOurs) {
			name := policyName(p)
			fmt.Fprint(tw, name)
			for _, id := range shown[s.ID] {
				fmt.Fprint(tw, "\t", measure(id).Text(float64(f[s.ID][name][id])))
			}
			fmt.Fprintln(tw)
		}
		_ = tw.Flush()
		fmt.Fprintln(out)
	}
}
