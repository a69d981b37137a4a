package sim

import "time"

// Group is some scenarios that belong together.
type Group struct {
	Title   string
	Stories []*Scenario
}

// Groups returns all scenarios, in order.
func Groups() []Group {
	return []Group{
		{"Nothing is wrong", healthy()},
		{"Slow, and nothing is wrong", slowHosts()},
		{"Down", outages()},
		{"A share of the calls fails", brownouts()},
		{"Up and down", flaps()},
		{"Short interruptions, once a minute", blips()},
		{"Hanging", hangs()},
		{"One route of several", routes()},
		{"Back under load", loads()},
		{"Not the host's fault, or not all of it", elsewhere()},
		{"The experiments of Shopify's semian", semian()},
	}
}

// Scenarios returns the scenarios of all groups.
func Scenarios() []*Scenario {
	var all []*Scenario
	for _, g := range Groups() {
		all = append(all, g.Stories...)
	}
	return all
}

const (
	before = 20 * time.Second
	after  = 90 * time.Second
)

var (
	busy      = Traffic{Rate: 100}
	about2min = [2]time.Duration{60 * time.Second, 150 * time.Second}
)

// about is a fault that lasts a little less or more: a breaker that probes every so
// often must not meet its end in step.
func about(d time.Duration) [2]time.Duration { return [2]time.Duration{d - d/8, d + d/8} }

// exactly is a fault that always lasts so long.
func exactly(d time.Duration) [2]time.Duration { return [2]time.Duration{d, d} }

// calm is a scenario in which nothing is wrong, of 100 calls a second if it does not say otherwise.
func calm(s Scenario) *Scenario {
	if s.Traffic == (Traffic{}) {
		s.Traffic = busy
	}
	if s.Figures == nil {
		s.Figures = []string{"rejected"}
	}
	if s.Goals == nil {
		s.Goals = Goals{"rejected": 0.01}
	}
	s.Well = true
	return &s
}

// fault is a scenario with a fault of about two minutes in traffic of 100 calls a second, if it
// does not say otherwise.
func fault(s Scenario) *Scenario {
	if s.Traffic == (Traffic{}) {
		s.Traffic = busy
	}
	if s.Before == 0 {
		s.Before = before
	}
	if s.Fault[1] == 0 {
		s.Fault = about2min
	}
	if s.After == 0 {
		s.After = after
	}
	if s.Figures == nil {
		s.Figures = []string{"good", "wasted", "recover"}
	}
	return &s
}
