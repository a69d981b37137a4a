package main

import (
	"container/heap"
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// Story is what happens to some processes that call one host.
type Story struct {
	ID, Title string
	Nodes     int
	Rate      float64 // calls a second of each process
	Before    time.Duration
	Fault     time.Duration
	After     time.Duration
	// Timeout is the callers'. Default 10s.
	Timeout time.Duration
	// Answer is the host during the fault. Before and after, it is Healthy, unless
	// Always is set. Default: connections are refused.
	Answer func(Call) Answer
	Always bool
	// Capacity, if positive, is how many calls a second a host that has just come
	// back can take; it grows to all within a minute.
	Capacity float64
	// Cut reports whether a process cannot reach the host during the fault. If set,
	// all others can, and the figure is how many of their calls are rejected.
	Cut func(node int) bool
	// Links are the ways of each process to the store. Default: 0.5ms each way.
	Links func(w *World, node int) linkFaults
}

// Call is one call, with its share of luck.
type Call struct {
	Node int
	At   time.Duration
	Luck float64
}

// Answer is what becomes of a call, and when.
type Answer struct {
	OK    bool
	After time.Duration
}

const latency = 50 * time.Millisecond

// Healthy answers well but for one call in a thousand.
func Healthy(c Call) Answer { return Answer{OK: c.Luck >= 0.001, After: latency} }

// Refuse is a connection that is refused.
func Refuse(Call) Answer { return Answer{After: time.Millisecond} }

// Hang never answers.
func Hang(Call) Answer { return Answer{After: time.Hour} }

// Failing answers a share of the calls with an error.
func Failing(share float64) func(Call) Answer {
	return func(c Call) Answer { return Answer{OK: c.Luck >= share, After: latency} }
}

// Bin is a tenth of a second of a run. Calls are counted when they are made.
type Bin struct {
	OK, Failed, Rejected int
	Possible             int // would have been answered well, had they been sent
}

const binLength = 100 * time.Millisecond

// World is one run.
type World struct {
	*Story
	seed     uint64
	began    time.Time
	rng      *rand.Rand
	now      time.Duration
	start    time.Duration // of the fault
	end      time.Duration
	finish   time.Duration
	sets     []*breaker.Set
	events   events
	arrived  [60]int // of the host that is coming back, by second
	out      *Run
	rejected []bool // nodes that have rejected a call since the fault began
}

// Run is what came of it.
type Run struct {
	Start    time.Duration // of the fault
	Fault    time.Duration
	Bins     []Bin
	Wasted   int     // calls sent during the fault that failed
	T95      float64 // seconds until 95 % of the processes reject
	Recover  float64 // seconds after the fault until 95 % are answered
	Probes   int     // calls let through to test the host, that failed
	Openings int     // times that some process's circuit opened
	Offered  int     // calls of processes that can reach the host during the fault
	Held     int     // of them, rejected
	Herd     float64 // busiest second after the fault ÷ ordinary traffic
	Store    storeRun
}

type storeRun struct {
	Reports, Peak int // scripts in all, and in the busiest second
	Looks, Polls  int
	Events        int
	Well          int // scripts before the fault
	Fault         int // scripts during the fault
}

type event struct {
	at   time.Duration
	what func()
}

type events []event

func (h events) Len() int           { return len(h) }
func (h events) Less(i, j int) bool { return h[i].at < h[j].at }
func (h events) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *events) Push(x any)        { *h = append(*h, x.(event)) }
func (h *events) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

const key = "host.example"

// runStory plays a story in a bubble of its own. All policies that play one
// story with one seed meet the same calls.
func runStory(t *testing.T, s *Story, p *Policy, seed uint64) (out *Run) {
	synctest.Test(t, func(*testing.T) {
		w := &World{Story: s, seed: seed, began: time.Now(), rng: rand.New(rand.NewPCG(seed, 1)), out: &Run{Start: s.Before, Fault: s.Fault}}
		w.start = s.Before
		w.end = w.start + s.Fault
		w.finish = w.end + s.After
		w.out.Bins = make([]Bin, w.finish/binLength+1)
		w.rejected = make([]bool, s.Nodes)
		var openings atomic.Int64 // fleets open circuits from goroutines of their own
		for range s.Nodes {
			w.sets = append(w.sets, breaker.NewSet(breaker.Options{Config: p.Config, Hooks: []breaker.Hooks{{
				StateChanged: func(t breaker.Transition) {
					if t.To == breaker.Open {
						openings.Add(1)
					}
				},
			}}}))
		}
		stop := p.start(w)
		w.arrive()
		for len(w.events) > 0 {
			next := heap.Pop(&w.events).(event)
			if next.at > w.now {
				time.Sleep(next.at - w.now)
				w.now = next.at
			}
			next.what()
		}
		w.out.Openings = int(openings.Load())
		stop()
		w.finishFigures()
		out = w.out
	})
	return out
}

