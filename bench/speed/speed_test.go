package main

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// measured is the results of rounds, one string of lines for each.
func measured(t *testing.T, others float64, rounds ...string) *results {
	t.Helper()
	text := "machine: A machine\ncores: 2\ncommit: abc\n"
	for i, lines := range rounds {
		text += fmt.Sprintf("round: %d\nothers: %v\n%s\n", i, others, lines)
	}
	var r results
	if err := r.read([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return &r
}

func TestFiguresAreReadByNameCoresAndUnit(t *testing.T) {
	r := measured(t, 0,
		"goos: linux\nBenchmarkClosed/none-2   \t 1000\t 4.5 ns/op\t 9 cpu-ns/op\t 0 allocs/op",
		"BenchmarkClosed/none-2   \t 1000\t 4.7 ns/op\t 11 cpu-ns/op\t 0 allocs/op\nBenchmarkClosed/none     \t 1000\t 4.7 ns/op\t 5 cpu-ns/op\t 0 allocs/op")
	if f := r.figure("Closed/none", 2, cpu); f.median != 10 || f.rounds != 2 {
		t.Errorf("two cores: %+v", f)
	}
	if f := r.figure("Closed/none", 1, cpu); f.median != 5 || f.rounds != 1 {
		t.Errorf("one core: %+v", f)
	}
	if f := r.figure("Closed/none", 1, "B/op"); !math.IsNaN(f.median) {
		t.Errorf("not measured: %+v", f)
	}
	if r.Machine != "A machine" || r.Commit != "abc" || r.Cores != 2 {
		t.Errorf("%+v", r)
	}
}

func TestRatioIsTakenWithinRounds(t *testing.T) {
	r := measured(t, 0,
		"BenchmarkA 1 10 cpu-ns/op\nBenchmarkB 1 100 cpu-ns/op",
		"BenchmarkA 1 50 cpu-ns/op\nBenchmarkB 1 500 cpu-ns/op", // a noisy round
		"BenchmarkB 1 100 cpu-ns/op",
		"BenchmarkA 1 11 cpu-ns/op\nBenchmarkB 1 100 cpu-ns/op")
	if f := r.ratio("A", "B", 1, cpu); f.median != 0.1 || f.rounds != 3 {
		t.Errorf("%+v; want 0.1", f)
	}
}

func TestIntervalTakesSixRounds(t *testing.T) {
	values := []float64{1, 2, 3, 4, 5, 6}
	if f := figureOf(values[:5]); f.Text(0) != "3" {
		t.Errorf("five rounds: %s", f.Text(0))
	}
	if f := figureOf(values); f.low != 1 || f.high != 6 || f.Text(1) != "3.5 (1.0–6.0)" {
		t.Errorf("six rounds: %s", f.Text(1))
	}
}

// Two callers that wait for each other keep less than two cores busy in every round.
func TestSampleWithFewerCoresThanUsualIsLeftOut(t *testing.T) {
	r := measured(t, 0,
		"BenchmarkA-2 1 10 cpu-ns/op 1.95 busy-cores 0 allocs/op\nBenchmarkWaits-2 1 90 cpu-ns/op 1.2 busy-cores",
		"BenchmarkA-2 1 7 cpu-ns/op 1.2 busy-cores 0 allocs/op\nBenchmarkWaits-2 1 90 cpu-ns/op 1.15 busy-cores",
		"BenchmarkA-2 1 10 cpu-ns/op 1.9 busy-cores 0 allocs/op\nBenchmarkWaits-2 1 20 cpu-ns/op 0.6 busy-cores")
	for name, want := range map[string]float64{"A": 10, "Waits": 90} {
		if f := r.figure(name, 2, cpu); f.median != want || f.rounds != 2 {
			t.Errorf("%s: %+v", name, f)
		}
	}
	if f := r.figure("A", 2, allocs); f.rounds != 3 {
		t.Errorf("allocations: %+v", f)
	}
	if r.busy() {
		t.Error("a breaker whose callers wait for each other makes the machine busy")
	}
}

func TestMachineIsBusyIfOneCoreCannotBeHad(t *testing.T) {
	r := measured(t, math.NaN(), "BenchmarkA 1 10 cpu-ns/op 0.99 busy-cores\nBenchmarkB 1 10 cpu-ns/op 0.7 busy-cores")
	if r.samples != 2 || r.disturbed != 1 || !r.busy() {
		t.Errorf("%d of %d disturbed; busy: %v", r.disturbed, r.samples, r.busy())
	}
}

func TestBusyMachineGetsNoRatios(t *testing.T) {
	const lines = "BenchmarkClosed/httpbreaker 1 40 cpu-ns/op\nBenchmarkClosed/gobreaker-rolling 1 160 cpu-ns/op"
	for others, want := range map[float64]bool{0.05: true, 1.5: false, math.NaN(): true} {
		r := measured(t, others, lines)
		p := page{results: r, Ratios: !r.busy()}
		var text bytes.Buffer
		if err := p.write(&text); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(text.String(), "0.25"); got != want {
			t.Errorf("others use %v cores: ratio shown: %v", others, got)
		}
		if got := strings.Contains(text.String(), "was busy"); got == want {
			t.Errorf("others use %v cores: said to be busy: %v", others, got)
		}
	}
}

func TestRealServerHasALowerEndToReach(t *testing.T) {
	g := goal{least: true, most: []float64{0.98}, low: 0.965}
	for f, want := range map[figure]bool{
		{median: 0.985, low: 0.97}: true,
		{median: 0.985, low: 0.96}: false,
		{median: 0.975, low: 0.97}: false,
	} {
		if g.reached(f, 0) != want {
			t.Errorf("%+v: reached is %v", f, !want)
		}
	}
}

func TestOthersAreWhatThisProcessHasNotUsed(t *testing.T) {
	busy, ok := parseStat("cpu  100 100 100 5000 10 0 50 150 0 0")
	if !ok || busy != 5 {
		t.Errorf("%v, %v", busy, ok)
	}
	began := time.Now()
	a := usage{at: began, all: 5, child: 1, known: true}
	b := usage{at: began.Add(10 * time.Second), all: 24, child: 16, known: true}
	if got := a.others(b); got != 0.4 {
		t.Errorf("%v cores", got)
	}
	if got := a.others(usage{}); !math.IsNaN(got) {
		t.Errorf("not known: %v", got)
	}
}

// every is a line for each kind of benchmark.
const every = `BenchmarkScaling/line 1 5 cpu-ns/op 1 busy-cores
BenchmarkScaling/line-2 1 20 cpu-ns/op 2 busy-cores
BenchmarkScaling/httpbreaker 1 31 cpu-ns/op 1 busy-cores
BenchmarkScaling/httpbreaker-2 1 33 cpu-ns/op 2 busy-cores
BenchmarkClosed/httpbreaker 1 32 cpu-ns/op 1 busy-cores 0 allocs/op
BenchmarkServer/http1/httpbreaker-2 1 0.99 bare/guarded 20000 cpu-ns/op 30 rounds
BenchmarkServer/http1/wrapper-2 1 0.995 bare/guarded 19900 cpu-ns/op 30 rounds
BenchmarkMemory/httpbreaker 1 259 B/key
BenchmarkMillion/new-key 1 2500 cpu-ns/op
BenchmarkMillion/longest-get 1 900000 cpu-ns/op`

func TestPageShowsAllThatWasMeasured(t *testing.T) {
	r := measured(t, 0, every, every, every, every, every, every)
	p := page{results: r, Ratios: true, Whole: true}
	var text bytes.Buffer
	if err := p.write(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"costs 20 ns here when two cores do it to one line, 5 ns when one does",
		"One shared line: an atomic Add costs 20",
		"| the slowest of 1,500,000 new keys there, ms: more than it holds the lock | 1 | ≤ 1 | 0.90 (0.90–0.90) | reached |",
		"| httpbreaker | 31 | 33 | – | – |",
		"180 rounds in all,\nin batches of 30",
		"| **httpbreaker** | 1.1 | 20 | 0.990 (0.990–0.990) |",
		"| an empty wrapper | 1.1 |",
		"| **httpbreaker, breaker.Set** | 100000 | 259 |",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if t.Failed() {
		t.Log(text.String()[:4000])
	}
	if err := p.draw(t.TempDir()); err != nil {
		t.Error(err)
	}
}
