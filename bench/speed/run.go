package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
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

// benchmarks returns the names of the benchmarks that are wanted.
func (b binary) benchmarks(o options) (names []string, err error) {
	text, err := b.output("-test.list=^Benchmark")
	if err != nil {
		return nil, err
	}
	for _, name := range strings.Fields(string(text)) {
		if o.only.MatchString(name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no benchmark matches %s", o.only)
	}
	return names, nil
}

// A plan is how a benchmark is run other than on one core and two, in each round.
type plan struct {
	cores string
	every int // it takes long or hardly varies, so it is in one round of so many
}

var plans = map[string]plan{
	"BenchmarkScaling":        {cores: scale(runtime.NumCPU()), every: 1},
	"BenchmarkServer":         {cores: "2", every: 1},
	"BenchmarkMemory":         {cores: "1", every: 10},
	"BenchmarkMillion":        {cores: "1", every: 3},
	"BenchmarkNewKey":         {cores: "1", every: 3},
	"BenchmarkKeyed":          {cores: "1,2", every: 3},
	"BenchmarkRoundTripKeyed": {cores: "1,2", every: 3},
}

// scale is 1, 2, 4 and so on: to eight, or to twice as many as there are cores.
func scale(cores int) string {
	var all []string
	for n := 1; n <= max(8, 2*cores); n *= 2 {
		all = append(all, strconv.Itoa(n))
	}
	return strings.Join(all, ",")
}

// run runs one benchmark in a process of its own, as what some libraries leave
// behind would weigh on the next one.
func (b binary) run(name string, o options) ([]byte, error) {
	cores := "1,2"
	if p, ok := plans[name]; ok {
		cores = p.cores
	}
	args := []string{"-test.run=^$", "-test.bench=^" + name + "$", "-test.benchtime=" + o.benchtime.String(), "-test.cpu=" + cores}
	if o.short {
		args = append(args, "-test.short")
	}
	return b.output(args...)
}

// measure runs the rounds, and returns what they print in the format of Go
// benchmarks. It is kept in o.raw as it comes.
func (o options) measure(dir string) ([]byte, error) {
	if o.short {
		o.count, o.benchtime = 1, 2*time.Millisecond
	}
	began, longest, written := time.Now(), time.Duration(0), 0
	tests, cleanup, err := build(dir)
	if err != nil {
		return nil, err
	}
	defer cleanup()
	fmt.Fprintln(os.Stderr, "checking that every subject does what it is measured at")
	if _, err := tests.output("-test.run=Work$|Allocations$"); err != nil {
		return nil, err
	}
	names, err := tests.benchmarks(o)
	if err != nil {
		return nil, err
	}
	raw, err := os.Create(o.raw)
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	fmt.Fprintln(os.Stderr, "keeping what is measured in", o.raw)

	var all bytes.Buffer
	cores := runtime.NumCPU()
	fmt.Fprintf(&all, "machine: %s, %d cores, %s, %s\ncores: %d\ncommit: %s\ndate: %s\ncommand: %s\n",
		cpuModel(), cores, runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH, cores, commit(dir), time.Now().Format(time.DateOnly), command())
	for round := range o.count {
		begun := time.Now()
		if round > 0 && time.Since(began)+longest > o.limit {
			break
		}
		before := look()
		var printed bytes.Buffer
		for _, name := range names {
			if p := plans[name]; p.every > 0 && round%p.every != 0 {
				continue
			}
			fmt.Fprintf(os.Stderr, "round %d of %d, %v: %s\n", round+1, o.count, time.Since(began).Round(time.Second), name)
			text, err := tests.run(name, o)
			if err != nil {
				return nil, err
			}
			printed.Write(text)
		}
		fmt.Fprintf(&all, "round: %d\nothers: %.3f\n", round, before.others(look()))
		all.Write(printed.Bytes())
		if _, err := raw.Write(all.Bytes()[written:]); err != nil {
			return nil, err
		}
		written, longest = all.Len(), max(longest, time.Since(begun))
	}
	return all.Bytes(), raw.Close()
}

// command is how this was called.
func command() string {
	return strings.Join(append([]string{"go run ./speed"}, os.Args[1:]...), " ")
}
