package logs

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The columns that make a call.
const (
	colTime = iota
	colHost
	colDuration
	colStatus
	colFlags   // Envoy's response flags
	colDropped // of a recording
	colBegin   // of a recording
	columns
)

// known are the names under which logs have the columns, the best first, in lower
// case. What nginx or Envoy tells of the upstream goes before what it tells of the
// client, since it is the upstream that a circuit would guard.
var known = [columns][]string{
	colTime: {
		"start_time", "start", "began", "msec", "end", "time_iso8601", "time_local", "timestamp", "@timestamp",
		"time", "ts", "datetime", "date",
	},
	colHost: {
		"key", "upstream_cluster", "upstream_name", "proxy_host", "authority", "upstream_host", "upstream_addr", "upstream",
		"http_host", "host", "vhost", "server_name", "request.host", "hostname", "target", "service", "backend", "url.domain",
	},
	colDuration: {
		"upstream_response_time", "urt", "took", "request_time", "rt", "duration", "duration_ms", "latency", "latency_ms",
		"response_time", "response_time_ms", "elapsed", "elapsed_ms", "time_taken", "event.duration", "ms", "seconds", "extra1",
	},
	colStatus: {
		"outcome", "upstream_status", "us", "response_code", "status", "status_code", "http_status", "code",
		"http.response.status_code", "result",
	},
	colFlags:   {"response_flags"},
	colDropped: {"dropped"},
	colBegin:   {"begin"},
}

var columnWords = [columns]struct{ what, flag string }{
	colTime: {"time", "-time"}, colHost: {"host", "-host"}, colDuration: {"duration", "-duration"}, colStatus: {"status", "-status"},
}

// seen is what the first lines hold under one name.
type seen struct {
	name   string // as it is in the log
	values []string
}

// observed are all fields of the first lines, in the order in which they come.
type observed struct {
	fields []*seen
	byName map[string]*seen
}

func (o *observed) add(name, value []byte) {
	if o.byName == nil {
		o.byName = map[string]*seen{}
	}
	s := o.byName[string(name)]
	if s == nil {
		if len(o.fields) == 1000 { // hostile: nobody has so many
			return
		}
		s = &seen{name: string(name)}
		o.byName[s.name] = s
		o.fields = append(o.fields, s)
	}
	s.values = append(s.values, string(value))
}

// find returns the field of that name, in upper or lower case.
func (o *observed) find(name string) *seen {
	if s := o.byName[name]; s != nil {
		return s
	}
	for _, s := range o.fields {
		if strings.EqualFold(s.name, name) {
			return s
		}
	}
	return nil
}

func (o *observed) names() string {
	var names []string
	for _, s := range o.fields {
		names = append(names, s.name)
	}
	if len(names) > 20 {
		names = append(names[:20], "…")
	}
	return strings.Join(names, ", ")
}

// guess makes a parser for a log that begins with these lines.
func guess(first []line, o Options) (*parser, error) {
	p := &parser{}
	var fields observed
	whole := 0 // lines that could be split
	switch text := first[0].text; {
	case text[0] == '{' || mostly(first, func(text []byte) bool { return text[0] == '{' }):
		p.format, p.split = "JSON", jsonFields
	case mostly(first, func(text []byte) bool { return combinedFields(text, func(_, _ []byte) {}) == nil }):
		p.format, p.split = "combined", combinedFields
	default:
		p.format, p.skip = "CSV", first[0].number
		if err := p.readHeader(text); err != nil {
			return nil, fmt.Errorf("line %d: neither JSON, nor a combined log, nor the header of CSV (%w): %s",
				first[0].number, err, excerpt(text))
		}
	}
	for _, l := range first {
		if l.long == 0 && l.number != p.skip && p.split(l.text, fields.add) == nil {
			whole++
		}
	}
	if whole == 0 && p.format != "CSV" {
		return nil, fmt.Errorf("line %d looks like %s, except that no line can be read as such: %s", first[0].number, p.format, excerpt(first[0].text))
	}
	if p.format == "CSV" && whole == 0 {
		return nil, errors.New("it has a header, except that no line after it can be read")
	}
	if p.format == "JSON" && fields.find("end") != nil && fields.find("outcome") != nil && fields.find("key") != nil {
		p.format = "recording"
	}
	if err := p.choose(&fields, o); err != nil {
		return nil, err
	}
	return p, nil
}

// mostly reports whether more than half of the lines are so.
func mostly(first []line, are func(text []byte) bool) bool {
	n := 0
	for _, l := range first {
		if are(l.text) {
			n++
		}
	}
	return 2*n > len(first)
}

// readHeader takes the names of the columns of CSV.
func (p *parser) readHeader(text []byte) error {
	best := 0
	for _, separator := range []byte(",;\t|") {
		if n := bytes.Count(text, []byte{separator}); n > best {
			best, p.separator = n, separator
		}
	}
	if best == 0 {
		return errors.New("one column only")
	}
	err := csvFields(text, p.separator, func(_ int, name []byte) {
		p.header = append(p.header, bytes.Clone(bytes.TrimSpace(name)))
	})
	for _, name := range p.header {
		if len(name) == 0 || bytes.ContainsAny(name, "\x00\ufffd{}<>") || name[0] >= '0' && name[0] <= '9' {
			return fmt.Errorf("%q is no name of a column", name)
		}
	}
	p.split = p.csv
	return err
}

