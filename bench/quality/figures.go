package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
)

// Measure is one thing that is measured in each run.
type Measure struct {
	ID     string
	Title  string
	About  string
	of     func(*sim.Run) float64 // NaN is "does not apply", +Inf is "never"
	of95   bool                   // the figure is the 95th percentile over the seeds, else the mean
	higher bool                   // is better
	text   func(float64) string
	note   string // for a plot; % is the figure
}

func share(part, whole int) float64 {
	if whole == 0 {
		return math.NaN()
	}
	return 100 * float64(part) / float64(whole)
}

func never(seconds float64) float64 {
	if math.IsNaN(seconds) {
		return math.Inf(1)
	}
	return seconds
}

var measures = []Measure{
	{
		ID: "healthy rejected", Title: "healthy calls rejected",
		About: "Of the requests made while nothing was wrong (before the fault, and from 10 s after recovery on), the share that was rejected.",
		of:    func(r *sim.Run) float64 { return share(r.HealthyRejected, r.HealthyOffered) },
		text:  percent,
		note:  "% rejected",
	},
	{
		ID: "false opens", Title: "false opens",
		About: "How often rejecting began while nothing was wrong.",
		of:    func(r *sim.Run) float64 { return float64(r.FalseOpens) },
		text:  number,
	},
	{
		ID: "rejected", Title: "rejected",
		About: "Of all requests of the run, the share that was rejected.",
		of:    func(r *sim.Run) float64 { return share(r.Rejected, r.Requests) },
		text:  percent,
		note:  "% rejected",
	},
	{
		ID: "wasted", Title: "wasted calls",
		About: "Calls that were sent during the fault and failed.",
		of:    func(r *sim.Run) float64 { return float64(r.Wasted) },
		text:  number,
		note:  "% wasted",
	},
	{
		ID: "wasted seconds", Title: "wasted call-seconds",
		About: "The time that wasted calls were in flight, added up.",
		of:    func(r *sim.Run) float64 { return r.WastedSeconds },
		text:  number,
		note:  "% call-s wasted",
	},
	{
		ID: "in flight", Title: "most in flight",
		About: "The most calls in flight at one moment.",
		of:    func(r *sim.Run) float64 { return float64(r.PeakInFlight) },
		text:  number,
		note:  "% in flight",
	},
	{
		ID: "detect", Title: "first rejection after",
		About: "Time from the beginning of the fault to the first rejected request; the mean of the seeds, or “never” if there was a seed without any.",
		of:    func(r *sim.Run) float64 { return never(r.Detect) },
		text:  seconds,
	},
	{
		ID: "good", Title: "achievable goodput",
		About:  "Requests answered well during the fault, as a share of those that could have been, had every call been sent.",
		of:     func(r *sim.Run) float64 { return share(r.Answered, r.Possible) },
		higher: true, text: percent,
		note: "% of achievable",
	},
	{
		ID: "recover", Title: "recovery (p95)",
		About: "Time from the end of the fault until 95 % of what is possible is answered again and stays so for 10 s; the 95th percentile over the seeds.",
		of:    func(r *sim.Run) float64 { return never(r.Recover) },
		of95:  true, text: seconds,
		note: "back after %",
	},
	{
		ID: "recover mean", Title: "recovery (mean)",
		About: "The same, its mean.",
		of:    func(r *sim.Run) float64 { return never(r.Recover) },
		text:  seconds,
	},
	{
		ID: "rejected after", Title: "rejected after the fault",
		About: "Requests that were rejected although the fault was over.",
		of:    func(r *sim.Run) float64 { return float64(r.AfterRejected) },
		text:  number,
	},
	{
		ID: "rejected after share", Title: "rejected after the fault",
		About: "The same, as a share of the requests after the fault.",
		of:    func(r *sim.Run) float64 { return share(r.AfterRejected, r.AfterOffered) },
		text:  percent,
		note:  "% rejected after",
	},
	{
		ID: "good after", Title: "answered after the fault",
		About:  "Requests answered well after the end of the fault, as a share of all requests then.",
		of:     func(r *sim.Run) float64 { return share(r.AfterAnswered, r.AfterOffered) },
		higher: true, text: percent,
	},
	{
		ID: "herd", Title: "arrival peak",
		About: "The busiest second at the server in the 90 s after the fault, in multiples of the ordinary traffic.",
		of:    func(r *sim.Run) float64 { return r.Herd },
		text:  func(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) + " ×" },
		note:  "peak %",
	},
	{
		ID: "events", Title: "state changes",
		About: "State changes that the library reported, for alerts and logs; “–” where it reports none.",
		of:    func(r *sim.Run) float64 { return float64(r.Changes) },
		text:  number,
	},
}

