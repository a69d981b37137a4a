package main

import (
	_ "embed"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/template"

	"github.com/seed-0b728cf8/httpbreaker/bench/speed/subjects"
)

//go:embed page.md.tmpl
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// A page is what page.md.tmpl shows.
type page struct {
	*results
	Ratios bool // are shown, and goals
	Whole  bool // everything was measured
}

func (p *page) write(w io.Writer) error { return pageTemplate.Execute(w, p) }

// Busy reports whether others used the machine.
func (p *page) Busy() bool { return p.busy() }

// How tells how busy the machine was.
func (p *page) How() string { return p.how() }

// Line tells what a shared cache line costs.
func (p *page) Line() string {
	one, two := p.figure("Scaling/line", 1, cpu), p.figure("Scaling/line", 2, cpu)
	if one.rounds == 0 || two.rounds == 0 {
		return ""
	}
	return fmt.Sprintf("an atomic Add costs %s ns here when two cores do it to one line, %s ns when one does.", two.NS(), one.NS())
}

type goalRow struct {
	What                   string
	Cores                  int
	Limit, Figure, Reached string
}

// Goals are those that were measured.
func (p *page) Goals() (rows []goalRow) {
	for _, g := range goals {
		for i, cores := range g.cores {
			f := g.figure(p.results, cores)
			if f.rounds == 0 {
				continue
			}
			digits := 2
			if g.unit == bareRatio {
				digits = 3
			} else if g.unit == perKey {
				digits = 0
			}
			reached := "reached"
			if !g.reached(f, i) {
				reached = "**missed**"
			}
			rows = append(rows, goalRow{g.What, cores, g.limit(i), f.Text(digits), reached})
		}
	}
	return rows
}

type table struct {
	Title, About string
	Rows         []timesRow
}

type timesRow struct {
	Label              string
	One, Two, Allocs   figure
	OneRatio, TwoRatio figure
}

// Tables are the times that were measured.
func (p *page) Tables() (tables []table) {
	add := func(bench, baseline, title, about string, of []subject) {
		t := table{Title: title, About: about}
		for _, s := range of {
			name, to := bench+"/"+s.name, bench+"/"+baseline
			row := timesRow{s.label(), p.figure(name, 1, cpu), p.figure(name, 2, cpu), p.figure(name, 1, allocs), p.ratio(name, to, 1, cpu), p.ratio(name, to, 2, cpu)}
			if row.One.rounds+row.Two.rounds > 0 {
				t.Rows = append(t.Rows, row)
			}
		}
		if t.Rows != nil {
			tables = append(tables, t)
		}
	}
	breakers, transports, sets := breakerSubjects(), transportSubjects(), setSubjects()
	add("Closed", rolling, "A call that succeeds", "One call through a closed circuit: ask, make a call that does nothing, tell the outcome.", breakers)
	add("Rejected", rolling, "A rejection", "One call that an open circuit rejects. Those that read no clock are opened and closed by a timer or a goroutine. What rejects by chance lets up to 2 % through.", breakers)
	add("RoundTrip/no-body", dozen, "RoundTrip: a response without a body", "An http.RoundTripper over a base that does nothing, in front of one host, circuit closed. The URL is of the form `https://host/`.", transports)
	add("RoundTrip/no-port", dozen, "RoundTrip: `http://host/`", "The same, for a URL whose port goes without saying and is not 443.", transports)
	add("RoundTrip/body", dozen, "RoundTrip: a response with a body", "The same, with a body of one byte that is read and closed. Only httpbreaker watches it, so that it notices a host which breaks off half-way; that is the allocation.", transports)
	add("RoundTripRejected", dozen, "RoundTrip: a rejection", "The same, circuit open.", transports)
	add("RoundTripKeyed/https", dozen, "RoundTrip: 100,000 hosts", "Requests to 100,000 hosts in random order: each is a miss of every cache, the request itself included.", transports)
	add("RoundTripKeyed/http", dozen, "RoundTrip: 100,000 hosts, `http://host/`", "The same without a port, where httpbreaker puts the key together from host and port.", transports)
	for _, n := range [][2]string{{"one", "one key"}, {"hundred", "100 keys"}, {"100k", "100,000 keys"}} {
		add("Keyed/"+n[0], subjects.BaselineSet, "A call among "+n[1], "Find the breaker of a key, in random order, and make a call that succeeds.", sets)
	}
	return tables
}

// A subject is what is measured, in any of the forms that subjects has.
type subject struct{ name, title, module string }

func (s subject) label() string {
	if s.module == subjects.Ours {
		return "**" + s.title + "**"
	}
	return s.title
}

