package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/bench/peers"
	"github.com/seed-0b728cf8/httpbreaker/bench/plots"
	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
)

// scenario is what o describes.
func (o *options) scenario() (*sim.Scenario, error) {
	if o.rps <= 0 || o.seeds < 1 || o.length <= 0 || o.clients < 1 {
		return nil, fmt.Errorf("want -rps, -seeds, -for and -clients above zero")
	}
	if o.p99 != 0 && o.p99 < o.latency {
		return nil, fmt.Errorf("-p99 %v: want at least -latency, %v", o.p99, o.latency)
	}
	server, ok := faults(o.errors, o.share, o.latency, o.p99, o.slow)[o.fault]
	if !ok {
		return nil, fmt.Errorf("-fault %s: want down, hang, slow, errors or flap", o.fault)
	}
	// Time enough for rare calls to fill a window, and to see the recovery.
	around := max(time.Minute, time.Duration(20/o.rps*float64(time.Second)))
	return &sim.Scenario{
		ID: "tune", Traffic: sim.Traffic{Rate: o.rps}, Clients: o.clients, Timeout: o.timeout,
		Retries: o.retries, RetryPause: 50 * time.Millisecond,
		Before: around, Fault: [2]time.Duration{o.length, o.length}, After: 3 * around, Server: server,
	}, nil
}

// faults are what can be wrong with a server.
func faults(errors, share float64, latency, p99, slow time.Duration) map[string]sim.Maker {
	answer := func(share float64, median time.Duration) func(sim.Call) sim.Answer {
		sigma := sigmaOf(latency, p99)
		return func(c sim.Call) sim.Answer {
			fate := sim.OK
			if c.Error < share {
				fate = sim.Failed
			}
			return sim.Answer{Fate: fate, After: time.Duration(float64(median) * math.Exp(sigma*c.Speed))}
		}
	}
	healthy := answer(errors, latency)
	return map[string]sim.Maker{
		"down":   sim.During(healthy, sim.Refuse),
		"hang":   sim.During(healthy, sim.Hang),
		"slow":   sim.During(healthy, answer(errors, slow)),
		"errors": sim.During(healthy, answer(share, latency)),
		"flap":   sim.Flapping(healthy, 5*time.Second, 5*time.Second),
	}
}

// sigmaOf is the spread of the log-normal latency of which half is below the median
// and 99 of 100 are below p99. Without p99 it is that of the simulator's server.
func sigmaOf(median, p99 time.Duration) float64 {
	const quantile99 = 2.3263478740408408 // of the standard normal distribution
	if p99 <= 0 || median <= 0 {
		return 0.4
	}
	return math.Log(float64(p99)/float64(median)) / quantile99
}

// policies are no breaker, the defaults, one for each configuration, and others.
func (o *options) policies() ([]*sim.Policy, error) {
	configs, err := o.configurations()
	if err != nil {
		return nil, err
	}
	policies := []*sim.Policy{peers.None()}
	for _, c := range configs {
		policies = append(policies, peers.Ours(c.name, c.config, 0))
	}
	others, err := o.others()
	return append(policies, others...), err
}

// printed are the measures that matter to anybody.
var printed = []string{"healthy rejected", "wasted", "wasted seconds", "in flight", "detect", "good", "recover", "rejected after", "herd", "events"}

// simulate plays a fault, prints what each policy made of it and draws it.
func (o *options) simulate(t *testing.T, out io.Writer) error {
	scenario, err := o.scenario()
	if err != nil {
		return err
	}
	policies, err := o.policies()
	if err != nil {
		return err
	}
	var jobs []sim.Job
	for _, p := range policies {
		for seed := range o.seeds {
			jobs = append(jobs, sim.Job{Scenario: scenario, Policy: p, Seed: uint64(seed) + 1})
		}
	}
	runs := map[*sim.Policy][]*sim.Run{}
	first := map[*sim.Policy]*sim.Run{}
	sim.RunAll(t, jobs, func(job sim.Job, r *sim.Run) {
		runs[job.Policy] = append(runs[job.Policy], r)
		if job.Seed == 1 {
			first[job.Policy] = r
		}
	})

	for _, p := range policies[1:] {
		fmt.Fprintf(out, "%s: %s\n", name(p), p.About)
	}
	fmt.Fprintln(out)
	tw := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	for _, p := range policies {
		fmt.Fprintf(tw, "\t%s", name(p))
	}
	fmt.Fprintln(tw, "\t")
	for _, id := range printed {
		m := sim.MeasureOf(id)
		fmt.Fprint(tw, m.Title)
		for _, p := range policies {
			v := m.Over(runs[p])
			if !p.Notifies && id == "events" {
				v = math.NaN()
			}
			fmt.Fprintf(tw, "\t%s", m.Text(v))
		}
		fmt.Fprintln(tw, "\t")
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	for _, id := range printed {
		m := sim.MeasureOf(id)
		fmt.Fprintf(out, "%s: %s\n", m.Title, m.About)
	}
	if o.out == "" {
		return nil
	}
	return o.drawRuns(policies, first, out)
}

// drawRuns draws the first run of each policy.
func (o *options) drawRuns(policies []*sim.Policy, first map[*sim.Policy]*sim.Run, out io.Writer) error {
	chart := plots.Chart{Before: 30, After: 90, Columns: min(3, len(policies))}
	if o.fault == "hang" || o.fault == "slow" {
		chart.Kind = plots.InFlight
	}
	noted := []string{"wasted", "recover"}
	if chart.Kind == plots.InFlight {
		noted = []string{"in flight", "recover"}
	}
	for _, p := range policies {
		chart.Panels = append(chart.Panels, plots.Panel{
			Title: name(p), Note: sim.Note(first[p], noted...), Ours: p.Library == policies[1].Library, Run: first[p],
		})
	}
	return o.draw(out, func(w io.Writer, theme plots.Theme) error { return chart.SVG(w, theme) })
}

// draw writes a drawing into the file of -o.
func (o *options) draw(out io.Writer, svg func(io.Writer, plots.Theme) error) error {
	theme := plots.Light
	if o.dark {
		theme = plots.Dark
	}
	file, err := os.Create(o.out)
	if err != nil {
		return err
	}
	if err := svg(file, theme); err != nil {
		_ = file.Close()
		return err
	}
	fmt.Fprintf(out, "\ndrawn in %s\n", o.out)
	return file.Close()
}

// name is what a policy is called in tables and drawings.
func name(p *sim.Policy) string {
	if p.Library == "httpbreaker" {
		return p.Settings
	}
	return p.Name()
}
