// Command tune shows what settings of the breaker would do to your traffic: it
// plays a fault in virtual time, prints what each configuration made of it and
// draws it.
//
//	go run ./tune -rps 100 -fault down -for 2m
//	go run ./tune -config mine.json -config other.json -rps 4 -fault errors -share 0.3
//
// A configuration is a breaker.Config as JSON, such as {"open_for": "2s"}; what
// is absent is the default. Without -config the defaults are shown. Beside them
// there is always a run without a breaker.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/bench/peers"
	"github.com/seed-0b728cf8/httpbreaker/bench/plots"
	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

func main() {
	var o options
	flag.Func("config", "a breaker.Config as JSON `file`; may be given several times", func(file string) error {
		o.configs = append(o.configs, file)
		return nil
	})
	flag.Float64Var(&o.rps, "rps", 100, "calls in a second, altogether")
	flag.IntVar(&o.clients, "clients", 1, "processes that make them, each with a circuit of its own")
	flag.DurationVar(&o.latency, "latency", 50*time.Millisecond, "median latency while nothing is wrong")
	flag.Float64Var(&o.errors, "errors", 0.005, "share of calls that fail while nothing is wrong")
	flag.DurationVar(&o.timeout, "timeout", 10*time.Second, "of the client")
	flag.IntVar(&o.retries, "retries", 0, "further attempts, 50 ms apart, after a failure or a rejection")
	flag.StringVar(&o.fault, "fault", "down", "down: refuses connections; hang: never answers; slow: takes -slow; errors: fails a -share; flap: 5 s down, 5 s up")
	flag.Float64Var(&o.share, "share", 0.3, "of calls that fail during a fault of errors")
	flag.DurationVar(&o.slow, "slow", 2*time.Second, "median latency during a slow fault")
	flag.DurationVar(&o.length, "for", 2*time.Minute, "how long the fault lasts")
	flag.IntVar(&o.seeds, "seeds", 10, "runs with each configuration, over which figures are taken")
	flag.StringVar(&o.out, "o", "tune.svg", "the drawing, `file`; empty for none")
	flag.BoolVar(&o.dark, "dark", false, "draw for a dark ground")
	flag.Parse()
	sim.Main(func(t *testing.T) int {
		if err := run(t, o, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "tune:", err)
			return 1
		}
		return 0
	})
}

type options struct {
	configs                        []string
	rps, errors, share             float64
	clients, retries, seeds        int
	latency, timeout, slow, length time.Duration
	fault, out                     string
	dark                           bool
}

// scenario is what o describes.
func (o options) scenario() (*sim.Scenario, error) {
	if o.rps <= 0 || o.seeds < 1 || o.length <= 0 || o.clients < 1 {
		return nil, fmt.Errorf("want -rps, -seeds, -for and -clients above zero")
	}
	answer := func(share float64, latency time.Duration) func(sim.Call) sim.Answer {
		return func(c sim.Call) sim.Answer {
			fate := sim.OK
			if c.Error < share {
				fate = sim.Failed
			}
			return sim.Answer{Fate: fate, After: sim.LatencyAround(c, latency)}
		}
	}
	healthy := answer(o.errors, o.latency)
	faults := map[string]sim.Maker{
		"down":   sim.During(healthy, sim.Refuse),
		"hang":   sim.During(healthy, sim.Hang),
		"slow":   sim.During(healthy, answer(o.errors, o.slow)),
		"errors": sim.During(healthy, answer(o.share, o.latency)),
		"flap":   sim.Flapping(healthy, 5*time.Second, 5*time.Second),
	}
	server, ok := faults[o.fault]
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

// policies are no breaker and one for each configuration.
func (o options) policies() ([]*sim.Policy, error) {
	policies := []*sim.Policy{peers.None()}
	if len(o.configs) == 0 {
		return append(policies, peers.Ours("defaults", breaker.Config{}, 0)), nil
	}
	for _, file := range o.configs {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var config breaker.Config
		if err := json.Unmarshal(data, &config); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
		policies = append(policies, peers.Ours(name, config, 0))
	}
	return policies, nil
}

// printed are the measures that matter to anybody.
var printed = []string{"healthy rejected", "wasted", "wasted seconds", "in flight", "detect", "good", "recover", "rejected after", "herd", "events"}

func run(t *testing.T, o options, out io.Writer) error {
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
		fmt.Fprintf(out, "%s: %s\n", p.Settings, p.About)
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
	if o.out == "" {
		return nil
	}

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
			Title: name(p), Note: sim.Note(first[p], noted...), Ours: p != policies[0], Run: first[p],
		})
	}
	theme := plots.Light
	if o.dark {
		theme = plots.Dark
	}
	file, err := os.Create(o.out)
	if err != nil {
		return err
	}
	if err := chart.SVG(file, theme); err != nil {
		_ = file.Close()
		return err
	}
	fmt.Fprintf(out, "\ndrawn in %s\n", o.out)
	return file.Close()
}

func name(p *sim.Policy) string {
	if p.Settings == "" {
		return p.Library
	}
	return p.Settings
}
