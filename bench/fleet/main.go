// Command fleet measures what processes gain that share what their circuit
// breakers learn, and what it may cost them. It plays stories to 2 to 1,000
// processes with the real packages breaker and fleet in virtual time, next to
// processes that share nothing and to those where one opens all; then it measures
// the real Redis adapter beside sony/gobreaker's distributed breaker. It writes
// results/fleet.md with the figures and plots.
//
//	go run ./fleet                       # all: writes the page
//	go run ./fleet -only 1000,cold       # prints, writes nothing
//	go run ./fleet -seeds 1 -peers=false
//
// It fails if a figure misses its goal. The peers need Debian's redis-server.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerredis/fleet"
)

func main() {
	only := flag.String("only", "", "these `stories`, separated by commas; nothing written")
	seeds := flag.Int("seeds", 3, "runs of each story with each policy")
	withPeers := flag.Bool("peers", true, "measure the adapter and its peer on a real Redis, too")
	flag.Parse()
	debug.SetGCPercent(400)
	sim.Main(func(t *testing.T) int {
		if err := run(t, os.Stdout, *only, *seeds, *withPeers); err != nil {
			fmt.Fprintln(os.Stderr, "fleet:", err)
			return 1
		}
		return 0
	})
}

func run(t *testing.T, out io.Writer, only string, seeds int, withPeers bool) error {
	all := groups()
	if only != "" {
		want := strings.Split(only, ",")
		for i := range all {
			all[i].Stories = slices.DeleteFunc(all[i].Stories, func(s *Story) bool { return !slices.Contains(want, s.ID) })
		}
	}
	results := Results{}
	for _, g := range all {
		tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
		for _, s := range g.Stories {
			results[s.ID] = map[string]Figures{}
			for _, p := range policies(s) {
				var runs []*Run
				for seed := range seeds {
					runs = append(runs, runStory(t, s, p, uint64(seed)+1))
				}
				f := mean(s, runs)
				results[s.ID][p.Name] = f
				fmt.Fprintf(tw, "%s\t%s\twasted %.0f\t95 %% reject %.1f s\tback %.1f s\tprobes %.0f\theld %.2f %%\tpeak %.2f ×\tscripts %.0f/s (%.0f)\t\n",
					s.ID, p.Name, f.Wasted, f.T95, f.Recover, f.Probes, 100*f.Held, f.Herd, f.Scripts, f.Peak)
			}
			_ = tw.Flush()
		}
	}
	fmt.Fprintln(out)
	ok := checkGoals(out, results)
	if only != "" {
		return missed(ok)
	}
	var peers []Peer
	if withPeers {
		var err error
		if peers, err = measurePeers(out); err != nil {
			return err
		}
	}
	if err := writePage(all, results, peers, seeds); err != nil {
		return err
	}
	return missed(ok)
}

func missed(ok bool) error {
	if !ok {
		return errors.New("a figure missed its goal")
	}
	return nil
}

func policies(s *Story) []*Policy {
	return []*Policy{local(), oneOpensAll(), shared(fleet.Options{MinNodes: s.minNodes()})}
}

// resultsDir is where the page and its plots lie.
func resultsDir() string {
	_, source, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(source), "..", "results")
}

// number is a figure as the page has it.
func number(v float64, digits int) string {
	switch {
	case math.IsInf(v, 0):
		return "never"
	case math.Abs(v) >= 1000:
		return thousands(int(math.Round(v)))
	}
	return fmt.Sprintf("%.*f", digits, v)
}
