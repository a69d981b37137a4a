package main

import (
	"fmt"

	"github.com/seed-0b728cf8/httpbreaker/bench/speed/subjects"
)

// A goal is a figure to reach.
type goal struct {
	What  string
	name  string // of the benchmark
	to    string // what it is divided by; empty: nothing
	unit  string
	cores []int
	most  []float64 // for each of cores
	least bool      // most is the least instead, and low that of the interval's lower end
	low   float64
	per   float64 // the figure is shown in so many of its unit; zero: one
}

var (
	one  = []int{1}
	both = []int{1, 2}
)

const (
	rolling = subjects.Baseline
	dozen   = subjects.BaselineTransport
)

var goals = []goal{
	{What: "a call through a closed circuit, to gobreaker's rolling window", name: "Closed/httpbreaker", to: "Closed/" + rolling, unit: cpu, cores: both, most: []float64{0.27, 0.32}},
	{What: "the same with SlowCall", name: "Closed/httpbreaker-slowcall", to: "Closed/" + rolling, unit: cpu, cores: both, most: []float64{0.55, 0.55}},
	{What: "a rejection, to gobreaker's rolling window", name: "Rejected/httpbreaker", to: "Rejected/" + rolling, unit: cpu, cores: both, most: []float64{0.52, 0.58}},
	{What: "RoundTrip, a response without a body, to a dozen lines over gobreaker", name: "RoundTrip/no-body/httpbreaker", to: "RoundTrip/no-body/" + dozen, unit: cpu, cores: both, most: []float64{0.42, 0.45}},
	{What: "RoundTrip, `http://host/` without a port", name: "RoundTrip/no-port/httpbreaker", to: "RoundTrip/no-port/" + dozen, unit: cpu, cores: both, most: []float64{0.42, 0.45}},
	{What: "RoundTrip with a body, judged by its header", name: "RoundTrip/body/httpbreaker-headersonly", to: "RoundTrip/body/" + dozen, unit: cpu, cores: both, most: []float64{0.42, 0.45}},
	{What: "RoundTrip with a body, watched to its end (theirs is not)", name: "RoundTrip/body/httpbreaker", to: "RoundTrip/body/" + dozen, unit: cpu, cores: both, most: []float64{0.95, 1.4}},
	{What: "requests to a real server for the same CPU time, bare transport = 1, HTTP/1.1", name: "Server/http1/httpbreaker", unit: bareRatio, cores: []int{2}, most: []float64{0.98}, low: 0.965, least: true},
	{What: "the same, HTTP/2", name: "Server/http2/httpbreaker", unit: bareRatio, cores: []int{2}, most: []float64{0.98}, low: 0.965, least: true},
	{What: "bytes for an idle key", name: "Memory/httpbreaker", unit: perKey, cores: one, most: []float64{280}},
	{What: "a call to one of 1,000,000 keys, µs", name: "Million/call", unit: cpu, cores: one, most: []float64{1.2}, per: 1e3},
	{What: "a new key in a full set of 1,000,000, µs", name: "Million/new-key", unit: cpu, cores: one, most: []float64{3}, per: 1e3},
	{What: "the slowest of 1,500,000 new keys there, ms: more than it holds the lock", name: "Million/longest-get", unit: cpu, cores: one, most: []float64{1}, per: 1e6},
	{What: "allocations of a call through a closed circuit", name: "Closed/httpbreaker", unit: allocs, cores: both, most: []float64{0, 0}},
	{What: "… with SlowCall", name: "Closed/httpbreaker-slowcall", unit: allocs, cores: both, most: []float64{0, 0}},
	{What: "… of a rejection", name: "Rejected/httpbreaker", unit: allocs, cores: both, most: []float64{0, 0}},
	{What: "… of RoundTrip judged by its header", name: "RoundTrip/body/httpbreaker-headersonly", unit: allocs, cores: both, most: []float64{0, 0}},
	{What: "… of RoundTrip with a body, watched", name: "RoundTrip/body/httpbreaker", unit: allocs, cores: both, most: []float64{1, 1}},
}

func (g goal) figure(r *results, cores int) figure {
	if g.to != "" {
		return r.ratio(g.name, g.to, cores, g.unit)
	}
	f := r.figure(g.name, cores, g.unit)
	if g.per > 0 {
		f.median, f.low, f.high = f.median/g.per, f.low/g.per, f.high/g.per
	}
	return f
}

func (g goal) reached(f figure, i int) bool {
	if g.least {
		return f.median >= g.most[i] && !(f.low < g.low)
	}
	return f.median <= g.most[i]
}

func (g goal) limit(i int) string {
	if g.least {
		return fmt.Sprintf("≥ %v, lower end ≥ %v", g.most[i], g.low)
	}
	return fmt.Sprintf("≤ %v", g.most[i])
}
