package sim

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// Measure is one thing that is measured in each run.
type Measure struct {
	ID     string
	Title  string
	About  string
	Note   string  // for a plot; % is the figure
	Higher bool    // is better
	Grain  float64 // the least difference that counts

	of   func(*Run) float64 // NaN is "does not apply", +Inf is "never"
	of95 bool               // the figure is the 95th percentile over the runs, else the mean
	text func(float64) string
}

func share(part, whole int) float64 {
	if whole == 0 {
		return math.NaN()
	}
	return 100 * float64(part) / float64(whole)
}

func never(seconds float64) float64 {
	if math.IsNaN(seconds) {
		return math.Inf(1)
	}
	return seconds
}

// Measures are all that is measured.
var Measures = []Measure{
	{
		ID: "healthy rejected", Title: "healthy calls rejected",
		About: "Of the requests made while nothing was wrong (before the fault, and from 10 s after recovery on), the share that was rejected.",
		of:    func(r *Run) float64 { return share(r.HealthyRejected, r.HealthyOffered) },
		Grain: 0.05, text: percent,
		Note: "% rejected",
	},
	{
		ID: "rejected", Title: "rejected",
		About: "Of all requests of the run, the share that was rejected.",
		of:    func(r *Run) float64 { return share(r.Rejected, r.Requests) },
		Grain: 0.05, text: percent,
		Note: "% rejected",
	},
	{
		ID: "wasted", Title: "wasted calls",
		About: "Calls that were sent during the fault and failed.",
		of:    func(r *Run) float64 { return float64(r.Wasted) },
		text:  number,
		Note:  "% wasted",
	},
	{
		ID: "wasted seconds", Title: "wasted call-seconds",
		About: "The time that wasted calls were in flight, added up.",
		of:    func(r *Run) float64 { return r.WastedSeconds },
		text:  number,
		Note:  "% call-s wasted",
	},
	{
		ID: "in flight", Title: "most in flight",
		About: "The most calls in flight at one moment.",
		of:    func(r *Run) float64 { return float64(r.PeakInFlight) },
		text:  number,
		Note:  "% in flight",
	},
	{
		ID: "detect", Title: "first rejection after",
		About: "Time from the beginning of the fault to the first rejected request; the mean of the seeds, or “never” if there was a seed without any.",
		of:    func(r *Run) float64 { return never(r.Detect) },
		text:  seconds,
	},
	{
		ID: "good", Title: "achievable goodput",
		About:  "Requests answered well during the fault, as a share of those that could have been, had every call been sent.",
		of:     func(r *Run) float64 { return share(r.Answered, r.Possible) },
		Higher: true, text: percent,
		Note: "% goodput",
	},
	{
		ID: "recover", Title: "recovery (p95)",
		About: "Time from the end of the fault until 95 % of what is possible is answered again and stays so for 10 s; the 95th percentile over the seeds.",
		of:    func(r *Run) float64 { return never(r.Recover) },
		of95:  true, text: seconds,
		Note: "back after %",
	},
	{
		ID: "rejected after", Title: "rejected after the fault",
		About: "Requests that were rejected although the fault was over.",
		of:    func(r *Run) float64 { return float64(r.AfterRejected) },
		text:  number,
	},
	{
		ID: "rejected after share", Title: "rejected after the fault",
		About: "The same, as a share of the requests after the fault.",
		of:    func(r *Run) float64 { return share(r.AfterRejected, r.AfterOffered) },
		Grain: 0.05, text: percent,
		Note: "% rejected after",
	},
	{
		ID: "good after", Title: "answered after the fault",
		About:  "Requests answered well after the end of the fault, as a share of all requests then.",
		of:     func(r *Run) float64 { return share(r.AfterAnswered, r.AfterOffered) },
		Higher: true, text: percent,
	},
	{
		ID: "herd", Title: "arrival peak",
		About: "The busiest second at the server in the 90 s after the fault, in multiples of the ordinary traffic.",
		of:    func(r *Run) float64 { return r.Herd },
		text:  func(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) + " ×" },
		Note:  "peak %",
	},
	{
		ID: "events", Title: "state changes",
		About: "State changes that the library reported, for alerts and logs; “–” where it reports none.",
		of:    func(r *Run) float64 { return r.told(r.Changes) },
		text:  number,
	},
	{
		ID: "openings", Title: "openings",
		About: "Of them, those from closed to any other state.",
		of:    func(r *Run) float64 { return r.told(r.Openings) },
		text:  number,
	},
	{
		ID: "probes", Title: "probes",
		About: "Of them, those from open to half-open.",
		of:    func(r *Run) float64 { return r.told(r.Probes) },
		text:  number,
	},
}

// MeasureOf returns the measure of that ID, which must exist.
func MeasureOf(id string) *Measure {
	for i := range Measures {
		if Measures[i].ID == id {
			return &Measures[i]
		}
	}
	panic("no measure " + id)
}

func percent(v float64) string {
	digits := 1
	switch {
	case v == 0 || v == 100:
		digits = 0
	case v < 0.1:
		digits = 3
	}
	return strconv.FormatFloat(v, 'f', digits, 64) + " %"
}

func number(v float64) string {
	switch {
	case v == math.Trunc(v) && v < 1000 || v >= 10 && v < 1000:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v < 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	s := strconv.FormatFloat(v, 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func seconds(v float64) string {
	switch {
	case v == 0:
		return "0 s"
	case v < 10:
		return strconv.FormatFloat(v, 'f', 2, 64) + " s"
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + " s"
}

// Text is v for people.
func (m *Measure) Text(v float64) string {
	switch {
	case math.IsNaN(v):
		return "–"
	case math.IsInf(v, 1):
		return "never"
	}
	return m.text(v)
}

// Over is the figure of some runs.
func (m *Measure) Over(runs []*Run) float64 {
	var values []float64
	for _, r := range runs {
		if v := m.of(r); !math.IsNaN(v) {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return math.NaN()
	}
	if m.of95 {
		slices.Sort(values)
		return values[int(math.Ceil(0.95*float64(len(values))))-1]
	}
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// Better reports whether a is better than b by more than that share of b, and by
// as much as counts. Figures that read alike are.
func (m *Measure) Better(a, b, by float64) bool {
	if m.Text(a) == m.Text(b) {
		return false
	}
	least := max(by*math.Abs(b), m.Grain)
	if math.IsInf(b, 0) {
		least = 0
	}
	if m.Higher {
		return a > b+least
	}
	return a < b-least
}

// Note is the first two of the measures that have something to say about one run.
func Note(run *Run, ids ...string) string {
	var parts []string
	for _, id := range ids {
		m := MeasureOf(id)
		v := m.Over([]*Run{run})
		switch {
		case m.Note == "" || len(parts) == 2 || math.IsNaN(v):
		case m.ID == "recover" && math.IsInf(v, 1):
			parts = append(parts, "never back")
		case m.ID == "recover" && v == 0:
			parts = append(parts, "back at once")
		default:
			parts = append(parts, strings.Replace(m.Note, "%", m.Text(v), 1))
		}
	}
	return strings.Join(parts, ", ")
}
