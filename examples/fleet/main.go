// Fleet shows what processes gain that share what their circuit breakers learn:
//
//	go run ./examples/fleet
//
// Ten processes that share through Redis, and ten that do not, call one server
// five times a second each. The server goes down and comes back. A line a second
// says what reaches the server, and how many processes reject.
//
// It starts a redis-server of its own on a free port. If none is installed it says
// so, and the ten that share are goroutines of one process with a store in memory.
//
// It takes 28 seconds. What a process does is in caller.go: that is what a user of
// the packages would write.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerredis/fleet"
)

const processes = 10

// plan is when the server is down.
type plan struct{ down, up, end time.Duration }

func main() {
	url := flag.String("call", "", "be one of the processes, and call this `URL`")
	redisAddr := flag.String("redis", "", "share through the Redis at this `address`")
	flag.Parse()
	var err error
	if *url != "" {
		err = beCaller(*url, *redisAddr, os.Stdin, os.Stdout)
	} else {
		err = run(os.Stdout, plan{down: 3 * time.Second, up: 15 * time.Second, end: 28 * time.Second})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

// group is ten processes.
type group struct {
	title     string
	calls     atomic.Int64 // that have reached the server
	wasted    atomic.Int64 // of them, while it was down
	rejecting atomic.Int64 // processes
}

func run(out io.Writer, p plan) error {
	groups := [2]*group{{title: "ten that share"}, {title: "ten that do not"}}
	var down atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g := groups[0]
		if r.URL.Path == "/alone" {
			g = groups[1]
		}
		g.calls.Add(1)
		if down.Load() {
			g.wasted.Add(1)
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()

	redisAddr, stopRedis, err := startRedis()
	if err != nil {
		fmt.Fprintf(out, "%v, so the ten that share do it in memory\n\n", err)
	}
	defer stopRedis()
	stop, err := startAll(groups, server.URL, redisAddr)
	defer stop()
	if err != nil {
		return err
	}

	fmt.Fprintf(out, "          %-28s%s\n", groups[0].title, groups[1].title)
	fmt.Fprintf(out, "server    %-28s%s\n", "calls  rejecting", "calls  rejecting")
	var last [2]int64
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for now := time.Second; now <= p.end; now += time.Second {
		<-tick.C
		is := "up  "
		if down.Load() {
			is = "DOWN"
		}
		fmt.Fprintf(out, "%3.0fs %s", now.Seconds(), is)
		for i, g := range groups {
			calls := g.calls.Load()
			fmt.Fprintf(out, "  %5d  %2d of %d", calls-last[i], g.rejecting.Load(), processes)
			if last[i] = calls; i == 0 {
				fmt.Fprint(out, "            ")
			}
		}
		fmt.Fprintln(out)
		down.Store(now >= p.down && now < p.up)
	}
	fmt.Fprintf(out, "\ncalls that the server got while it was down: %d from those who share, %d from those who do not\n",
		groups[0].wasted.Load(), groups[1].wasted.Load())
	return nil
}

// startAll starts both groups. Without Redis, those who share are in this process.
func startAll(groups [2]*group, url, redisAddr string) (stop func(), err error) {
	var stops []func()
	stop = func() {
		var all sync.WaitGroup
		for _, s := range stops {
			all.Go(s)
		}
		all.Wait()
	}
	store := fleet.NewMemory()
	for range processes {
		if redisAddr == "" {
			c := newCaller(url+"/shared", groups[0].follow())
			sharing, err := fleet.New(store.Connect(fleet.Link{}), c.circuits, options())
			if err != nil {
				return stop, err
			}
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan struct{})
			go func() { defer close(done); c.call(ctx) }()
			stops = append(stops, func() { cancel(); <-done; _ = sharing.Close() })
		} else {
			s, err := groups[0].start("-call", url+"/shared", "-redis", redisAddr)
			if err != nil {
				return stop, err
			}
			stops = append(stops, s)
		}
		s, err := groups[1].start("-call", url+"/alone")
		if err != nil {
			return stop, err
		}
		stops = append(stops, s)
	}
	return stop, nil
}

// start starts this program as one process of the group. It ends when its
// standard input does.
func (g *group) start(args ...string) (stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, args...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	told := make(chan struct{})
	go func() {
		defer close(told)
		follow := g.follow()
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			follow(lines.Text())
		}
	}()
	return func() {
		_ = stdin.Close()
		<-told
		_ = cmd.Wait()
	}, nil
}

// follow returns what takes account of the states of one process's circuit.
func (g *group) follow() func(state string) {
	rejects := false
	return func(state string) {
		now := state == "open"
		switch {
		case now && !rejects:
			g.rejecting.Add(1)
		case !now && rejects:
			g.rejecting.Add(-1)
		}
		rejects = now
	}
}
