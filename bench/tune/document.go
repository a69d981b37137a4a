package main

import (
	"encoding/json"
	"io"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/bench/tune/replay"
)

// document is the result as JSON.
type document struct {
	Files      []fileJSON  `json:"files"`
	Hosts      int         `json:"hosts"`
	From       time.Time   `json:"from"`
	To         time.Time   `json:"to"`
	Guards     []guardJSON `json:"guards"`
	CannotKnow []string    `json:"cannot_know"`
}

type fileJSON struct {
	Name    string    `json:"name"`
	Format  string    `json:"format"`
	Guesses []string  `json:"guesses"`
	Lines   int       `json:"lines"`
	Calls   int       `json:"calls"`
	NoCall  int       `json:"no_call"`
	Dropped int       `json:"dropped"`
	Bad     int       `json:"bad"`
	BadSome []badJSON `json:"bad_lines"`
}

type badJSON struct {
	Line int    `json:"line"`
	Why  string `json:"why"`
	Text string `json:"text"`
}

type guardJSON struct {
	Name  string         `json:"name"`
	About string         `json:"about"`
	Total replay.Figures `json:"total"`
	// Whether openings, and seconds open, are known.
	TellsOpenings bool       `json:"tells_openings"`
	TellsTimes    bool       `json:"tells_times"`
	Worst         []hostJSON `json:"worst"`
	Bins          binsJSON   `json:"bins"`
}

type hostJSON struct {
	Host string `json:"host"`
	replay.Figures
}

// binsJSON are counts for each stretch of time.
type binsJSON struct {
	Begin    time.Time `json:"begin"`
	Seconds  float64   `json:"seconds"` // that each has
	Good     []int     `json:"good"`
	Failed   []int     `json:"failed"`
	Rejected []int     `json:"rejected"`
	InFlight []int     `json:"in_flight"`
}

func newDocument(l *loaded, results []*replay.Result) *document {
	d := &document{Hosts: len(l.Keys), From: time.Unix(0, l.First).UTC(), To: time.Unix(0, l.Last).UTC(), CannotKnow: cannotKnow}
	for _, r := range l.reports {
		f := fileJSON{r.Name, r.Format, r.Guesses, r.Lines, r.Calls, r.NoCall, r.Dropped, r.BadAll, []badJSON{}}
		for _, b := range r.Bad {
			f.BadSome = append(f.BadSome, badJSON{b.Number, b.Why, b.Text})
		}
		d.Files = append(d.Files, f)
	}
	for _, r := range results {
		d.Guards = append(d.Guards, newGuardJSON(l.Keys, r))
	}
	return d
}

func newGuardJSON(keys []string, r *replay.Result) guardJSON {
	g := guardJSON{Name: r.Guard.Name, About: r.Guard.About, Total: r.Total, TellsOpenings: r.Guard.TellsOpenings(), TellsTimes: r.Guard.TellsTimes(), Worst: []hostJSON{}}
	for _, i := range worst(r) {
		g.Worst = append(g.Worst, hostJSON{keys[i], r.Keys[i]})
	}
	b := &g.Bins
	b.Begin, b.Seconds = time.Unix(0, r.Begin).UTC(), r.Width.Seconds()
	for _, bin := range r.Bins {
		b.Good = append(b.Good, bin.Good)
		b.Failed = append(b.Failed, bin.Failed)
		b.Rejected = append(b.Rejected, bin.Rejected)
		b.InFlight = append(b.InFlight, bin.InFlight)
	}
	return g
}

func writeJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
