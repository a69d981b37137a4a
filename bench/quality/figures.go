package main

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-0b728cf8/httpbreaker/bench/peers"
	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// Figures are what was measured: scenario, policy, measure.
type Figures map[string]ByPolicy

// ByPolicy are the figures of one scenario: policy, measure.
type ByPolicy map[string]map[string]Figure

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

// get returns a figure, and false if it was not measured.
func (f Figures) get(scenario, policy, measure string) (float64, bool) {
	v, ok := f[scenario][policy][measure]
	return float64(v), ok
}

// keep takes over the figures of peers that were not measured again.
func (f Figures) keep(last Figures) {
	for scenario, policies := range last {
		for policy, figures := range policies {
			if f[scenario][policy] != nil || strings.HasPrefix(policy, ours) {
				continue
			}
			if f[scenario] == nil {
				f[scenario] = ByPolicy{}
			}
			f[scenario][policy] = figures
		}
	}
}

// gather makes the figures of the runs of one policy in one scenario.
func gather(runs []*sim.Run) map[string]Figure {
	all := map[string]Figure{}
	for i := range sim.Measures {
		all[sim.Measures[i].ID] = Figure(sim.Measures[i].Over(runs))
	}
	return all
}

// Report is all that the page is made of.
type Report struct {
	Commit   string // of what was measured
	Seeds    int
	Defaults string            // the rules of our defaults
	Versions map[string]string // module path: version
	Figures  Figures
}

func newReport(seeds int) *Report {
	r := &Report{Commit: commit(), Seeds: seeds, Defaults: breaker.Config{}.String(), Versions: map[string]string{}, Figures: Figures{}}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if slices.ContainsFunc(peers.All(), func(p *sim.Policy) bool { return p.Module == m.Path }) {
				r.Versions[m.Path] = m.Version
			}
		}
	}
	return r
}

// commit names the source that is measured.
func commit() string {
	name, err := exec.Command("git", "-C", results(".."), "describe", "--always", "--dirty").Output()
	if err != nil {
		return "unknown commit"
	}
	return strings.TrimSpace(string(name))
}

func readReport(file string) (*Report, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r := new(Report)
	return r, json.Unmarshal(data, r)
}

// write keeps all figures of ours, and of the others those that are shown.
func (r *Report) write(file string) error {
	for _, s := range sim.Scenarios() {
		for policy, figures := range r.Figures[s.ID] {
			if !strings.HasPrefix(policy, ours) {
				maps.DeleteFunc(figures, func(measure string, _ Figure) bool { return !slices.Contains(s.Figures, measure) })
			}
		}
	}
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(data, '\n'), 0o644)
}
