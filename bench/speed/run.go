package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A binary is the compiled tests and benchmarks.
type binary struct {
	dir  string
	path string
}

func build(dir string) (b binary, cleanup func(), err error) {
	temp, err := os.MkdirTemp("", "speed")
	if err != nil {
		return binary{}, nil, err
	}
	cleanup = func() { _ = os.RemoveAll(temp) }
	b = binary{dir, filepath.Join(temp, "bench.test")}
	cmd := exec.Command("go", "test", "-c", "-o", b.path, ".")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		cleanup()
		return binary{}, nil, err
	}
	return b, cleanup, nil
}

// output runs the binary and returns what it prints.
func (b binary) output(args ...string) ([]byte, error) {
	cmd := exec.Command(b.path, args...)
	cmd.Dir, cmd.Stderr = b.dir, os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, text)
	}
	return text, nil
}

func (b binary) check() error {
	_, err := b.output("-test.run=Work$|Allocations$")
	return err
}

// benchmarks returns the names of the benchmarks that match.
func (b binary) benchmarks(pattern *regexp.Regexp) (names []string, err error) {
	text, err := b.output("-test.list=^Benchmark")
	if err != nil {
		return nil, err
	}
	for _, name := range strings.Fields(string(text)) {
		if pattern.MatchString(name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no benchmark matches %s", pattern)
	}
	return names, nil
}

// run runs one benchmark in a process of its own, as what some libraries leave
// behind would weigh on the next one.
func (b binary) run(all *results, round int, name string, benchtime time.Duration, short bool) error {
	args := []string{"-test.run=^$", "-test.bench=^" + name + "$", "-test.benchtime=" + benchtime.String(), "-test.cpu=1,2"}
	if name == "BenchmarkServer" || name == "BenchmarkMemory" {
		args[3] = "-test.cpu=2"
	}
	if short {
		args = append(args, "-test.short")
	}
	text, err := b.output(args...)
	if err != nil {
		return err
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		all.parse(round, lines.Text())
	}
	return nil
}

// results holds what was measured, by name, unit and round.
type results struct {
	values map[measure][]float64
}

// A measure is one figure of one benchmark on so many cores.
type measure struct {
	name  string // "Closed/httpbreaker"
	cores int
	unit  string // "cpu-ns/op"
}

var cpuSuffix = regexp.MustCompile(`-(\d+)$`)

// parse takes a line of a benchmark's output: its name, how often it ran, and
// pairs of value and unit. Other lines are passed over.
func (r *results) parse(round int, line string) {
	fields := strings.Fields(line)
	if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
		return
	}
	name, cores := strings.TrimPrefix(fields[0], "Benchmark"), 1
	if m := cpuSuffix.FindStringSubmatch(name); m != nil {
		name = strings.TrimSuffix(name, m[0])
		cores, _ = strconv.Atoi(m[1])
	}
	if r.values == nil {
		r.values = map[measure][]float64{}
	}
	for i := 2; i+1 < len(fields); i += 2 {
		value, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return
		}
		m := measure{name, cores, fields[i+1]}
		for len(r.values[m]) < round {
			r.values[m] = append(r.values[m], nan)
		}
		r.values[m] = append(r.values[m], value)
	}
}