func breakerSubjects() (all []subject) {
	for _, s := range subjects.Breakers {
		title := s.Title
		if s.NoWindow && s.Module != "" {
			title += " (keeps no window of time)"
		}
		all = append(all, subject{s.Name, title, s.Module})
	}
	return all
}

func transportSubjects() (all []subject) {
	for _, s := range append(subjects.Transports[:len(subjects.Transports):len(subjects.Transports)], subjects.EmptyWrapper) {
		all = append(all, subject{s.Name, s.Title, s.Module})
	}
	return all
}

func setSubjects() (all []subject) {
	for _, s := range subjects.Sets {
		all = append(all, subject{s.Name, s.Title, s.Module})
	}
	return all
}

type serverRow struct {
	Label, Protocol string
	CPU, Ratio      figure
}

// Server is what was measured over a real server.
func (p *page) Server() (rows []serverRow) {
	for _, protocol := range []string{"1.1", "2"} {
		for _, s := range transportSubjects() {
			name := "Server/http" + protocol[:1] + "/" + s.name
			row := serverRow{s.label(), protocol, p.figure(name, 2, cpu), p.figure(name, 2, bareRatio)}
			row.CPU.median, row.CPU.low, row.CPU.high = row.CPU.median/1e3, row.CPU.low/1e3, row.CPU.high/1e3
			if row.CPU.rounds > 0 {
				rows = append(rows, row)
			}
		}
	}
	return rows
}

// ServerBatch is how often each transport had its turn in one process.
func (p *page) ServerBatch() int { return int(p.figure("Server/http1/httpbreaker", 2, rounds).median) }

// ServerRounds is how often it had its turn in all.
func (p *page) ServerRounds() int {
	return p.figure("Server/http1/httpbreaker", 2, rounds).rounds * p.ServerBatch()
}

type memoryRow struct {
	Label string
	Keys  int
	Bytes figure
	About string
}

// Memory is what an idle key takes.
func (p *page) Memory() (rows []memoryRow) {
	for _, s := range subjects.Sets {
		keys := 100_000
		if s.MaxKeys > 0 {
			keys = min(keys, s.MaxKeys)
		}
		if f := p.figure("Memory/"+s.Name, 1, perKey); f.rounds > 0 {
			rows = append(rows, memoryRow{subject{s.Name, s.Title, s.Module}.label(), keys, f, s.About})
		}
	}
	return rows
}

// Keys is what a new key costs.
func (p *page) Keys() (rows []timesRow) {
	for _, s := range []subject{
		{"NewKey/httpbreaker-closed", "httpbreaker, 10,000 keys, all closed", subjects.Ours},
		{"NewKey/httpbreaker-open", "httpbreaker, 10,000 keys, all open (the new one is opened, too)", subjects.Ours},
		{"Million/new-key", "httpbreaker, 1,000,000 keys, all closed", subjects.Ours},
		{"NewKey/" + subjects.BaselineSet, "sony/gobreaker in a sync.Map, which has no bound and forgets nothing", ""},
	} {
		if f := p.figure(s.name, 1, cpu); f.rounds > 0 {
			rows = append(rows, timesRow{Label: s.label(), One: f})
		}
	}
	return rows
}

type settingRow struct{ Label, Version, Text string }

// Settings are those of all subjects.
func (p *page) Settings() (rows []settingRow) {
	versions := moduleVersions()
	for _, s := range subjects.Breakers {
		rows = append(rows, settingRow{subject{s.Name, s.Title, s.Module}.label(), versions[s.Module], s.Settings})
	}
	for _, s := range subjects.Transports {
		rows = append(rows, settingRow{subject{s.Name, "RoundTrip: " + s.Title, s.Module}.label(), versions[s.Module], s.Settings})
	}
	return rows
}

type scaling struct {
	Procs []string
	Lines []scalingLine
}

type scalingLine struct {
	Title   string
	Figures []figure
}

// Scaling is what was measured over GOMAXPROCS.
func (p *page) Scaling() *scaling {
	s := &scaling{Procs: strings.Split(scale(p.Cores), ",")}
	for _, line := range [][2]string{
		{"line", "atomic Add to one line"}, {"own-lines", "atomic Add to a line each"},
		{rolling, "sony/gobreaker, rolling window"}, {"httpbreaker-slowcall", "httpbreaker, SlowCall on"}, {"httpbreaker", "httpbreaker"},
	} {
		l := scalingLine{Title: line[1]}
		measured := 0
		for _, n := range s.Procs {
			procs, _ := strconv.Atoi(n)
			f := p.figure("Scaling/"+line[0], procs, cpu)
			measured += f.rounds
			l.Figures = append(l.Figures, f)
		}
		if measured > 0 {
			s.Lines = append(s.Lines, l)
		}
	}
	if s.Lines == nil {
		return nil
	}
	return s
}
