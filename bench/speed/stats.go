package main

import (
	"math"
	"slices"
)

var nan = math.NaN()

// A figure is the median of some rounds, and the range of their middle half.
type figure struct {
	median, low, high float64
	rounds            int
}

// figureOf leaves out rounds that are not there.
func figureOf(values []float64) figure {
	values = slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	if len(values) == 0 {
		return figure{nan, nan, nan, 0}
	}
	slices.Sort(values)
	return figure{quantile(values, 0.5), quantile(values, 0.25), quantile(values, 0.75), len(values)}
}

// quantile interpolates between the two nearest of the sorted values.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 == len(sorted) {
		return sorted[i]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
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
