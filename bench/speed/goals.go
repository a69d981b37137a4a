package main

import (
	"fmt"

	"github.com/seed-0b728cf8/httpbreaker/bench/speed/subjects"
)

// A goal is a figure to reach.
type goal struct {
	what  string
	name  string // of the benchmark
	to    string // what it is divided by; empty: nothing
	unit  string
	cores []int
	most  []float64 // for each of cores
	least bool      // most is the least instead
}

var both = []int{1, 2}

func atMost(f float64) []float64 { return []float64{f, f} }

var goals = []goal{
	{what: "a call through a closed circuit, to gobreaker's rolling window", name: "Closed/httpbreaker", to: "Closed/" + subjects.Baseline, unit: cpu, cores: both, most: []float64{0.38, 0.35}},
	{what: "the same, SlowCall on", name: "Closed/httpbreaker-slowcall", to: "Closed/" + subjects.Baseline, unit: cpu, cores: both, most: atMost(0.6)},
	{what: "the same, to the fastest peer that keeps a time window", name: "Closed/httpbreaker", to: fastestWindow, unit: cpu, cores: both, most: atMost(1)},
	{what: "allocations of it", name: "Closed/httpbreaker", unit: allocs, cores: both, most: atMost(0)},
	{what: "allocations of it, SlowCall on", name: "Closed/httpbreaker-slowcall", unit: allocs, cores: both, most: atMost(0)},
	{what: "a rejection, to gobreaker's rolling window", name: "Rejected/httpbreaker", to: "Rejected/" + subjects.Baseline, unit: cpu, cores: both, most: atMost(0.6)},
	{what: "allocations of it", name: "Rejected/httpbreaker", unit: allocs, cores: both, most: atMost(0)},
	{what: "RoundTrip, response without a body, to a dozen lines over gobreaker", name: "RoundTrip/no-body/httpbreaker", to: "RoundTrip/no-body/" + subjects.BaselineTransport, unit: cpu, cores: both, most: atMost(0.6)},
	{what: "RoundTrip, `http://host/` without a port", name: "RoundTrip/no-port/httpbreaker", to: "RoundTrip/no-port/" + subjects.BaselineTransport, unit: cpu, cores: both, most: atMost(0.6)},
	{what: "RoundTrip with a body, HeadersOnly", name: "RoundTrip/body/httpbreaker-headersonly", to: "RoundTrip/body/" + subjects.BaselineTransport, unit: cpu, cores: both, most: atMost(0.6)},
	{what: "RoundTrip with a body, watched", name: "RoundTrip/body/httpbreaker", to: "RoundTrip/body/" + subjects.BaselineTransport, unit: cpu, cores: both, most: atMost(1.3)},
	{what: "allocations without a body", name: "RoundTrip/no-body/httpbreaker", unit: allocs, cores: both, most: atMost(0)},
	{what: "allocations without a port", name: "RoundTrip/no-port/httpbreaker", unit: allocs, cores: both, most: atMost(0)},
	{what: "allocations with a body, HeadersOnly", name: "RoundTrip/body/httpbreaker-headersonly", unit: allocs, cores: both, most: atMost(0)},
	{what: "allocations with a body, watched", name: "RoundTrip/body/httpbreaker", unit: allocs, cores: both, most: atMost(1)},
	{what: "a call to one of 100,000 keys, to gobreaker in a sync.Map", name: "Keyed/100k/httpbreaker", to: "Keyed/100k/" + subjects.BaselineSet, unit: cpu, cores: both, most: atMost(0.65)},
	{what: "RoundTrip to one of 100,000 hosts, to a dozen lines over gobreaker", name: "RoundTripKeyed/https/httpbreaker", to: "RoundTripKeyed/https/" + subjects.BaselineTransport, unit: cpu, cores: both, most: atMost(0.65)},
	{what: "memory for an idle key, in bytes", name: "Memory/httpbreaker", unit: perKey, cores: []int{2}, most: []float64{600}},
	{what: "a new key in a full set, all closed, in ns", name: "NewKey/httpbreaker-closed", unit: cpu, cores: []int{1}, most: []float64{2000}},
	{what: "a new key in a full set, all open, in ns", name: "NewKey/httpbreaker-open", unit: cpu, cores: []int{1}, most: []float64{2000}},
	{what: "requests to a real HTTP/1.1 server for the same CPU time, to the bare transport", name: "Server/http1/httpbreaker", unit: bareRatio, cores: []int{2}, most: []float64{0.98}, least: true},
	{what: "the same over HTTP/2", name: "Server/http2/httpbreaker", unit: bareRatio, cores: []int{2}, most: []float64{0.98}, least: true},
}

// The units of figures.
const (
	cpu       = "cpu-ns/op"
	allocs    = "allocs/op"
	perKey    = "B/key"
	bareRatio = "bare/guarded"
)

// fastestWindow stands for the fastest of the peers that keep a time window.
const fastestWindow = "fastest"

func (g goal) figure(r *results, cores int) figure {
	switch g.to {
	case "":
		return r.figure(g.name, cores, g.unit)
	case fastestWindow:
		return r.ratio(g.name, fastestPeer(r, cores), cores, g.unit)
	default:
		return r.ratio(g.name, g.to, cores, g.unit)
	}
}

// fastestPeer returns the benchmark of the fastest peer, in the closed state,
// that keeps a time window.
func fastestPeer(r *results, cores int) (name string) {
	best := nan
	for _, s := range subjects.Breakers {
		if s.NoWindow || s.Module == subjects.Ours {
			continue
		}
		f := r.figure("Closed/"+s.Name, cores, cpu)
		if f.rounds > 0 && !(f.median >= best) {
			best, name = f.median, "Closed/"+s.Name
		}
	}
	return name
}

func (g goal) reached(f figure, most float64) bool {
	if g.least {
		return f.median >= most
	}
	return f.median <= most
}

func (g goal) limit(most float64) string {
	if g.least {
		return fmt.Sprintf("≥ %v", most)
	}
	return fmt.Sprintf("≤ %v", most)
}
