package main

import (
	"math"
	"testing"
)

func TestParse(t *testing.T) {
	var r results
	r.parse(0, "goos: linux")
	r.parse(0, "BenchmarkClosed/none-2   \t 1000\t 4.5 ns/op\t 9 cpu-ns/op\t 0 allocs/op")
	r.parse(1, "BenchmarkClosed/none-2   \t 1000\t 4.7 ns/op\t 11 cpu-ns/op\t 0 allocs/op")
	r.parse(1, "BenchmarkClosed/none     \t 1000\t 4.7 ns/op\t 5 cpu-ns/op\t 0 allocs/op")
	if f := r.figure("Closed/none", 2, "cpu-ns/op"); f.median != 10 || f.low != 9.5 || f.high != 10.5 || f.rounds != 2 {
		t.Errorf("two cores: %+v", f)
	}
	if f := r.figure("Closed/none", 1, "cpu-ns/op"); f.median != 5 || f.rounds != 1 {
		t.Errorf("one core: %+v", f)
	}
	if f := r.figure("Closed/none", 1, "B/op"); !math.IsNaN(f.median) {
		t.Errorf("not measured: %+v", f)
	}
}

func TestRatioIsTakenWithinRounds(t *testing.T) {
	var r results
	for round, lines := range [][2]string{
		{"BenchmarkA 1 10 ns/op", "BenchmarkB 1 100 ns/op"},
		{"BenchmarkA 1 50 ns/op", "BenchmarkB 1 500 ns/op"}, // a noisy round
		{"BenchmarkA 1 11 ns/op", "BenchmarkB 1 100 ns/op"},
	} {
		r.parse(round, lines[0])
		r.parse(round, lines[1])
	}
	if f := r.ratio("A", "B", 1, "ns/op"); f.median != 0.1 || f.rounds != 3 {
		t.Errorf("%+v; want 0.1", f)
	}
}
