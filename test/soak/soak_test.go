//go:build unix

package soak

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/statuspage"
)

var length = flag.Duration("soak", 10*time.Second, "how long")

const (
	own     = 45
	ofNginx = 5
	callers = 64
)

func TestSoak(t *testing.T) {
	if testing.Short() {
		*length = 2 * time.Second
	}
	before := usage()
	hosts := newNginx(t, ofNginx)
	for len(hosts) < own+ofNginx {
		hosts = append(hosts, newOwnHost(t))
	}

	var sent, answered, rejected, transitions atomic.Int64
	base := http.DefaultTransport.(*http.Transport).Clone()
	circuits := breaker.NewSet(breaker.Options{})
	circuits.Watch(breaker.Hooks{StateChanged: func(breaker.Transition) { transitions.Add(1) }})
	transport := httpbreaker.New(&httpbreaker.Config{
		Base:     counting{base, &sent},
		Breakers: circuits,
		Fallback: func(r httpbreaker.Result) (*http.Response, error) { return nil, r.Err },
	})
	client := &http.Client{Transport: transport, Timeout: time.Second}
	page := statuspage.New(circuits, nil)

	ctx, cancel := context.WithTimeout(t.Context(), *length)
	defer cancel()
	var workers sync.WaitGroup
	repeat := func(n int, pause time.Duration, f func(context.Context)) {
		for range n {
			workers.Go(func() {
				for ctx.Err() == nil {
					f(ctx)
					time.Sleep(rand.N(pause) + 1)
				}
			})
		}
	}
	anyHost := func() host { return hosts[rand.IntN(len(hosts))] }
	repeat(callers, 4*time.Millisecond, func(ctx context.Context) {
		switch err := call(ctx, client, anyHost().url()); {
		case err == nil:
			answered.Add(1)
		case errors.Is(err, httpbreaker.ErrOpen):
			rejected.Add(1)
		}
	})
	// A third of the hosts is unwell at a time.
	repeat(1, 100*time.Millisecond, func(context.Context) { anyHost().set(mode(rand.IntN(int(modes)))) })
	repeat(2, 50*time.Millisecond, func(context.Context) { anyHost().set(well) })
	repeat(1, 20*time.Millisecond, func(context.Context) { operate(circuits, page, anyHost()) })

	var warm usageOf
	select {
	case <-time.After(*length / 3):
		warm = usage()
	case <-ctx.Done():
	}
	workers.Wait()
	base.CloseIdleConnections()
	for _, h := range hosts {
		h.close()
	}

	var total breaker.Totals
	settled := func() bool {
		total = breaker.Totals{}
		for _, b := range circuits.All() {
			s := b.Snapshot()
			total.Successes += s.Totals.Successes
			total.Failures += s.Totals.Failures
			total.Ignored += s.Totals.Ignored
			total.Late += s.Totals.Late
			total.Rejected += s.Totals.Rejected
			if s.InFlight != 0 || s.Answered != 0 {
				return false
			}
		}
		return true
	}
	within(t, 10*time.Second, "every call has ended", settled)
	if ended := total.Successes + total.Failures + total.Ignored + total.Late; ended != uint64(sent.Load()) {
		t.Errorf("%d calls were sent, %d have ended: %+v", sent.Load(), ended, total)
	}
	if total.Rejected < uint64(rejected.Load()) { // under Observe more are counted
		t.Errorf("%d calls were rejected, %d are counted", rejected.Load(), total.Rejected)
	}
	within(t, 10*time.Second, "goroutines and descriptors are as before", func() bool {
		after := usage()
		return after.goroutines <= before.goroutines && after.descriptors <= before.descriptors
	})
	if after := usage(); after.heap > warm.heap+8<<20 {
		t.Errorf("the heap has grown from %d to %d bytes", warm.heap, after.heap)
	}
	t.Logf("%d sent, %d answered, %d rejected, %d transitions; %d hosts; %+v", sent.Load(), answered.Load(), rejected.Load(), transitions.Load(), len(hosts), total)
	if answered.Load() == 0 || rejected.Load() == 0 || transitions.Load() == 0 {
		t.Error("nothing has happened")
	}
}

// call makes a request of any kind, and takes of the answer all or nothing.
func call(ctx context.Context, client *http.Client, url string) error {
	method, body := http.MethodGet, io.Reader(nil)
	switch rand.IntN(8) {
	case 0:
		method = http.MethodHead
	case 1:
		method, body = http.MethodPost, strings.NewReader(strings.Repeat("x", rand.IntN(1<<16)))
	case 2: // a caller that gives up
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, rand.N(20*time.Millisecond))
		defer cancel()
	case 3:
		ctx = httpbreaker.WithKey(ctx, fmt.Sprint("key ", rand.IntN(10)))
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if rand.IntN(4) > 0 {
		_, err = io.Copy(io.Discard, res.Body)
	}
	return err
}

// operate does one of the things that operators and monitors do.
func operate(circuits *breaker.Set, page http.Handler, h host) {
	b := circuits.Get(strings.TrimPrefix(h.url(), "http://"))
	switch rand.IntN(10) {
	case 0:
		b.Trip(rand.N(time.Second), "soak")
	case 1:
		b.Reset("soak")
	case 2:
		b.SetMode(breaker.Mode(rand.IntN(4)), "soak")
	case 3:
		circuits.SetMode(breaker.Observe, "soak")
		circuits.SetMode(breaker.Enforce, "soak")
	case 4:
		_ = circuits.Update(breaker.Options{Config: breaker.Config{SlowCall: rand.N(time.Second) + 10*time.Millisecond}})
	case 5:
		stop := circuits.Watch(breaker.Hooks{Done: func(context.Context, breaker.Call) {}, Rejected: func(context.Context, *breaker.OpenError) {}})
		time.Sleep(10 * time.Millisecond)
		stop()
	case 6:
		b.Hold(b.Snapshot().Generation, time.Second, "soak")
	case 7:
		b.Retry(b.Snapshot().Generation, 0)
	case 8:
		for _, b := range circuits.All() {
			_, _ = json.Marshal(b.Snapshot())
		}
	case 9:
		page.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/circuits", nil))
	}
	if rand.IntN(4) == 0 {
		b.SetMode(breaker.Enforce, "soak")
	}
}

// counting counts what is sent.
type counting struct {
	*http.Transport
	sent *atomic.Int64
}

func (c counting) RoundTrip(req *http.Request) (*http.Response, error) {
	c.sent.Add(1)
	return c.Transport.RoundTrip(req)
}

type usageOf struct {
	goroutines, descriptors int
	heap                    uint64
}

func usage() (u usageOf) {
	runtime.GC()
	runtime.GC() // what the first one let be finalized
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fds, _ := os.ReadDir("/proc/self/fd") // nothing, where there is none
	return usageOf{runtime.NumGoroutine(), len(fds), m.HeapAlloc}
}

func within(t *testing.T, d time.Duration, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(d); !f(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("after %s it is not so that %s; now %+v", d, what, usage())
			return
		}
	}
}
