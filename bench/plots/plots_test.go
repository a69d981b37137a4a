package plots

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
)

func outage() *sim.Run {
	run := &sim.Run{FaultBin: 20, FaultLength: 30, Bins: make([]sim.Bin, 90)}
	for i := range run.Bins {
		switch {
		case i < 20 || i >= 55:
			run.Bins[i] = sim.Bin{OK: 100, Sent: 100, InFlight: 5}
		case i < 22:
			run.Bins[i] = sim.Bin{Failed: 100, Sent: 100, InFlight: 100}
		default:
			run.Bins[i] = sim.Bin{Rejected: 100}
		}
	}
	return run
}

func TestSVG(t *testing.T) {
	for _, kind := range []sim.Kind{Requests, InFlight, Arrivals} {
		chart := Chart{
			Kind: kind, Before: 10, After: 30, Columns: 2, Capacity: func(float64) float64 { return 50 },
			Panels: []Panel{
				{Title: "ours & <theirs>", Note: "3 wasted", Ours: true, Run: outage()},
				{Title: "another", Run: outage()}, {Title: "a third", Run: outage()},
			},
		}
		for _, theme := range []Theme{Light, Dark} {
			var out bytes.Buffer
			if err := chart.SVG(&out, theme); err != nil {
				t.Fatal(err)
			}
			text := out.String()
			for _, want := range []string{"ours &amp; &lt;theirs&gt;", "3 wasted", "another", "a third", "the fault is between these"} {
				if !strings.Contains(text, want) {
					t.Errorf("kind %d: no %q", kind, want)
				}
			}
			if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
				t.Errorf("kind %d: a point is nowhere", kind)
			}
			for d := xml.NewDecoder(&out); ; {
				if _, err := d.Token(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

func TestSteps(t *testing.T) {
	for top, want := range map[float64]float64{0.53: 0.2, 1: 0.5, 110: 50, 199: 50, 260: 100, 740: 200, 1090: 500} {
		if got := countStep(top); got != want {
			t.Errorf("to %v in steps of %v, want %v", top, got, want)
		}
	}
	for span, want := range map[float64]float64{40: 10, 100: 20, 150: 30, 400: 120, 1500: 300} {
		if got := timeStep(span); got != want {
			t.Errorf("%v s in steps of %v, want %v", span, got, want)
		}
	}
	for at, want := range map[float64]string{0: "0", 30: "30 s", 90: "90 s", 120: "2 min", -60: "−1 min"} {
		if got := timeLabel(at); got != want {
			t.Errorf("%v is %q, want %q", at, got, want)
		}
	}
}
