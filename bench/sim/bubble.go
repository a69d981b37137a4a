package sim

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Main gives a command what synctest asks for, a *testing.T, and exits with the
// code that body returns. The command's flags must have been parsed.
func Main(body func(t *testing.T) int) {
	if !flag.Parsed() {
		flag.Parse()
	}
	run := testing.InternalTest{Name: "sim", F: func(t *testing.T) { os.Exit(body(t)) }}
	testing.Main(func(string, string) (bool, error) { return true, nil }, []testing.InternalTest{run}, nil, nil)
}

// Job is one run to do.
type Job struct {
	Scenario *Scenario
	Policy   *Policy
	Seed     uint64
}

// RunAll does the jobs on all cores and hands each result to got, one at a time
// and in no certain order.
func RunAll(t *testing.T, jobs []Job, got func(Job, *Run)) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	queue := make(chan Job)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for job := range queue {
				run := RunOne(t, job)
				mu.Lock()
				got(job, run)
				mu.Unlock()
			}
		})
	}
	for _, job := range jobs {
		queue <- job
	}
	close(queue)
	wg.Wait()
}

// RunOne does one job in a bubble of its own.
func RunOne(t *testing.T, job Job) (run *Run) {
	// Some libraries start goroutines that never end. The bubble ends all the
	// same, with time standing still for them, and says so by a panic.
	defer func() {
		if p := recover(); p != nil && (run == nil || !strings.Contains(fmt.Sprint(p), "blocked goroutines remain")) {
			panic(p)
		}
	}()
	synctest.Test(t, func(*testing.T) {
		// A bubble's clock starts in the year 2000. Libraries that noted the time
		// when the process started must not find themselves before it.
		time.Sleep(time.Until(time.Date(2050, 1, 1, 0, 0, 0, int(job.Seed%1e9), time.UTC)))
		run = newEngine(job).run()
	})
	return run
}
