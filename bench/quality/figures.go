package main

import (
	"fmt"
	"strconv"

	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
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

// gather makes the figures of the runs of one scenario.
func gather(runs map[string][]*sim.Run) ByPolicy {
	all := ByPolicy{}
	for policy, some := range runs {
		all[policy] = map[string]Figure{}
		for i := range sim.Measures {
			all[policy][sim.Measures[i].ID] = Figure(sim.Measures[i].Over(some))
		}
	}
	return all
}
