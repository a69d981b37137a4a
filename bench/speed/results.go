package main

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"

	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchmath"
)

// The units of figures.
const (
	cpu       = "cpu-ns/op"
	allocs    = "allocs/op"
	perKey    = "B/key"
	bareRatio = "bare/guarded"
	rounds    = "rounds"
	busyCores = "busy-cores"
)

// A measure is one figure of one benchmark on so many cores.
type measure struct {
	name  string // "Closed/httpbreaker"
	cores int
	unit  string // "cpu-ns/op"
}

// results holds what was measured, in the order of the rounds. A round in which
// something was not measured, or was disturbed, has a NaN there.
type results struct {
	Machine, Commit, Date, Command string
	Cores                          int

	values             map[measure][]float64
	samples, disturbed int
	others             []float64 // for each round, the cores that other processes kept busy
}

// undisturbed is the share of the core that a benchmark wanted, or of the cores that it
// has in most rounds, below which its sample is left out: others had them.
const undisturbed = 0.9

// A run is busy if others had more than busyOthers cores in the middle of the rounds, or
// if more than busySamples of the samples on one core were disturbed.
const (
	busyOthers  = 0.2
	busySamples = 0.2
)

func (r *results) busy() bool {
	return figureOf(r.others).median > busyOthers || float64(r.disturbed) > busySamples*float64(r.samples)
}

// how tells how busy the machine was.
func (r *results) how() string {
	text := fmt.Sprintf("%d of %d samples on one core were disturbed and left out", r.disturbed, r.samples)
	if f := figureOf(r.others); f.rounds > 0 {
		text = fmt.Sprintf("other processes kept %.2f cores busy; ", f.median) + text
	}
	return text
}

// read takes what the benchmarks have printed.
func (r *results) read(text []byte) error {
	r.values = map[measure][]float64{}
	for lines := benchfmt.NewReader(bytes.NewReader(text), "benchmarks"); lines.Scan(); {
		switch line := lines.Result().(type) {
		case *benchfmt.SyntaxError:
			return line
		case *benchfmt.Result:
			r.Machine, r.Commit = line.GetConfig("machine"), line.GetConfig("commit")
			r.Date, r.Command = line.GetConfig("date"), line.GetConfig("command")
			r.Cores, _ = strconv.Atoi(line.GetConfig("cores"))
			round, err := strconv.Atoi(line.GetConfig("round"))
			if err != nil {
				return fmt.Errorf("round: %w", err)
			}
			if others, err := strconv.ParseFloat(line.GetConfig("others"), 64); err == nil {
				set(&r.others, round, others)
			}
			r.add(round, line)
		}
	}
	r.leaveOut()
	return nil
}

// leaveOut leaves out the times of the rounds in which a benchmark on several cores had
// fewer of them than in most. All of them it has only if its callers never wait for each
// other.
func (r *results) leaveOut() {
	for m, had := range r.values {
		if m.unit != busyCores || m.cores == 1 {
			continue
		}
		times := r.values[measure{m.name, m.cores, cpu}]
		usual := figureOf(had).median
		for round := range times {
			if had[round] < undisturbed*usual {
				times[round] = math.NaN()
			}
		}
	}
}

// set puts a value into its round. Rounds that were left out before have a NaN.
func set(values *[]float64, round int, value float64) {
	for len(*values) <= round {
		*values = append(*values, math.NaN())
	}
	(*values)[round] = value
}

func (r *results) add(round int, line *benchfmt.Result) {
	name, cores := line.Name.String(), 1
	_, parts := line.Name.Parts()
	if n := len(parts); n > 0 && parts[n-1][0] == '-' {
		cores, _ = strconv.Atoi(string(parts[n-1][1:]))
		name = strings.TrimSuffix(name, string(parts[n-1]))
	}
	disturbed := false
	if had, ok := line.Value(busyCores); ok && cores == 1 {
		disturbed = had < undisturbed
		r.samples++
		if disturbed {
			r.disturbed++
		}
	}
	for _, v := range line.Values {
		value, unit := v.Value, v.Unit
		if v.OrigUnit != "" { // as it was printed
			value, unit = v.OrigValue, v.OrigUnit
		}
		if disturbed && unit == cpu {
			continue
		}
		m := measure{name, cores, unit}
		values := r.values[m]
		set(&values, round, value)
		r.values[m] = values
	}
}

// A figure is the median of some rounds and its 95 % interval, which takes six
// rounds: with fewer, low and high are infinite.
type figure struct {
	median, low, high float64
	rounds            int
}

func figureOf(values []float64) figure {
	var there []float64
	for _, v := range values {
		if !math.IsNaN(v) {
			there = append(there, v)
		}
	}
	if len(there) == 0 {
		return figure{median: math.NaN()}
	}
	s := benchmath.AssumeNothing.Summary(benchmath.NewSample(there, &benchmath.DefaultThresholds), 0.95)
	return figure{s.Center, s.Lo, s.Hi, len(there)}
}

func (r *results) figure(name string, cores int, unit string) figure {
	return figureOf(r.values[measure{name, cores, unit}])
}

// ratio compares two benchmarks round by round.
func (r *results) ratio(name, to string, cores int, unit string) figure {
	a, b := r.values[measure{name, cores, unit}], r.values[measure{to, cores, unit}]
	var ratios []float64
	for i := range min(len(a), len(b)) {
		ratios = append(ratios, a[i]/b[i])
	}
	return figureOf(ratios)
}

// Text formats a figure, with its interval if it has one.
func (f figure) Text(digits int) string {
	switch {
	case f.rounds == 0:
		return "–"
	case f.low == f.high && f.median == math.Trunc(f.median):
		return fmt.Sprintf("%.0f", f.median)
	case f.rounds < 2 || math.IsInf(f.low, 0) || math.IsInf(f.high, 0):
		return fmt.Sprintf("%.*f", digits, f.median)
	}
	return fmt.Sprintf("%.*f (%.*f–%.*f)", digits, f.median, digits, f.low, digits, f.high)
}

// NS formats nanoseconds.
func (f figure) NS() string {
	if f.median < 20 {
		return f.Text(1)
	}
	return f.Text(0)
}
