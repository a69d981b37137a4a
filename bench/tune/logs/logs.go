// Package logs reads calls out of the logs that people have: JSON as nginx, Envoy
// and others write it, combined logs that end with the request's time, CSV with a
// header, and recordings of package record; plain or compressed with gzip.
//
// What a log does not say about itself is guessed from its first lines: which
// fields hold the time, the host, the duration and the status, in which units, and
// whether a time is a call's start or its end. Report says what was guessed, and
// Options overrule it. A line that makes no sense is counted and left out.
package logs

import (
	"fmt"
	"io"
	"time"
)

// Outcome is how a call ended.
type Outcome uint8

const (
	Succeeded Outcome = iota
	Failed
	Ignored  // says nothing about the host: a client that went away, a 429
	Rejected // was never sent: how it would have ended is not known
)

// Call is one call.
type Call struct {
	Start   int64 // nanoseconds since 1970
	Took    int64 // nanoseconds; 0 if Rejected
	Key     uint32
	Outcome Outcome
}

// Options overrule what is guessed. The zero Options guess everything.
type Options struct {
	// Names of the fields; in JSON "a.b" is b in the object a.
	Time, Host, Duration, Status string
	// Unit of durations that are numbers: "s", "ms", "us" or "ns".
	Unit string
	// TimeIs is "start" or "end".
	TimeIs string
	// TimeFormat is a layout of package time, such as "2006-01-02 15:04:05".
	TimeFormat string
}

// Check returns an error that names what is wrong with o.
func (o Options) Check() error {
	if _, ok := units[o.Unit]; o.Unit != "" && !ok {
		return fmt.Errorf("unit %q; want s, ms, us or ns", o.Unit)
	}
	if o.TimeIs != "" && o.TimeIs != "start" && o.TimeIs != "end" {
		return fmt.Errorf("times are %q; want start or end", o.TimeIs)
	}
	return nil
}

var units = map[string]int64{
	"s": int64(time.Second), "ms": int64(time.Millisecond), "us": int64(time.Microsecond), "ns": 1,
}

// Keys numbers the hosts of all logs that are read together.
type Keys struct {
	Limit int // how many there may be
	Names []string
	index map[string]uint32
}

// number returns the number of a key, and false if there is no room for one more.
func (k *Keys) number(key []byte) (uint32, bool) {
	if n, ok := k.index[string(key)]; ok {
		return n, true
	}
	if len(k.Names) >= k.Limit {
		return 0, false
	}
	if k.index == nil {
		k.index = map[string]uint32{}
	}
	n := uint32(len(k.Names))
	k.Names = append(k.Names, string(key))
	k.index[k.Names[n]] = n
	return n, true
}

// Report says what was made of a log.
type Report struct {
	Format  string   // what it is: "JSON", "CSV", "combined", "recording"
	Guesses []string // what was guessed or set, a sentence each
	Lines   int      // lines that are not blank
	Calls   int
	NoCall  int       // lines of which no call came: served without asking a host
	Dropped int       // calls that a recording says it lacks
	Begin   int64     // when a recording began, in nanoseconds since 1970; 0 if this is none, or if it is not said
	Bad     []BadLine // the first of them
	BadAll  int
}

// BadLine is a line that could not be read.
type BadLine struct {
	Number int
	Why    string
	Text   string // its beginning, quoted
}

const (
	showBad    = 5
	sampleSize = 200
)

func (r *Report) bad(number int, line []byte, why error) {
	r.BadAll++
	if len(r.Bad) < showBad {
		r.Bad = append(r.Bad, BadLine{number, why.Error(), excerpt(line)})
	}
}

func excerpt(line []byte) string {
	const most = 60
	if len(line) > most {
		return fmt.Sprintf("%q…", line[:most])
	}
	return fmt.Sprintf("%q", line)
}

// Read reads a log and hands each of its calls to add, in the order of the lines.
// It fails if the log as a whole makes no sense, if reading fails, or if add does;
// the Report tells how far it came.
func Read(from io.Reader, o Options, keys *Keys, add func(Call) error) (Report, error) {
	var report Report
	if err := o.Check(); err != nil {
		return report, err
	}
	in, err := newLines(from)
	if err != nil {
		return report, err
	}
	first, err := in.sample(sampleSize)
	if err != nil {
		return report, err
	}
	if len(first) == 0 {
		return report, fmt.Errorf("there is nothing in it")
	}
	p, err := guess(first, o)
	if err != nil {
		return report, err
	}
	report.Format, report.Guesses = p.format, p.guesses
	if in.gzipped {
		report.Format += ", gzip"
	}
	p.keys, p.report, p.add = keys, &report, add
	for _, l := range first {
		if err := p.line(l); err != nil {
			return report, err
		}
	}
	for {
		l, err := in.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			// What was read of a file that breaks off is worth having.
			report.bad(in.number+1, nil, fmt.Errorf("reading stops here: %w", err))
			break
		}
		if err := p.line(l); err != nil {
			return report, err
		}
	}
	if err := p.spread.flush(add); err != nil {
		return report, err
	}
	if report.Calls == 0 {
		return report, fmt.Errorf("no line of %d is a call%s", report.Lines, report.firstBad())
	}
	return report, nil
}

func (r *Report) firstBad() string {
	if len(r.Bad) == 0 {
		return ""
	}
	b := r.Bad[0]
	return fmt.Sprintf("; line %d: %s: %s", b.Number, b.Why, b.Text)
}
