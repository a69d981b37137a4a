// Command tune answers what settings of the breaker would do to your traffic.
//
// It replays a log: what would these settings have done last Tuesday?
//
//	go run ./bench/tune -replay access.log.gz
//	go run ./bench/tune -replay access.log -config mine.json -beside gobreaker -o tuesday.svg
//	go run ./bench/tune -replay access.log -config mine.json -search
//
// A log is JSON as nginx or Envoy writes it, a combined log that ends with the
// request's time, CSV with a header, or a recording of package record; gzip or not.
// What tune takes a log's fields for it says, and flags overrule it. Without a log of
// your own there is one in bench/tune/testdata.
//
// Or it plays a fault, with traffic that looks like yours:
//
//	go run ./bench/tune -rps 100 -fault down -for 2m
//	go run ./bench/tune -config mine.json -config other.json -rps 4 -fault errors -share 0.3
//
// Or it serves a page with sliders for traffic, fault and settings, on which one can
// drop a log, too:
//
//	go run ./bench/tune -http localhost:8080
//
// A configuration is a breaker.Config as JSON, such as {"open_for": "2s"}; what is
// absent is the default. The defaults and a run without a breaker are always beside
// it.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/bench/peers"
	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
	"github.com/seed-0b728cf8/httpbreaker/bench/tune/logs"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// options are the flags.
type options struct {
	configs, beside []string
	out             string
	dark            bool

	// of a fault that is played
	rps, errors, share                  float64
	clients, retries, seeds             int
	latency, p99, timeout, slow, length time.Duration
	fault                               string

	// of a log
	replay []string
	log    logs.Options
	keys   int
	search bool
	json   bool

	http string
}

func (o *options) register(flags *flag.FlagSet) {
	list := func(name string, to *[]string, usage string) {
		flags.Func(name, usage, func(s string) error {
			*to = append(*to, s)
			return nil
		})
	}
	list("config", &o.configs, "a breaker.Config as JSON `file`; may be given several times")
	list("beside", &o.beside, "other settings to show: the `name` of a library, such as gobreaker, or \"gobreaker, defaults\"; may be given several times")
	flags.StringVar(&o.out, "o", "tune.svg", "the drawing, `file`; empty for none")
	flags.BoolVar(&o.dark, "dark", false, "draw for a dark ground")

	flags.Float64Var(&o.rps, "rps", 100, "of a fault: calls in a second, altogether")
	flags.IntVar(&o.clients, "clients", 1, "of a fault: processes that make the calls, each with a circuit of its own")
	flags.DurationVar(&o.latency, "latency", 50*time.Millisecond, "of a fault: half of the calls take less than this while nothing is wrong")
	flags.DurationVar(&o.p99, "p99", 0, "of a fault: 99 of 100 calls take less than this while nothing is wrong (default 2.5 × -latency)")
	flags.Float64Var(&o.errors, "errors", 0.005, "of a fault: share of calls that fail while nothing is wrong")
	flags.DurationVar(&o.timeout, "timeout", 10*time.Second, "of a fault: timeout of the client")
	flags.IntVar(&o.retries, "retries", 0, "of a fault: further attempts, 50 ms apart, after a failure or a rejection")
	flags.StringVar(&o.fault, "fault", "down", "the fault. down: refuses connections; hang: never answers; slow: takes -slow; errors: fails a -share; flap: 5 s down, 5 s up")
	flags.Float64Var(&o.share, "share", 0.3, "of a fault of errors: share of the calls that fail")
	flags.DurationVar(&o.slow, "slow", 2*time.Second, "of a slow fault: half of the calls take less than this")
	flags.DurationVar(&o.length, "for", 2*time.Minute, "how long the fault lasts")
	flags.IntVar(&o.seeds, "seeds", 10, "of a fault: runs with each configuration, over which figures are taken")

	list("replay", &o.replay, "a log `file` to replay, - for the standard input; may be given several times")
	flags.StringVar(&o.log.Time, "time", "", "of a log: `field` with the time of a call")
	flags.StringVar(&o.log.TimeIs, "time-is", "", "of a log: which time that is, start or end")
	flags.StringVar(&o.log.TimeFormat, "time-format", "", "of a log: `layout` of times, as of Go's package time, such as \"2006-01-02 15:04:05\"")
	flags.StringVar(&o.log.Host, "host", "", "of a log: `field` with the host, or what else has a circuit of its own")
	flags.StringVar(&o.log.Duration, "duration", "", "of a log: `field` that says how long a call took")
	flags.StringVar(&o.log.Unit, "unit", "", "of a log: s, ms, us or ns, of durations that are numbers")
	flags.StringVar(&o.log.Status, "status", "", "of a log: `field` with the HTTP status, or a word for how the call ended")
	flags.IntVar(&o.keys, "keys", 10_000, "of a log: most hosts that there may be; each takes a kilobyte of memory for each configuration")
	flags.BoolVar(&o.search, "search", false, "of a log: look for settings that no others beat, and recommend one")
	flags.BoolVar(&o.json, "json", false, "of a log: print JSON instead of tables")

	flags.StringVar(&o.http, "http", "", "serve a page to play with on this `address`, such as localhost:8080")
}

func main() {
	var o options
	o.register(flag.CommandLine)
	flag.Parse()
	if flag.NArg() > 0 {
		if len(o.replay) == 0 {
			fmt.Fprintf(os.Stderr, "tune: %q is no flag; a log is given by -replay\n", flag.Arg(0))
			os.Exit(2)
		}
		o.replay = append(o.replay, flag.Args()...)
	}
	sim.Main(func(t *testing.T) int {
		if err := o.run(t, os.Stdout, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, "tune:", err)
			return 1
		}
		return 0
	})
}

// run does what the flags say.
func (o *options) run(t *testing.T, out, progress io.Writer) error {
	switch {
	case o.http != "":
		return o.serve(t, out)
	case o.search && len(o.replay) == 0:
		return fmt.Errorf("-search wants a log; -replay names it")
	case len(o.replay) > 0:
		return o.runReplay(t, out, progress)
	}
	return o.simulate(t, out)
}

// named is a configuration and what to call it.
type named struct {
	name   string
	config breaker.Config
}

// configurations are the defaults, then those of the files.
func (o *options) configurations() ([]named, error) {
	all := []named{{"defaults", breaker.Config{}}}
	for _, file := range o.configs {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var config breaker.Config
		if err := json.Unmarshal(data, &config); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
		all = append(all, named{name, config})
	}
	return all, nil
}

// others are the policies of peers that are asked for.
func (o *options) others() (some []*sim.Policy, err error) {
	for _, name := range o.beside {
		found, err := others(name)
		if err != nil {
			return nil, err
		}
		some = append(some, found...)
	}
	return some, nil
}

// others returns the policies whose library and settings have name in them.
func others(name string) (some []*sim.Policy, err error) {
	var all []string
	for _, p := range peers.All() {
		all = append(all, p.Name())
		if strings.Contains(strings.ToLower(p.Name()), strings.ToLower(name)) {
			some = append(some, p)
		}
	}
	if len(some) == 0 {
		return nil, fmt.Errorf("-beside %s: there is none of that name; there are: %s", name, strings.Join(all, "; "))
	}
	return some, nil
}
