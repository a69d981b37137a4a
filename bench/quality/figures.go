package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
)

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
			for i := range sim.Measures {
				all[scenario][policy][sim.Measures[i].ID] = Figure(sim.Measures[i].Over(some))
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