func (w *World) at(when time.Duration, what func()) { heap.Push(&w.events, event{when, what}) }

func (w *World) faulty(at time.Duration) bool { return w.Always || at >= w.start && at < w.end }

func (w *World) arrive() {
	when := w.now + time.Duration(w.rng.ExpFloat64()/(w.Rate*float64(w.Nodes))*float64(time.Second))
	if when >= w.finish {
		return
	}
	w.at(when, func() {
		w.call(Call{Node: w.rng.IntN(w.Nodes), At: w.now, Luck: w.rng.Float64()})
		w.arrive()
	})
}

func (w *World) call(c Call) {
	bin := &w.out.Bins[c.At/binLength]
	inFault := c.At >= w.start && c.At < w.end
	reaches := w.Cut != nil && !w.Cut(c.Node)
	counted := reaches && (inFault || c.At >= w.end)
	if counted {
		w.out.Offered++
	}
	var a Answer
	cold := w.Capacity > 0 && c.At >= w.end // it answers by what was sent
	if !cold {
		a = w.answer(c)
	}
	if cold || a.OK {
		bin.Possible++
	}
	permit, err := w.sets[c.Node].Get(key).Allow(context.Background())
	if err != nil {
		bin.Rejected++
		if counted {
			w.out.Held++
		}
		if inFault && !w.rejected[c.Node] {
			w.rejected[c.Node] = true
			w.out.T95 = w.quantile(c.At)
		}
		return
	}
	if cold {
		a = w.answer(c)
	}
	if a.OK {
		bin.OK++
	} else {
		bin.Failed++
		if inFault {
			w.out.Wasted++
			if permit.Probe() {
				w.out.Probes++
			}
		}
	}
	w.at(c.At+a.After, func() {
		if a.OK {
			permit.Done(breaker.Success)
		} else {
			permit.Fail(errFailed)
		}
	})
}

var errFailed = errors.New("failed")

// quantile notes when 95 % of the processes had rejected a call.
func (w *World) quantile(at time.Duration) float64 {
	n := 0
	for _, r := range w.rejected {
		if r {
			n++
		}
	}
	if w.out.T95 == 0 && n >= (w.Nodes*95+99)/100 {
		return (at - w.start).Seconds()
	}
	return w.out.T95
}

func (w *World) timeout() time.Duration {
	if w.Timeout == 0 {
		return 10 * time.Second
	}
	return w.Timeout
}

// answer is what becomes of a call, at the latest after the callers' timeout.
func (w *World) answer(c Call) Answer {
	if a := w.hostAnswer(c); a.After <= w.timeout() {
		return a
	}
	return Answer{After: w.timeout()}
}

func (w *World) hostAnswer(c Call) Answer {
	switch {
	case w.Cut != nil && w.faulty(c.At):
		if w.Cut(c.Node) {
			return Refuse(c)
		}
		return Healthy(c)
	case w.faulty(c.At):
		if w.Answer == nil {
			return Refuse(c)
		}
		return w.Answer(c)
	case w.Capacity > 0 && c.At >= w.end:
		return w.cold(c)
	}
	return Healthy(c)
}

// cold is a host that has just come back: what it can do grows within a minute,
// and what is beyond that fails.
func (w *World) cold(c Call) Answer {
	second := int((c.At - w.end) / time.Second)
	if second >= len(w.arrived) {
		return Healthy(c)
	}
	w.arrived[second]++
	full := w.Rate * float64(w.Nodes)
	can := w.Capacity + (1.1*full-w.Capacity)*float64(second)/float64(len(w.arrived))
	if float64(w.arrived[second]) > can {
		return Answer{After: latency}
	}
	return Healthy(c)
}

// finishFigures reckons what can be told only at the end.
func (w *World) finishFigures() {
	ordinary := w.Rate * float64(w.Nodes)
	// Recovery is judged by slices as short as hold some 100 calls, for 10s on end.
	slice := int(min(max(0.5, 100/ordinary), 10) * float64(time.Second/binLength))
	from, to := int(w.end/binLength), int(w.finish/binLength)
	w.out.Recover = -1
	held := 0
	for at := from; at+slice <= to && held < int(10*time.Second/binLength); at++ {
		var sum Bin
		for _, b := range w.out.Bins[at : at+slice] {
			sum.OK += b.OK
			sum.Possible += b.Possible
		}
		if float64(sum.OK) < 0.95*float64(sum.Possible) {
			held, w.out.Recover = 0, -1
			continue
		}
		if held++; held == 1 {
			w.out.Recover = (time.Duration(at)*binLength - w.end + binLength).Seconds()
		}
	}
	second := int(time.Second / binLength)
	for at := from; at+second <= to; at += second {
		sent := 0
		for _, b := range w.out.Bins[at : at+second] {
			sent += b.OK + b.Failed
		}
		w.out.Herd = max(w.out.Herd, float64(sent)/ordinary)
	}
}