// choose decides which field is which column, and what its values mean.
func (p *parser) choose(fields *observed, o Options) error {
	set := [columns]string{colTime: o.Time, colHost: o.Host, colDuration: o.Duration, colStatus: o.Status}
	var found [columns]*seen
	for col := range columns {
		candidates := known[col]
		if set[col] != "" {
			candidates = []string{set[col]}
		}
		for _, name := range candidates {
			if s := fields.find(name); s != nil && (set[col] != "" || useful(col, s)) {
				found[col] = s
				p.names[col] = []byte(s.name)
				break
			}
		}
		word := columnWords[col]
		if found[col] == nil && set[col] != "" {
			return fmt.Errorf("%s %s: there is no such field; there are: %s", word.flag, set[col], fields.names())
		}
		if found[col] == nil && (col == colTime || col == colDuration || col == colStatus) {
			return fmt.Errorf("which field is the %s is not clear; %s names it; there are: %s", word.what, word.flag, fields.names())
		}
	}
	p.clock.layout = o.TimeFormat
	p.chooseUnit(found[colDuration], o)
	p.chooseTime(found, o)
	p.say("status: %s", p.names[colStatus])
	if found[colHost] == nil {
		p.say("no field for the host, so that all calls are taken to be to one; -host names it")
	} else {
		p.say("host: %s", found[colHost].name)
	}
	return nil
}

// useful reports whether a field that was not asked for has what its column needs,
// in at least one of the lines.
func useful(col int, s *seen) bool {
	return slices.ContainsFunc(s.values, func(v string) bool {
		text := []byte(v)
		if missing(text) {
			return false
		}
		var err error
		switch col {
		case colTime:
			_, err = new(clock).parse(text)
		case colDuration:
			_, err = duration(firstOf(text), 1)
		case colStatus:
			_, err = outcome(firstOf(text))
		}
		return err == nil
	})
}

func (p *parser) say(format string, args ...any) {
	p.guesses = append(p.guesses, fmt.Sprintf(format, args...))
}

// chooseUnit decides what a duration that is a number counts: by its name, else by
// the size of the values.
func (p *parser) chooseUnit(s *seen, o Options) {
	name := strings.ToLower(s.name)
	unit, why := "", ""
	suffix := func(all ...string) bool {
		return slices.ContainsFunc(all, func(x string) bool { return name == x || strings.HasSuffix(name, "_"+x) })
	}
	switch {
	case o.Unit != "":
		unit, why = o.Unit, "as set"
	case p.format == "recording", strings.HasSuffix(name, "request_time"), strings.HasSuffix(name, "upstream_response_time"),
		name == "rt", name == "urt", suffix("s", "sec", "secs", "seconds"):
		unit, why = "s", "by its name"
	case suffix("ms", "msec", "millis", "milliseconds"):
		unit, why = "ms", "by its name"
	case suffix("us", "usec", "micros", "microseconds"):
		unit, why = "us", "by its name"
	case suffix("ns", "nanos", "nanoseconds"), name == "event.duration":
		unit, why = "ns", "by its name"
	default:
		var values []int64
		fraction, words := false, true
		for _, v := range s.values {
			text := firstOf([]byte(v))
			if n, err := number(text, 1e3); err == nil {
				values = append(values, n)
				fraction = fraction || strings.Contains(v, ".")
				words = false
			}
		}
		if words {
			p.say("duration: %s, in its own words", s.name)
			p.unit = units["s"]
			return
		}
		slices.Sort(values)
		unit, why = unitBySize(float64(values[len(values)/2])/1e3, fraction), "by the size of its values"
	}
	p.unit = units[unit]
	p.say("duration: %s, in %s (%s; -unit)", s.name, unit, why)
}

// unitBySize guesses by what is usual: half of the calls take less than this.
func unitBySize(median float64, fraction bool) string {
	switch {
	case fraction && median < 5:
		return "s"
	case median < 20_000:
		return "ms"
	case median < 20_000_000:
		return "us"
	}
	return "ns"
}

// chooseTime decides whether times are those of starts or ends: by the name, else
// by what grows from line to line, since a line is written when its call has ended.
func (p *parser) chooseTime(found [columns]*seen, o Options) {
	name := strings.ToLower(found[colTime].name)
	is, why := o.TimeIs, "as set"
	switch {
	case is != "":
	case strings.Contains(name, "start"), strings.Contains(name, "beg"), strings.Contains(name, "received"):
		is, why = "start", "by its name"
	case name == "msec", name == "time_local", name == "time_iso8601", strings.Contains(name, "end"), strings.Contains(name, "finish"):
		is, why = "end", "by its name"
	default:
		is, why = p.timeByOrder(found[colTime], found[colDuration])
	}
	p.ends = is == "end"

	p.wholeSeconds = true
	for _, v := range found[colTime].values {
		if ns, err := p.clock.parse([]byte(v)); err == nil && ns%1e9 != 0 {
			p.wholeSeconds = false
		}
	}
	p.say("time: %s, the %s of a call (%s; -time-is)", found[colTime].name, is, why)
	if p.wholeSeconds {
		p.say("times are whole seconds: the calls of a second are spread over it, in the order of their lines")
	}
}

func (p *parser) timeByOrder(times, durations *seen) (is, why string) {
	var ends, starts int // how often they go back
	var lastEnd, lastStart int64
	for i := range min(len(times.values), len(durations.values)) {
		t, err := p.clock.parse([]byte(times.values[i]))
		d, err2 := duration(firstOf([]byte(durations.values[i])), p.unit)
		if err != nil || err2 != nil {
			continue
		}
		if t < lastEnd {
			ends++
		}
		if t+d < lastStart {
			starts++
		}
		lastEnd, lastStart = t, t+d
	}
	if starts < ends {
		return "start", "by the order of the lines"
	}
	return "end", "as is usual"
}
