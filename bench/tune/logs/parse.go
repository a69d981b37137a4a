package logs

import (
	"bytes"
	"errors"
	"fmt"
)

// parser makes calls of lines.
type parser struct {
	format       string
	guesses      []string
	split        func(text []byte, field func(name, value []byte)) error
	separator    byte     // of CSV
	header       [][]byte // of CSV
	skip         int      // the number of the header's line
	names        [columns][]byte
	unit         int64
	ends         bool // times are those of ends
	wholeSeconds bool
	clock        clock

	keys   *Keys
	report *Report
	add    func(Call) error
	row    [columns][]byte
	spread spread
}

// maxKey is how long the name of a host may be.
const maxKey = 1024

// line makes of one line what it is: a call, several attempts of one, or nothing.
func (p *parser) line(l line) error {
	if l.number == p.skip {
		return nil
	}
	p.report.Lines++
	if l.long > 0 {
		p.report.bad(l.number, l.text, fmt.Errorf("it has %d bytes, more than %d", l.long, maxLine))
		return nil
	}
	p.row = [columns][]byte{}
	if err := p.split(l.text, p.take); err != nil {
		p.report.bad(l.number, l.text, err)
		return nil
	}
	bad, err := p.calls()
	if bad != nil {
		p.report.bad(l.number, l.text, bad)
	}
	return err
}

// take keeps a field if it is a column.
func (p *parser) take(name, value []byte) {
	for col, want := range p.names {
		if len(name) == len(want) && len(name) > 0 && string(name) == string(want) {
			p.row[col] = value
		}
	}
}

// csv splits a line of CSV into fields by the names of the header.
func (p *parser) csv(text []byte, field func(name, value []byte)) error {
	n := 0
	err := csvFields(text, p.separator, func(i int, value []byte) {
		if n++; i < len(p.header) {
			field(p.header[i], value)
		}
	})
	if err == nil && n != len(p.header) {
		return fmt.Errorf("it has %d fields, and the header %d", n, len(p.header))
	}
	return err
}

var (
	errKeyLong = fmt.Errorf("the name of its host has more than %d bytes", maxKey)
	errNoTime  = errors.New("it has no duration")
)

// calls makes calls of the row. Where nginx has tried several upstreams it lists
// them, "502, 200", and each is a call.
func (p *parser) calls() (bad, fatal error) {
	r := &p.row
	if p.format == "JSON" || p.format == "recording" {
		for col := range r {
			r[col] = unescaped(r[col])
		}
	}
	if p.format == "recording" && len(r[colDropped])+len(r[colBegin]) > 0 {
		return p.notice(), nil
	}
	if missing(r[colStatus]) && missing(r[colDuration]) {
		p.report.NoCall++
		return nil, nil
	}
	at, err := p.clock.parse(r[colTime])
	if err != nil {
		return err, nil
	}
	if !isList(r[colStatus]) && !isList(r[colDuration]) {
		return p.one(at, r[colHost], r[colDuration], r[colStatus])
	}
	return p.attempts(at)
}

// notice takes a line that tells of the recording itself.
func (p *parser) notice() error {
	if text := p.row[colBegin]; len(text) > 0 {
		begin, err := p.clock.parse(text)
		if err == nil && (p.report.Begin == 0 || begin < p.report.Begin) {
			p.report.Begin = begin
		}
		return err
	}
	n, err := number(p.row[colDropped], 1)
	if err != nil || n < 0 {
		return fmt.Errorf("dropped %q is no number of calls", p.row[colDropped])
	}
	p.report.Dropped += int(n)
	return nil
}

// attempts makes a call of each attempt in a list. They came one after the other.
func (p *parser) attempts(at int64) (bad, fatal error) {
	r := &p.row
	hosts, durations, statuses := list(r[colHost]), list(r[colDuration]), list(r[colStatus])
	if len(durations) != len(statuses) && len(durations) > 1 && len(statuses) > 1 {
		return fmt.Errorf("%d durations and %d statuses", len(durations), len(statuses)), nil
	}
	if len(durations) == 1 || len(statuses) == 1 {
		// One of them is of the whole request: its last attempt stands for it.
		return p.one(at, last(hosts), last(durations), last(statuses))
	}
	var total int64
	for _, d := range durations {
		if took, err := duration(d, p.unit); err == nil {
			total += took
		}
	}
	if p.ends {
		at -= total
	}
	for i, d := range durations {
		took, err := duration(d, p.unit)
		if err != nil {
			continue // it was not tried
		}
		host := last(hosts)
		if len(hosts) == len(durations) {
			host = hosts[i]
		}
		when := at
		if p.ends {
			when += took
		}
		if bad, fatal := p.one(when, host, d, statuses[i]); bad != nil || fatal != nil {
			return bad, fatal
		}
		at += took
	}
	return nil, nil
}

// one makes one call.
func (p *parser) one(at int64, host, took, status []byte) (bad, fatal error) {
	how, err := outcome(status)
	if missing(status) {
		how, err = Failed, nil // it was asked, and gave no answer
	}
	if err != nil {
		return err, nil
	}
	if bytes.Contains(p.row[colFlags], []byte("DC")) && how != Succeeded {
		how = Ignored // the client has gone
	}
	var d int64
	if how != Rejected {
		if d, err = duration(took, p.unit); errors.Is(err, errMissing) {
			return errNoTime, nil
		} else if err != nil {
			return err, nil
		}
	}
	if p.ends {
		at -= d
	}
	if at < 0 {
		return fmt.Errorf("it began before 1970"), nil
	}
	if len(host) > maxKey {
		return errKeyLong, nil
	}
	key, ok := p.keys.number(host)
	if !ok {
		return fmt.Errorf("it is of one more host than the %d that fit in memory; is %q the right field? -keys lets in more", p.keys.Limit, p.names[colHost]), nil
	}
	p.report.Calls++
	c := Call{Start: at, Took: d, Key: key, Outcome: how}
	if !p.wholeSeconds {
		return nil, p.add(c)
	}
	second := at
	if p.ends {
		second += d
	}
	return nil, p.spread.add(c, second, p.add)
}

// isList reports whether nginx has listed several attempts.
func isList(text []byte) bool {
	return bytes.Contains(text, []byte(", ")) || bytes.Contains(text, []byte(" : "))
}

// list splits such a list.
func list(text []byte) [][]byte {
	if !isList(text) {
		return [][]byte{text}
	}
	return bytes.Split(bytes.ReplaceAll(text, []byte(" : "), []byte(", ")), []byte(", "))
}

func last(texts [][]byte) []byte { return texts[len(texts)-1] }

// firstOf is the first entry of a list.
func firstOf(text []byte) []byte { return list(text)[0] }

// spread holds back the calls of one second until there are all of them.
type spread struct {
	second int64
	calls  []Call
}

// most is how many calls of one second are spread evenly.
const most = 1 << 17

func (s *spread) add(c Call, second int64, add func(Call) error) error {
	if second != s.second || len(s.calls) == most {
		if err := s.flush(add); err != nil {
			return err
		}
		s.second = second
	}
	s.calls = append(s.calls, c)
	return nil
}

func (s *spread) flush(add func(Call) error) error {
	for i, c := range s.calls {
		c.Start += (int64(2*i+1) * 1e9) / int64(2*len(s.calls))
		if err := add(c); err != nil {
			return err
		}
	}
	s.calls = s.calls[:0]
	return nil
}