func measure(id string) *Measure {
	for i := range measures {
		if measures[i].ID == id {
			return &measures[i]
		}
	}
	panic("no measure " + id)
}

func percent(v float64) string {
	digits := 1
	switch {
	case v == 0 || v == 100:
		digits = 0
	case v < 0.1:
		digits = 3
	}
	return strconv.FormatFloat(v, 'f', digits, 64) + " %"
}

func number(v float64) string {
	switch {
	case v == math.Trunc(v) && v < 1000 || v >= 10 && v < 1000:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v < 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	s := strconv.FormatFloat(v, 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func seconds(v float64) string {
	if v < 10 {
		return strconv.FormatFloat(v, 'f', 2, 64) + " s"
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + " s"
}

// Text is v for people.
func (m *Measure) Text(v float64) string {
	switch {
	case math.IsNaN(v):
		return "–"
	case math.IsInf(v, 1):
		return "never"
	}
	return m.text(v)
}

// Over is the figure of some runs.
func (m *Measure) Over(runs []*sim.Run) float64 {
	var values []float64
	for _, r := range runs {
		if v := m.of(r); !math.IsNaN(v) {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return math.NaN()
	}
	if m.of95 {
		slices.Sort(values)
		return values[int(math.Ceil(0.95*float64(len(values))))-1]
	}
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// Figures are what was measured: scenario, policy, measure.
type Figures map[string]map[string]map[string]Figure

// Figure is a number that JSON can carry even if it is infinite.
type Figure float64

// MarshalText writes four significant digits.
func (f Figure) MarshalText() ([]byte, error) {
	return []byte(strconv.FormatFloat(float64(f), 'g', 4, 64)), nil
}

// UnmarshalText reads what MarshalText writes.
func (f *Figure) UnmarshalText(text []byte) error {
	v, err := strconv.ParseFloat(string(text), 64)
	*f = Figure(v)
	return err
}

func (f Figures) get(scenario, policy, measure string) (float64, error) {
	v, ok := f[scenario][policy][measure]
	if !ok {
		return 0, fmt.Errorf("no figure for %s, %s, %s", scenario, policy, measure)
	}
	return float64(v), nil
}

func policyName(p *sim.Policy) string {
	if p.Settings == "" {
		return p.Library
	}
	return p.Library + ", " + p.Settings
}

// gather makes the figures of all runs.
func gather(runs map[string]map[string][]*sim.Run) Figures {
	all := Figures{}
	for scenario, byPolicy := range runs {
		all[scenario] = map[string]map[string]Figure{}
		for policy, some := range byPolicy {
			all[scenario][policy] = map[string]Figure{}
			for i := range measures {
				all[scenario][policy][measures[i].ID] = Figure(measures[i].Over(some))
			}
		}
	}
	return all
}

// keep puts the peers' figures of the last run in place of those in f.
func (f Figures) keep(docs string, seeds int) error {
	last, err := readReport(docs)
	if err != nil {
		return err
	}
	if last.Seeds != seeds {
		return fmt.Errorf("the last run had %d seeds, not %d", last.Seeds, seeds)
	}
	for scenario, byPolicy := range f {
		for policy := range byPolicy {
			if strings.HasPrefix(policy, oursName+",") {
				continue
			}
			kept := last.Figures[scenario][policy]
			if kept == nil {
				return fmt.Errorf("the last run has no figures for %s, %s", scenario, policy)
			}
			byPolicy[policy] = kept
		}
	}
	return nil
}
