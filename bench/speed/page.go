package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/bench/speed/subjects"
)

// write returns the page in Markdown.
func write(r results, h host, count int, benchtime time.Duration, command string, whole bool) string {
	p := &page{r: r}
	p.line("<!-- Written by bench/speed. Do not edit. -->")
	p.line("# Speed")
	p.line("")
	p.line("What circuit breakers cost, measured on the code of the libraries themselves, in one run:")
	p.line("")
	p.line("    %s", command)
	p.line("")
	p.line("%s, %d cores, %s, %s/%s, %s. Load average %.1f when it began, this benchmark excluded, and %.1f at the end.",
		h.cpu, runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH, h.began.Format("2006-01-02"), h.load, loadAverage())
	if h.load > busy {
		p.line("\n**The machine was busy with other work, so these figures are rough.**")
	}
	p.line("")
	p.line("Each figure is the median of %d rounds, with the range of their middle half behind it. A round runs every benchmark once, for about %v. Times are the CPU time of the process for one call, GC included, as that does not depend on what else the machine does; with two cores, both call at once, and what they pay for getting in each other's way is in it. A ratio is taken within each round: smaller than 1 is cheaper.", count, benchtime)
	p.line("")
	p.line("Rows in bold are this project's.")
	p.goals()
	p.breakers("Closed", "A call that succeeds", "One call through a closed circuit: ask, make a call that does nothing, tell the outcome.")
	p.breakers("Rejected", "A rejection", "One call that an open circuit rejects. Those that read no clock are opened and closed by a timer or a goroutine. What rejects by chance lets up to 2 % through.")
	p.transports("RoundTrip/no-body", "RoundTrip: a response without a body", "An http.RoundTripper over a base that does nothing, in front of one host, circuit closed. The URL is of the form `https://host/`.")
	p.transports("RoundTrip/no-port", "RoundTrip: `http://host/`", "The same, for a URL whose port goes without saying and is not 443.")
	p.transports("RoundTrip/body", "RoundTrip: a response with a body", "The same, with a body of one byte that is read and closed. Only httpbreaker watches it, so that it notices a host which breaks off half-way; that is the allocation.")
	p.transports("RoundTripRejected", "RoundTrip: a rejection", "The same, circuit open.")
	p.transports("RoundTripKeyed/https", "RoundTrip: 100,000 hosts", "Requests to 100,000 hosts in random order: each is a miss of every cache, the request itself included.")
	p.transports("RoundTripKeyed/http", "RoundTrip: 100,000 hosts, `http://host/`", "The same without a port, where httpbreaker puts the key together from host and port. It remembers 4,096 of them.")
	for _, n := range [][2]string{{"one", "one key"}, {"hundred", "100 keys"}, {"100k", "100,000 keys"}} {
		p.sets("Keyed/"+n[0], "A call among "+n[1], "Find the breaker of a key, in random order, and make a call that succeeds.")
	}
	p.memory()
	p.newKey()
	p.server()
	if whole {
		p.settings()
	}
	return p.String()
}

type page struct {
	strings.Builder
	r results
}

func (p *page) line(format string, args ...any) {
	fmt.Fprintf(p, format+"\n", args...)
}

func (p *page) section(title, about string, columns ...string) {
	p.line("\n## %s\n\n%s\n", title, about)
	p.line("| %s |", strings.Join(columns, " | "))
	p.line("|%s", strings.Repeat(" --- |", len(columns)))
}

func (p *page) goals() {
	p.section("Goals", "What httpbreaker has to reach, and whether it does.", "what", "cores", "goal", "measured", "reached")
	for _, g := range goals {
		for i, cores := range g.cores {
			f := g.figure(&p.r, cores)
			if f.rounds == 0 {
				continue
			}
			reached := "yes"
			if !g.reached(f, g.most[i]) {
				reached = "**no**"
			}
			p.line("| %s | %d | %s | %s | %s |", g.what, cores, g.limit(g.most[i]), f, reached)
		}
	}
}

func (p *page) breakers(bench, title, about string) {
	var rows []row
	for _, s := range subjects.Breakers {
		label := s.Title
		if s.NoWindow && s.Module != "" {
			label += " (keeps no window of time)"
		}
		rows = append(rows, row{bench + "/" + s.Name, label, s.Module})
	}
	p.times(title, about, bench+"/"+subjects.Baseline, rows)
}

func (p *page) transports(bench, title, about string) {
	var rows []row
	for _, s := range subjects.Transports {
		rows = append(rows, row{bench + "/" + s.Name, s.Title, s.Module})
	}
	p.times(title, about, bench+"/"+subjects.BaselineTransport, rows)
}

func (p *page) sets(bench, title, about string) {
	var rows []row
	for _, s := range subjects.Sets {
		rows = append(rows, row{bench + "/" + s.Name, s.Title, s.Module})
	}
	p.times(title, about, bench+"/"+subjects.BaselineSet, rows)
}

// A row is one benchmark.
type row struct{ name, title, module string }

func (w row) label() string {
	if w.module == subjects.Ours {
		return "**" + w.title + "**"
	}
	return w.title
}

// times writes a table of times, leaving out what was not measured.
func (p *page) times(title, about, baseline string, rows []row) {
	if p.r.figure(baseline, 1, cpu).rounds == 0 {
		return
	}
	p.section(title, about, "", "1 core, ns", "ratio", "2 cores, ns", "ratio", "allocations")
	for _, w := range rows {
		one, two := p.r.figure(w.name, 1, cpu), p.r.figure(w.name, 2, cpu)
		if one.rounds == 0 {
			continue
		}
		p.line("| %s | %s | %s | %s | %s | %v |", w.label(),
			one.time(), p.r.ratio(w.name, baseline, 1, cpu), two.time(), p.r.ratio(w.name, baseline, 2, cpu),
			p.r.figure(w.name, 1, allocs).median)
	}
}

