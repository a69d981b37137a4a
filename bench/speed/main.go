// Command speed compares what circuit breakers cost: this project's, those of
// other Go libraries, and none. It runs the Go benchmarks of the directory
// above, prints the medians, and writes docs/speed.md.
//
//	go run ./bench/speed
//
// The benchmarks run as often as -count says, all of them once in each round, so
// that what else the machine does hits all alike. A ratio is taken within each
// round; the median of the rounds and the range of their middle half are shown.
package main

import (
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

func main() {
	var (
		count     = flag.Int("count", 10, "`rounds` to run")
		benchtime = flag.Duration("benchtime", 100*time.Millisecond, "`time` for each benchmark in a round")
		short     = flag.Bool("short", false, "only see that everything works: one round of a few milliseconds each")
		only      = flag.String("only", "", "run the benchmarks that match `regexp`, such as 'Closed|Rejected'")
		out       = flag.String("out", "", "write the page to this `file` (default docs/speed.md, or none with -short or -only)")
	)
	flag.Parse()
	if err := run(*count, *benchtime, *short, *only, *out); err != nil {
		fmt.Fprintln(os.Stderr, "speed:", err)
		os.Exit(1)
	}
}

func run(count int, benchtime time.Duration, short bool, only, out string) error {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	dir, err := benchDir()
	if err != nil {
		return err
	}
	if short {
		count, benchtime = 1, 2*time.Millisecond
	}
	if out == "" && !short && only == "" {
		out = filepath.Join(dir, "..", "docs", "speed.md")
	}

	tests, cleanup, err := build(dir)
	if err != nil {
		return err
	}
	defer cleanup()
	fmt.Fprintln(os.Stderr, "checking that every subject does what it is measured at")
	if err := tests.check(); err != nil {
		return err
	}
	names, err := tests.benchmarks(pattern)
	if err != nil {
		return err
	}
	host := thisHost()
	var all results
	for round := range count {
		for _, name := range names {
			fmt.Fprintf(os.Stderr, "round %d of %d: %s\n", round+1, count, name)
			if err := tests.run(&all, round, name, benchtime, short); err != nil {
				return err
			}
		}
	}
	page := write(all, host, count, benchtime, command(), only == "")
	if out == "" {
		fmt.Print(page)
		return nil
	}
	fmt.Print(page)
	return os.WriteFile(out, []byte(page), 0o644)
}

// command is how this was called.
func command() string {
	return strings.Join(append([]string{"go run ./bench/speed"}, os.Args[1:]...), " ")
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
