// Command quality measures how well circuit breakers decide: it lets this
// project's breaker and its peers' real code live through the scenarios of
// package sim, and writes results/quality.md with the figures and plots.
//
//	go run ./quality                                     # all, twenty seeds: writes the page
//	go run ./quality -keep                               # the same, the peers' figures as they were
//	go run ./quality -only 'S4*,S7' -seeds 5 -policies ours   # prints, writes nothing
//	go run ./quality -policies ours -config my.json      # with other settings
//
// It fails if one of our figures misses its goal, or if a peer is better.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
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
	flag.StringVar(&o.only, "only", "", "these `stories`, separated by commas, * and ? allowed; nothing written")
	flag.StringVar(&o.policies, "policies", "", "these `policies`, separated by commas: ours, peers, or a part of a name; nothing written")
	flag.StringVar(&o.config, "config", "", "a breaker.Config as JSON `file`, in place of our defaults; nothing written")
	flag.IntVar(&o.seeds, "seeds", 20, "runs of each story with each policy")
	flag.StringVar(&o.figures, "figures", "", "write the figures to this `file`, too")
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
	only, policies, config, figures string
	seeds                           int
	keep, page                      bool
}

// partial runs print their figures and write no page.
func (o options) partial() bool { return o.only+o.policies+o.config != "" }

// stories are those that are named, in order.
func (o options) stories() ([]*sim.Scenario, error) {
	all := sim.Scenarios()
	if o.only == "" {
		return all, nil
	}
	is := func(s *sim.Scenario, pattern string) bool { ok, _ := path.Match(pattern, s.ID); return ok }
	patterns := strings.Split(o.only, ",")
	for _, pattern := range patterns {
		if !slices.ContainsFunc(all, func(s *sim.Scenario) bool { return is(s, pattern) }) {
			return nil, fmt.Errorf("-only: no story is %q", pattern)
		}
	}
	return slices.DeleteFunc(all, func(s *sim.Scenario) bool {
		return !slices.ContainsFunc(patterns, func(pattern string) bool { return is(s, pattern) })
	}), nil
}

// results is where the page, its figures and plots lie.
func results(name ...string) string {
	_, source, _, _ := runtime.Caller(0)
	return filepath.Join(append([]string{filepath.Dir(source), "..", "results"}, name...)...)
}

func run(t *testing.T, o options, out io.Writer) error {
	if o.page {
		return writePage()
	}
	stories, err := o.stories()
	if err != nil {
		return err
	}
	if err := checkList(o.policies); err != nil {
		return err
	}
	var config breaker.Config
	if o.config != "" {
		data, err := os.ReadFile(o.config)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(data, &config); err != nil {
			return fmt.Errorf("%s: %w", o.config, err)
		}
	}
	last, err := readReport(results("quality", "figures.json"))
	if err != nil {
		return err
	}
	before, err := readReport(results("quality", "baseline.json"))
	if err != nil {
		return err
	}
	if o.keep && last.Seeds != o.seeds {
		return fmt.Errorf("-keep: the last run had %d seeds, not %d", last.Seeds, o.seeds)
	}
	report := newReport(o.seeds)
	pictures := measure(t, o, config, stories, report)
	printFigures(out, report.Figures, stories, config)
	if o.figures != "" {
		if err := report.write(o.figures); err != nil {
			return err
		}
	}
	if o.partial() || o.keep {
		report.Figures.keep(last.Figures)
	}
	if !o.partial() {
		if err := report.publish(pictures); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "%s, %d seeds: %s\n\n", report.Commit, o.seeds, config)
	if report.Figures.check(out, stories, before.Figures) > 0 {
		return errors.New("a figure missed its goal, or a peer is better")
	}
	return nil
}

// pictures are the runs to be drawn: scenario, policy.
type pictures map[*sim.Scenario]map[string]*sim.Run

// measure does all runs, on all cores.
func measure(t *testing.T, o options, config breaker.Config, stories []*sim.Scenario, report *Report) pictures {
	var jobs []sim.Job
	drawings := pictures{}
	isDrawn := func(job sim.Job) bool {
		s := job.Scenario
		return !o.partial() && s.Plot != nil && job.Seed == seedDrawn(s, o.seeds) && slices.ContainsFunc(drawn(s), func(p *sim.Policy) bool { return p.Name() == job.Policy.Name() })
	}
	for _, s := range stories {
		report.Figures[s.ID] = ByPolicy{}
		drawings[s] = map[string]*sim.Run{}
		for _, p := range policiesFor(s, config) {
			for i := range o.seeds {
				job := sim.Job{Scenario: s, Policy: p, Seed: uint64(i) + 1}
				if chosen(p, o.policies) && (!o.keep || p.Library == ours || isDrawn(job)) {
					jobs = append(jobs, job)
				}
			}
		}
	}
	runs := map[*sim.Policy][]*sim.Run{}
	ended := 0
	sim.RunAll(t, jobs, func(job sim.Job, r *sim.Run) {
		if ended++; ended%1000 == 0 {
			fmt.Fprintf(os.Stderr, "%d of %d runs\n", ended, len(jobs))
		}
		p := job.Policy
		if isDrawn(job) {
			whole := *r
			drawings[job.Scenario][p.Name()] = &whole
		}
		r.Bins = nil // there is no room for those of all runs
		runs[p] = append(runs[p], r)
		if len(runs[p]) == o.seeds {
			report.Figures[job.Scenario.ID][p.Name()] = gather(runs[p])
			delete(runs, p)
		}
	})
	return drawings
}

// publish writes the figures, the pictures and the page.
func (r *Report) publish(drawings pictures) error {
	file := results("quality", "figures.json")
	if err := r.write(file); err != nil {
		return err
	}
	for s, runs := range drawings {
		if s.Plot != nil {
			if err := draw(s, runs); err != nil {
				return err
			}
		}
	}
	return writePage()
}

// printed are the measures of the compact table.
var printed = []struct{ id, head string }{
	{"good", "goodput"},
	{"wasted", "wasted"},
	{"wasted seconds", "call-s"},
	{"in flight", "in flight"},
	{"detect", "1st rej."},
	{"recover", "recovery"},
	{"good after", "ok after"},
	{"herd", "peak"},
	{"healthy rejected", "healthy rej."},
	{"rejected", "all rej."},
	{"openings", "openings"},
	{"probes", "probes"},
}

func printFigures(out io.Writer, f Figures, stories []*sim.Scenario, config breaker.Config) {
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, c := range printed {
		fmt.Fprintf(tw, "%s\t", c.head)
	}
	fmt.Fprintln(tw)
	for _, s := range stories {
		for _, p := range policiesFor(s, config) {
			if f[s.ID][p.Name()] == nil {
				continue
			}
			for _, c := range printed {
				v, _ := f.get(s.ID, p.Name(), c.id)
				fmt.Fprintf(tw, "%s\t", sim.MeasureOf(c.id).Text(v))
			}
			// Last, for it is of any width.
			fmt.Fprintf(tw, " %s %s", s.ID, s.Title)
			if p.Name() != ours {
				fmt.Fprintf(tw, ": %s", p.Name())
			}
			fmt.Fprintln(tw)
		}
	}
	_ = tw.Flush()
	fmt.Fprintln(out)
}
