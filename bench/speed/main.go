// Command speed compares what circuit breakers cost: this project's, those of
// other Go libraries, and none. It runs the Go benchmarks of the directory above
// and writes bench/results/speed.md and its plot.
//
//	go run ./speed            in bench/, on a quiet machine, for 12 minutes at most
//	go run ./speed -short     only see that all of it works, in seconds
//	go run ./speed -only 'Closed|Rejected' -count 6
//
// The benchmarks run in rounds, each of them once in a round, so that what else the
// machine does hits all alike. Times are CPU time. A ratio is taken within each
// round. Shown are medians and 95 % intervals of the rounds.
//
// A run on a machine that was busy with other work says so, and writes neither
// ratios nor the page, except with -force. What was measured is kept in the file
// of -raw in the format of Go benchmarks, for benchstat and for -from.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

const module = "github.com/seed-0b728cf8/httpbreaker/bench"

type options struct {
	count     int
	limit     time.Duration
	benchtime time.Duration
	short     bool
	only      *regexp.Regexp
	force     bool
	raw, from string
}

func main() {
	var (
		o       options
		pattern = flag.String("only", "", "run the benchmarks that match `regexp`, such as 'Closed|Rejected'; write no page")
	)
	flag.IntVar(&o.count, "count", 20, "`rounds` to run")
	flag.DurationVar(&o.limit, "for", 11*time.Minute+30*time.Second, "begin no round that would end after this `time`, the build included")
	flag.DurationVar(&o.benchtime, "benchtime", 30*time.Millisecond, "`time` for each benchmark in a round")
	flag.BoolVar(&o.short, "short", false, "only see that everything works: one round of a few milliseconds each; write no page")
	flag.BoolVar(&o.force, "force", false, "write the page and ratios although the machine was busy")
	flag.StringVar(&o.raw, "raw", filepath.Join(os.TempDir(), "httpbreaker-speed.txt"), "keep what was measured in this `file`")
	flag.StringVar(&o.from, "from", "", "measure nothing; write the page from a `file` that -raw has kept")
	flag.Parse()
	var err error
	if o.only, err = regexp.Compile(*pattern); err == nil {
		err = run(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "speed:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	dir, err := benchDir()
	if err != nil {
		return err
	}
	whole := !o.short && o.only.String() == ""
	text, err := os.ReadFile(o.from)
	if o.from == "" {
		text, err = o.measure(dir)
	}
	if err != nil {
		return err
	}
	var r results
	if err := r.read(text); err != nil {
		return err
	}
	p := page{results: &r, Ratios: o.force || o.short || !r.busy(), Whole: whole}
	var md bytes.Buffer
	if err := p.write(&md); err != nil {
		return err
	}
	fmt.Print(md.String())
	if !p.Ratios {
		return fmt.Errorf("the machine was busy with other work (%s), so no page was written; -from %s -force would write it", r.how(), o.raw)
	}
	if !whole {
		return nil
	}
	if err := os.WriteFile(filepath.Join(dir, "results", "speed.md"), md.Bytes(), 0o644); err != nil {
		return err
	}
	return p.draw(filepath.Join(dir, "results", "speed"))
}

// benchDir returns the directory of the benchmarks, from anywhere in the
// workspace.
func benchDir() (string, error) {
	text, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("finding %s: %w (call this inside the repository)", module, err)
	}
	dir := strings.TrimSpace(string(text))
	if _, err := os.Stat(filepath.Join(dir, "speed")); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("no benchmarks in %s", dir)
	}
	return dir, nil
}
