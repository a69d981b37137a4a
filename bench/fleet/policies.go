package main

import (
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerredis/fleet"
)

// Policy is a way for processes to share, or not to.
type Policy struct {
	Name   string
	Config breaker.Config
	// start lets the processes share, until stop.
	start func(w *World) (stop func())
}

// local processes share nothing.
func local() *Policy {
	return &Policy{Name: "local", start: func(*World) func() { return func() {} }}
}

// oneOpensAll stands for the family of designs in which the state is shared: a
// process whose rules open the circuit writes that to a store, which all read
// once a second.
func oneOpensAll() *Policy {
	return &Policy{Name: "one opens all", start: func(w *World) func() {
		ctx, cancel := context.WithCancel(context.Background())
		var until time.Time
		for _, set := range w.sets {
			set.Watch(breaker.Hooks{StateChanged: func(t breaker.Transition) {
				if t.To == breaker.Open && t.Origin != breaker.ByOperator && t.Until.After(until) {
					until = t.Until
				}
				if t.To == breaker.Closed {
					until = time.Time{}
				}
			}})
			at := time.Duration(w.rng.Float64() * float64(time.Second))
			w.poll(at, set, &until)
		}
		_ = ctx
		return cancel
	}}
}

func (w *World) poll(at time.Duration, set *breaker.Set, until *time.Time) {
	if at >= w.finish {
		return
	}
	w.at(at, func() {
		b := set.Get(key)
		if left := time.Until(*until); left > 0 && b.State() == breaker.Closed {
			b.Trip(left, "another process has opened it")
		}
		w.poll(w.now+time.Second, set, until)
	})
}

// linkFaults are the faults of one process's way to the store.
type linkFaults struct {
	Delay  time.Duration
	Lost   float64 // share of the events
	Fault  func() error
	Deaf   bool
	Absent bool
}

// shared is package fleet, with the store in memory.
func shared(opts fleet.Options) *Policy {
	return &Policy{Name: "fleet", start: func(w *World) func() {
		store := fleet.NewMemory()
		quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
		var nodes []*fleet.Fleet
		for i, set := range w.sets {
			faults := linkFaults{Delay: 500 * time.Microsecond}
			if w.Links != nil {
				faults = w.Links(w, i)
			}
			if faults.Absent {
				continue
			}
			o := opts
			o.Fleet, o.Logger = "bench", quiet
			node, err := fleet.New(store.Connect(fleet.Link{
				Delay:  func() time.Duration { return faults.Delay },
				Copies: func() int { return int(1 + rand.Float64() - faults.Lost) },
				Fault:  faults.Fault,
				Deaf:   faults.Deaf,
			}), set, o)
			if err != nil {
				panic(err)
			}
			nodes = append(nodes, node)
			set.Get(key)
		}
		last := 0
		w.each(time.Second, func() {
			n := store.Counts().Reports
			w.out.Store.Peak = max(w.out.Store.Peak, n-last)
			last = n
		})
		w.at(w.start-time.Millisecond, func() { w.out.Store.Well = store.Counts().Reports })
		return func() {
			c := store.Counts()
			s := &w.out.Store
			s.Reports, s.Looks, s.Polls, s.Events = c.Reports, c.Looks, c.Polls, c.Events
			for _, node := range nodes {
				_ = node.Close()
			}
		}
	}}
}

// each does something at regular times.
func (w *World) each(every time.Duration, what func()) {
	var again func(at time.Duration)
	again = func(at time.Duration) {
		if at < w.finish {
			w.at(at, func() { what(); again(at + every) })
		}
	}
	again(every)
}
