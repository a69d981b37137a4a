package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/bench/plots"
	"github.com/seed-0b728cf8/httpbreaker/bench/tune/replay"
)

// cannotKnow is what the figures of a replay leave open.
var cannotKnow = []string{
	"A host that is spared may recover sooner than it did: calls that the log has after that would have gone better.",
	"A caller that is rejected may try again, or go elsewhere: the log has only the calls that were made.",
	"A log of a proxy has the calls of all its processes; here one circuit sees them all, and decides sooner than each of many would.",
	"What the log itself says was rejected has no outcome: where it would be sent here, it is taken to end as the last known call to that host. A recording under Observe knows.",
	"The wait of an open circuit is drawn at random, within Config.Jitter; here it is exact. Windows begin when a circuit is made, which only a recording tells.",
}

// shownHosts is how many hosts are listed.
const shownHosts = 10

// guards are no breaker, the defaults, one for each configuration, and others.
func (o *options) guards() ([]replay.Guard, error) {
	configs, err := o.configurations()
	if err != nil {
		return nil, err
	}
	guards := []replay.Guard{replay.None()}
	for _, c := range configs {
		guards = append(guards, replay.Ours(c.name, c.config))
	}
	others, err := o.others()
	for _, p := range others {
		guards = append(guards, replay.Peer(p))
	}
	return guards, err
}

// runReplay replays the logs, or searches on them.
func (o *options) runReplay(t *testing.T, out, progress io.Writer) error {
	guards, err := o.guards() // before a gigabyte is read
	if err != nil {
		return err
	}
	l, err := o.load(progress)
	if err != nil {
		return err
	}
	defer l.Close()
	if !o.json {
		l.tell(out)
	}
	if o.search {
		return o.runSearch(t, l, out, progress)
	}
	bar := newBar(progress, "replaying", int64(l.Calls))
	results, err := replay.Run(t, &l.Log, guards, replay.Options{Bins: 300, Progress: func(n int) { bar.set(int64(n)) }})
	bar.end()
	if err != nil {
		return err
	}
	if o.json {
		return writeJSON(out, newDocument(l, results))
	}
	printResults(out, l, results)
	if o.out == "" {
		return nil
	}
	return o.draw(out, func(w io.Writer, theme plots.Theme) error { return drawReplay(w, results, theme) })
}

// tell prints what was read, and as what.
func (l *loaded) tell(out io.Writer) {
	for _, r := range l.reports {
		fmt.Fprintf(out, "%s: %s, %s lines, %s calls\n", r.Name, r.Format, count(r.Lines), count(r.Calls))
		for _, g := range r.Guesses {
			fmt.Fprintf(out, "  %s\n", g)
		}
		if r.NoCall > 0 {
			fmt.Fprintf(out, "  %s lines are of requests for which no host was called\n", count(r.NoCall))
		}
		if r.Dropped > 0 {
			fmt.Fprintf(out, "  the recording lacks %s calls: it could not be written fast enough\n", count(r.Dropped))
		}
		if r.BadAll > 0 {
			fmt.Fprintf(out, "  %s lines could not be read:\n", count(r.BadAll))
			for _, b := range r.Bad {
				fmt.Fprintf(out, "    line %d: %s: %s\n", b.Number, b.Why, b.Text)
			}
		}
	}
	first, last := time.Unix(0, l.First).UTC(), time.Unix(0, l.Last).UTC()
	hosts := "1 host"
	if len(l.Keys) != 1 {
		hosts = count(len(l.Keys)) + " hosts"
	}
	fmt.Fprintf(out, "%s calls to %s, from %s to %s UTC\n\n", count(l.Calls), hosts, first.Format(time.DateTime), last.Format(time.DateTime))
}

// row is a line of the table.
type row struct {
	title, about string
	cell         func(*replay.Result) string
}

var rows = []row{
	{
		"failures spared", "Calls that failed in the log and would have been rejected: nobody would have waited for them.",
		func(r *replay.Result) string { return part(r.Total.Spared, r.Total.Failed) },
	},
	{
		"good answers lost", "Calls that succeeded in the log and would have been rejected, or given up by the library's own timeout.",
		func(r *replay.Result) string { return part(r.Total.Lost, r.Total.Good) },
	},
	{
		"failures sent", "Calls that failed in the log and would have been sent all the same.",
		func(r *replay.Result) string { return count(r.Total.Failed - r.Total.Spared) },
	},
	{
		"call-seconds in failures", "The time that these were in flight, added up.",
		func(r *replay.Result) string { return count(int(r.Total.FailedSeconds + 0.5)) },
	},
	{
		"call-seconds in hangs", "The same, of those that took 2 s or longer.",
		func(r *replay.Result) string { return count(int(r.Total.HangSeconds + 0.5)) },
	},
	{
		"most in flight", "The most calls in flight at one moment, to all hosts together.",
		func(r *replay.Result) string { return count(r.Total.MostInFlight) },
	},
	{
		"openings", "How often a closed circuit would have opened, in whole or in part; “–” where the library does not tell.",
		func(r *replay.Result) string { return told(r.Guard.TellsOpenings(), count(r.Total.Openings)) },
	},
	{
		"time open", "How long circuits would have been open, all hosts added up.",
		func(r *replay.Result) string { return told(r.Guard.TellsTimes(), span(r.Total.OpenSeconds)) },
	},
	{
		"time half-open", "How long they would have let some calls through: as probes, in a slow start, or because they shed load.",
		func(r *replay.Result) string { return told(r.Guard.TellsTimes(), span(r.Total.PartSeconds)) },
	},
}

