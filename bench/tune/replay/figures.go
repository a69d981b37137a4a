package replay

import (
	"time"

	"github.com/seed-0b728cf8/httpbreaker/bench/tune/logs"
)

// Figures are what came of calls under one guard: of a log, of a half of it, or of
// one host. Times are in seconds.
type Figures struct {
	// What the log says, whatever guards.
	Calls   int `json:"calls"`
	Good    int `json:"good"`
	Failed  int `json:"failed"`
	Unknown int `json:"unknown"` // rejected when they were recorded: nobody knows how they would have ended

	Rejected int `json:"rejected"`
	Spared   int `json:"spared"`  // failures that were rejected
	Lost     int `json:"lost"`    // good answers that were rejected, or given up by the library's own timeout
	Guessed  int `json:"guessed"` // of Unknown, those that were sent here

	FailedSeconds float64 `json:"failed_seconds"` // that the failures which were sent were in flight, added up
	HangSeconds   float64 `json:"hang_seconds"`   // of these, by calls that took Hang or longer
	MostInFlight  int     `json:"most_in_flight"`

	Openings    int     `json:"openings"`     // of closed circuits; 0 where the guard does not tell
	OpenSeconds float64 `json:"open_seconds"` // fully open, added up over the hosts; 0 where the guard does not tell
	PartSeconds float64 `json:"part_seconds"` // letting some calls through
}

// Hang is how long a call must have taken to count as one that hung.
const Hang = 2 * time.Second

// add adds up all but MostInFlight, for which it takes the greater.
func (f *Figures) add(g *Figures) {
	f.Calls += g.Calls
	f.Good += g.Good
	f.Failed += g.Failed
	f.Unknown += g.Unknown
	f.Rejected += g.Rejected
	f.Spared += g.Spared
	f.Lost += g.Lost
	f.Guessed += g.Guessed
	f.FailedSeconds += g.FailedSeconds
	f.HangSeconds += g.HangSeconds
	f.MostInFlight = max(f.MostInFlight, g.MostInFlight)
	f.Openings += g.Openings
	f.OpenSeconds += g.OpenSeconds
	f.PartSeconds += g.PartSeconds
}

// offered counts a call as the log has it.
func (f *Figures) offered(o logs.Outcome) {
	f.Calls++
	switch o {
	case logs.Succeeded:
		f.Good++
	case logs.Failed:
		f.Failed++
	case logs.Rejected:
		f.Unknown++
	}
}

// rejected counts a call that was not let through.
func (f *Figures) rejected(o logs.Outcome) {
	f.Rejected++
	switch o {
	case logs.Succeeded:
		f.Lost++
	case logs.Failed:
		f.Spared++
	}
}

// failed counts a failure that was sent, by how long it was in flight.
func (f *Figures) failed(took int64) {
	seconds := time.Duration(took).Seconds()
	f.FailedSeconds += seconds
	if took >= int64(Hang) {
		f.HangSeconds += seconds
	}
}

// Result is what came of a log under one guard.
type Result struct {
	Guard  Guard      `json:"-"`
	Total  Figures    `json:"total"`
	Halves [2]Figures `json:"-"` // of the first and of the second half of the calls; seconds open are not split
	Keys   []Figures  `json:"-"` // by the number of the host
	Bins   []Bin      `json:"-"`
	Width  time.Duration
	Begin  int64 // of the first bin, in nanoseconds since 1970
}

// Bin is what came of the calls that began in a stretch of time.
type Bin struct {
	Good, Failed, Ignored, Rejected int
	InFlight                        int // most at once
}

// widths of bins that people can read off an axis.
var widths = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour,
}

// width is the smallest one of which at most n are needed.
func width(span int64, n int) time.Duration {
	for _, w := range widths {
		if span/int64(w) < int64(n) {
			return w
		}
	}
	return time.Duration(span/int64(n) + 1)
}
