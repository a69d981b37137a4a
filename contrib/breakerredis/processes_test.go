//go:build unix

package breakerredis

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// processOf, if set, makes this binary one process of a fleet.
const processOf = "HTTPBREAKER_TEST_PROCESS"

// task is what such a process has to do, as JSON.
type task struct {
	Redis  string
	Server string // the address of api.example.com
	Broken bool   // it can dial nothing
}

// told is a line that a process prints.
type told struct {
	State    string `json:",omitempty"` // after a transition
	Origin   string `json:",omitempty"`
	Rejected uint64 // at the end
	Close    time.Duration
}

func TestMain(m *testing.M) {
	if text := os.Getenv(processOf); text != "" {
		var t task
		if err := json.Unmarshal([]byte(text), &t); err != nil {
			panic(err)
		}
		beProcess(t)
		return
	}
	flag.Parse()
	if flag.Lookup("test.parallel").Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		_ = flag.Set("test.parallel", "12") // the tests wait most of the time
	}
	os.Exit(m.Run())
}

// beProcess calls the host ten times a second until its standard input ends.
func beProcess(t task) {
	var mu sync.Mutex
	out := json.NewEncoder(os.Stdout)
	tell := func(line told) {
		mu.Lock()
		defer mu.Unlock()
		_ = out.Encode(line)
	}
	base := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		if t.Broken {
			return nil, errors.New("no route to host")
		}
		return new(net.Dialer).DialContext(ctx, network, t.Server)
	}}
	transport := httpbreaker.New(&httpbreaker.Config{Base: base})
	set := transport.Breakers()
	set.Watch(breaker.Hooks{StateChanged: func(tr breaker.Transition) {
		tell(told{State: tr.To.String(), Origin: tr.Origin.String()})
	}})
	sharing, err := New(redis.NewClient(&redis.Options{Addr: t.Redis}), set, &Options{Fleet: "processes"})
	if err != nil {
		panic(err)
	}
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	go func() {
		for range time.Tick(100 * time.Millisecond) {
			if resp, err := client.Get("http://api.example.com/"); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		}
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
	rejected := set.Get("api.example.com:80").Snapshot().Totals.Rejected
	start := time.Now()
	if err := sharing.Close(); err != nil {
		panic(err)
	}
	tell(told{Rejected: rejected, Close: time.Since(start)})
}

// process is one of them as the test sees it.
type process struct {
	stdin io.Closer
	cmd   *exec.Cmd
	mu    sync.Mutex
	last  told
	done  chan struct{}
}

func startProcess(t *testing.T, what task) *process {
	text, err := json.Marshal(what)
	require.NoError(t, err)
	p := &process{cmd: exec.Command(os.Args[0]), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), processOf+"="+string(text))
	p.cmd.Stderr = os.Stderr
	p.stdin, err = p.cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	go func() {
		defer close(p.done)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			var line told
			if json.Unmarshal(lines.Bytes(), &line) == nil {
				p.mu.Lock()
				p.last = line
				p.mu.Unlock()
			}
		}
	}()
	t.Cleanup(func() {
		p.stdin.Close()
		<-p.done
		_ = p.cmd.Wait()
	})
	return p
}

func (p *process) said() told {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// Twenty processes call one server through one Redis. One of them can dial
// nothing, and takes nobody with it.
func TestTwentyProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("starts twenty processes")
	}
	t.Parallel()
	var down atomic.Bool
	var calls atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		if down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	redisServer := startServer(t)
	var all []*process
	for i := range 20 {
		all = append(all, startProcess(t, task{Redis: redisServer.addr, Server: server.Listener.Addr().String(), Broken: i == 0}))
	}
	healthy := all[1:]
	are := func(states ...string) func() bool {
		return func() bool {
			for _, p := range healthy {
				found := false
				for _, s := range states {
					found = found || p.said().State == s
				}
				if !found {
					return false
				}
			}
			return true
		}
	}
	within(t, 15*time.Second, "all have called", func() bool { return calls.Load() > 19*10 })
	within(t, 5*time.Second, "the broken one is open", func() bool { return all[0].said().State != "" })
	time.Sleep(time.Second)
	for _, p := range healthy {
		assert.Empty(t, p.said().State, "a healthy process has been cut off")
	}

	down.Store(true)
	within(t, 5*time.Second, "all reject", are("open"))
	before := calls.Load()
	time.Sleep(3 * time.Second)
	assert.Less(t, calls.Load()-before, int64(12), "calls in three seconds, where there were 570")
	down.Store(false)
	within(t, 10*time.Second, "all are let through", are("closed", "half-open"))
	for _, p := range all {
		p.stdin.Close()
		<-p.done
		assert.Less(t, p.said().Close, time.Second)
	}
}