// told is text, where the guard tells.
func told(tells bool, text string) string {
	if !tells {
		return "–"
	}
	return text
}

// unknownRow is shown where the log has rejections of its own.
var unknownRow = row{
	"rejected in the log, sent", "Calls that were rejected when the log was written and would be sent; how they end is a guess.",
	func(r *replay.Result) string { return part(r.Total.Guessed, r.Total.Unknown) },
}

// printResults prints the tables.
func printResults(out io.Writer, l *loaded, results []*replay.Result) {
	for _, r := range results[1:] {
		fmt.Fprintf(out, "%s: %s\n", r.Guard.Name, r.Guard.About)
	}
	fmt.Fprintln(out)
	shown := rows
	if results[0].Total.Unknown > 0 {
		shown = append(slices.Clone(rows), unknownRow)
	}
	tw := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	for _, r := range results {
		fmt.Fprintf(tw, "\t%s", r.Guard.Name)
	}
	fmt.Fprintln(tw, "\t")
	for _, row := range shown {
		fmt.Fprint(tw, row.title)
		for _, r := range results {
			fmt.Fprintf(tw, "\t%s", row.cell(r))
		}
		fmt.Fprintln(tw, "\t")
	}
	_ = tw.Flush()
	fmt.Fprintln(out)
	for _, row := range shown {
		fmt.Fprintf(out, "%s: %s\n", row.title, row.about)
	}
	for _, r := range results[1:] {
		if r.Guard.TellsTimes() {
			printHosts(out, l, r)
		}
	}
	fmt.Fprintln(out, "\nWhat a replay cannot know:")
	for _, text := range cannotKnow {
		fmt.Fprintf(out, "  %s\n", text)
	}
}

// worst returns the numbers of the hosts that suffered most, or that made others
// suffer most: by failures sent and good answers lost.
func worst(r *replay.Result) []int {
	var hosts []int
	for i := range r.Keys {
		if f := &r.Keys[i]; f.Failed+f.Lost+f.Openings > 0 {
			hosts = append(hosts, i)
		}
	}
	cost := func(i int) int { return r.Keys[i].Failed - r.Keys[i].Spared + r.Keys[i].Lost }
	slices.SortStableFunc(hosts, func(a, b int) int {
		return cmp.Or(cmp.Compare(cost(b), cost(a)), cmp.Compare(r.Keys[b].Failed, r.Keys[a].Failed))
	})
	return hosts[:min(len(hosts), shownHosts)]
}

func printHosts(out io.Writer, l *loaded, r *replay.Result) {
	hosts := worst(r)
	if len(hosts) == 0 {
		return
	}
	fmt.Fprintf(out, "\nworst hosts under %s\n", r.Guard.Name)
	tw := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(tw, "host\tcalls\tfailed\tspared\tgood lost\tcall-s in failures\topenings\topen\thalf-open")
	for _, i := range hosts {
		f := &r.Keys[i]
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", hostName(l.Keys[i]), count(f.Calls), count(f.Failed), part(f.Spared, f.Failed),
			part(f.Lost, f.Good), count(int(f.FailedSeconds+0.5)), f.Openings, span(f.OpenSeconds), span(f.PartSeconds))
	}
	_ = tw.Flush()
}

// hostName is a host for a terminal: what could move its cursor is escaped.
func hostName(key string) string {
	if key == "" {
		return "(all)"
	}
	if quoted := strconv.Quote(key); quoted[1:len(quoted)-1] != key {
		return quoted
	}
	return key
}

// count writes 1234567 as 1,234,567.
func count(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// part writes a number and which share of whole it is.
func part(n, whole int) string {
	if whole == 0 {
		return "–"
	}
	share := 100 * float64(n) / float64(whole)
	digits := 1
	if share > 0 && share < 0.1 {
		digits = 3
	}
	return fmt.Sprintf("%s (%s %%)", count(n), strconv.FormatFloat(share, 'f', digits, 64))
}

// span writes seconds as 1m30s.
func span(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	if d >= 10*time.Second {
		d = d.Round(time.Second)
	} else {
		d = d.Round(10 * time.Millisecond)
	}
	return d.String()
}