func (p *page) memory() {
	if p.r.figure("Memory/httpbreaker", 2, perKey).rounds == 0 {
		return
	}
	p.section("Memory", "Bytes of heap and goroutine stacks for a key that has made one call, its place in the map included, at 100,000 keys; fewer for those that would not fit.", "", "keys", "bytes a key", "what else")
	for _, s := range subjects.Sets {
		keys := 100_000
		if s.MaxKeys > 0 {
			keys = min(keys, s.MaxKeys)
		}
		p.line("| %s | %d | %.0f | %s |", row{title: s.Title, module: s.Module}.label(), keys,
			p.r.figure("Memory/"+s.Name, 2, perKey).median, s.About)
	}
}

func (p *page) newKey() {
	if p.r.figure("NewKey/httpbreaker-closed", 1, cpu).rounds == 0 {
		return
	}
	p.section("A new key", "A key that is new to a set of 10,000, the default bound, which is full: another one has to go, and an open circuit is remembered.", "", "ns", "allocations")
	for _, w := range []row{
		{"NewKey/httpbreaker-closed", "httpbreaker, all closed", subjects.Ours},
		{"NewKey/httpbreaker-open", "httpbreaker, all open (the new one is opened, too)", subjects.Ours},
		{"NewKey/" + subjects.BaselineSet, "sony/gobreaker in a sync.Map, which has no bound and forgets nothing", ""},
	} {
		p.line("| %s | %s | %v |", w.label(), p.r.figure(w.name, 1, cpu).time(), p.r.figure(w.name, 1, allocs).median)
	}
}

func (p *page) server() {
	if p.r.figure("Server/http1/httpbreaker", 2, bareRatio).rounds == 0 {
		return
	}
	p.section("A real server", "32 workers send requests over the loopback to a server in another process, which answers with a kilobyte. HTTP/2 is without TLS, so that nothing hides what a breaker costs. Bare and guarded runs alternate in one process. The ratio is how many times as many requests are made for the same CPU time of the client as over the bare transport: larger is cheaper, and the row without a breaker shows how exact it is.",
		"", "HTTP", "CPU of the client for a request, µs", "requests for the same CPU time")
	for _, protocol := range []string{"1.1", "2"} {
		for _, s := range append(subjects.Transports, subjects.Transport{
			Name: "httpbreaker-scraped", Title: "httpbreaker, while 1,000 circuits are scraped every 100 ms", Module: subjects.Ours,
		}) {
			name := "Server/http" + protocol[:1] + "/" + s.Name
			f := p.r.figure(name, 2, bareRatio)
			if f.rounds == 0 {
				continue
			}
			p.line("| %s | %s | %.1f | %s |", row{title: s.Title, module: s.Module}.label(), protocol, p.r.figure(name, 2, cpu).median/1000, f)
		}
	}
}

func (p *page) settings() {
	p.section("Settings", "As far as a library lets one choose, it opens at 50 % of at least 20 calls in a rolling window of 10 s with 10 buckets, for a minute, with one probe. Before anything is measured, tests make sure that each lets calls through while they succeed, stays closed while a third of them fails (if it has a rate), opens when all fail, and rejects then.",
		"", "version", "settings and how it is used")
	versions := moduleVersions()
	for _, s := range subjects.Breakers {
		p.line("| %s | %s | %s |", row{title: s.Title, module: s.Module}.label(), versions[s.Module], s.Settings)
	}
	for _, s := range subjects.Transports {
		p.line("| RoundTrip: %s | %s | %s |", row{title: s.Title, module: s.Module}.label(), versions[s.Module], s.Settings)
	}
	p.line("\nThese are the newest versions that could be had as Go modules. cep21/circuit v4.2.0 could not.")
}

// moduleVersions returns the versions of the libraries that were measured: they
// are linked into this command, too.
func moduleVersions() map[string]string {
	versions := map[string]string{}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if versions[m.Path] = m.Version; m.Replace != nil || m.Version == "(devel)" {
				versions[m.Path] = "this one"
			}
		}
	}
	return versions
}

func (f figure) String() string {
	if f.rounds == 0 {
		return "–"
	}
	text := fmt.Sprintf("%.2f", f.median)
	if f.median == float64(int(f.median)) && f.low == f.high || f.median >= 100 {
		return fmt.Sprintf("%.0f", f.median)
	}
	if f.rounds > 1 {
		text += fmt.Sprintf(" (%.2f–%.2f)", f.low, f.high)
	}
	return text
}

// time formats nanoseconds.
func (f figure) time() string {
	if f.rounds == 0 {
		return "–"
	}
	digits := 0
	if f.median < 20 {
		digits = 1
	}
	text := fmt.Sprintf("%.*f", digits, f.median)
	if f.rounds > 1 {
		text += fmt.Sprintf(" (%.*f–%.*f)", digits, f.low, digits, f.high)
	}
	return text
}

// host is the machine that is measured on.
type host struct {
	cpu   string
	load  float64
	began time.Time
}

func thisHost() host {
	return host{cpuModel(), loadAverage(), time.Now()}
}

func cpuModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// busy is the load average above which a run is not to be trusted.
const busy = 0.5

func loadAverage() (load float64) {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return nan
	}
	if _, err := fmt.Sscan(string(text), &load); err != nil {
		return nan
	}
	return load
}
