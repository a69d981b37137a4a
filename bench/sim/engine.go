package sim

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"time"
)

// engine does one run as a loop over events: it sleeps until the next one and
// plays it, so that the libraries see time pass and need no goroutine per call.
type engine struct {
	Job
	calls, luck *rand.Rand // when and how calls come; the luck of second attempts
	start, end  time.Duration
	finish      time.Duration
	server      Server
	memoryless  bool
	breakers    []Breaker
	now         time.Duration
	events      events
	onTime      time.Duration // of bursty traffic: time spent in bursts so far
	inFlight    int
	out         *Run
}

type event struct {
	at   time.Duration
	what func()
}

func newEngine(job Job) *engine {
	s := job.Scenario
	e := &engine{
		Job:   job,
		calls: rand.New(rand.NewPCG(job.Seed, 1)),
		luck:  rand.New(rand.NewPCG(job.Seed, 2)),
	}
	// Fixed windows and fixed open times must not meet the fault in step.
	e.start = s.Before + time.Duration(e.luck.Float64()*float64(10*time.Second))
	e.end = e.start + s.FaultLength(job.Seed)
	e.finish = e.end + s.After
	e.server = s.Server(rand.New(rand.NewPCG(job.Seed, 3)), e.start, e.end)
	_, e.memoryless = e.server.(ServerFunc)
	e.out = newRun(job, e.start, e.end, e.finish)
	for client := range s.clients() {
		for circuit := range s.circuits() {
			key := fmt.Sprintf("%s/%s/%s/%d/%d/%d", job.Policy.Library, job.Policy.Settings, s.ID, job.Seed, client, circuit)
			e.breakers = append(e.breakers, job.Policy.New(key, e.out.changed))
		}
	}
	return e
}

func (e *engine) run() *Run {
	e.arrive()
	for len(e.events) > 0 {
		next := heap.Pop(&e.events).(event)
		if next.at > e.now {
			time.Sleep(next.at - e.now)
			e.now = next.at
		}
		next.what()
	}
	e.out.close(e)
	return e.out
}

func (e *engine) at(when time.Duration, what func()) { heap.Push(&e.events, event{when, what}) }

// arrive schedules the next request.
func (e *engine) arrive() {
	traffic := e.Scenario.Traffic
	cycle := traffic.On + traffic.Off
	switch {
	case traffic.Batch > 0:
		e.onTime += cycle
	default:
		e.onTime += time.Duration(e.calls.ExpFloat64() / traffic.Rate * float64(time.Second))
	}
	when := e.onTime
	if traffic.Batch == 0 && traffic.On > 0 {
		when = e.onTime/traffic.On*cycle + e.onTime%traffic.On
	}
	if when >= e.finish {
		return
	}
	e.at(when, func() {
		for range max(1, traffic.Batch) {
			if c := e.draw(e.calls); e.Scenario.Absent == nil || !e.out.faulty(e.now) || !e.Scenario.Absent(c) {
				e.request(c)
			}
		}
		e.arrive()
	})
}

func (e *engine) draw(rng *rand.Rand) Call {
	return Call{
		At:     e.now,
		Client: rng.IntN(e.Scenario.clients()),
		Route:  rng.IntN(e.Scenario.routes()),
		Error:  rng.Float64(),
		Speed:  rng.NormFloat64(),
		Other:  rng.Float64(),
	}
}

// request is what a user wants: one call and, if need be, its retries.
func (e *engine) request(c Call) {
	possible := true
	if e.memoryless {
		possible = e.limit(e.server.Answer(c)).Fate == OK
	}
	e.attempt(c, 0, func(fate Fate, rejected bool) { e.out.request(c.At, fate, rejected, possible) })
}

func (e *engine) attempt(c Call, attempt int, end func(Fate, bool)) {
	again := func(fate Fate, rejected bool) {
		if fate == OK || fate == Cancelled || attempt >= e.Scenario.Retries {
			end(fate, rejected)
			return
		}
		e.at(e.now+e.Scenario.RetryPause, func() {
			next := e.draw(e.luck)
			next.Client, next.Route = c.Client, c.Route
			e.attempt(next, attempt+1, end)
		})
	}
	circuit := c.Client*e.Scenario.circuits() + c.Route%e.Scenario.circuits()
	done := e.breakers[circuit].Allow()
	if done == nil {
		e.out.rejection(e.now)
		again(Failed, true)
		return
	}
	answer := e.limit(e.server.Answer(c))
	e.inFlight++
	e.out.sent(e.now, e.inFlight)
	seen := answer
	if p := e.Policy; p.Timeout > 0 && answer.After > p.Timeout {
		seen.Fate, seen.After = Failed, p.Timeout
		if !p.Abandons {
			answer = seen
		}
	}
	e.at(e.now+answer.After, func() {
		e.inFlight--
		e.out.ended(e.now, c.At, seen.Fate, e.inFlight)
		done(answer)
		again(seen.Fate, false)
	})
}

// limit is the client's timeout.
func (e *engine) limit(a Answer) Answer {
	if timeout := e.Scenario.timeout(); a.After > timeout {
		return Answer{Fate: TimedOut, After: timeout}
	}
	return a
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
