package breaker_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// Random traffic, of which all calls are listed.

// eachTraffic plays some random traffics, fewer in short tests.
func eachTraffic(t *testing.T, n uint64, play func(*traffic)) {
	if testing.Short() {
		n /= 4
	}
	for seed := uint64(0); seed < n && !t.Failed(); seed++ {
		synctest.Test(t, func(t *testing.T) {
			w := &traffic{T: t, Rand: rand.New(rand.NewPCG(seed, 0)), start: time.Now(), waiting: map[*listedCall]bool{}}
			w.b = breaker.New("peer", breaker.Config{}, breaker.Hooks{StateChanged: w.changed})
			w.mu.Lock()
			defer w.mu.Unlock()
			play(w)
			if t.Failed() {
				t.Logf("seed %d", seed)
			}
		})
	}
}

// A traffic is calls to one peer.
type traffic struct {
	*testing.T
	*rand.Rand
	b     *breaker.Breaker
	start time.Time
	peer  peer
	thaws time.Duration // when the process is not frozen any more
	mu    sync.Mutex    // held except while time passes

	waiting  map[*listedCall]bool // were let through and sent, and not answered
	openings int
	answers  []time.Duration // of calls that were let through since the last opening
	since    time.Duration   // the last transition
	hangs    []string        // reasons that say so
}

type listedCall struct {
	permit   breaker.Permit
	sent     time.Duration
	openings int // before it
}

// A peer is how calls go for a while. Shares are of all calls.
type peer struct {
	perSecond float64
	latency   time.Duration // at most
	fails     float64
	hangs     float64 // share that is not answered
	timeout   time.Duration
	streams   float64 // share that goes on after its answer
	uploads   float64 // share that takes time to be sent
}

const pause = 0.001 // calls a second

// quickPeer is one that works, busy and with answers that are quick.
func (w *traffic) quickPeer() peer {
	return peer{
		perSecond: 50 + 200*w.Float64(), latency: w.upTo(500 * time.Millisecond),
		fails: w.some(0.1), streams: w.some(0.5), uploads: w.some(0.3),
	}
}

// anyPeer is quick or slow, busy or quiet or without any calls, and may hang.
func (w *traffic) anyPeer() peer {
	p := w.quickPeer()
	p.perSecond = []float64{p.perSecond, p.perSecond, 5, 50, pause}[w.IntN(5)]
	if w.IntN(3) == 0 {
		p.latency = w.upTo(5 * time.Second)
	}
	p.hangs, p.timeout = min(1, w.some(1.2)), w.upTo(30*time.Second)
	p.fails, p.uploads = w.some(0.5), w.some(1)
	return p
}

// some is a share that often is zero.
func (w *traffic) some(most float64) float64 { return most * w.Float64() * float64(w.IntN(2)) }

func (w *traffic) upTo(d time.Duration) time.Duration {
	return 1 + time.Duration(w.Float64()*float64(d))
}

func (w *traffic) now() time.Duration { return time.Since(w.start) }

// run lets time pass, with calls.
func (w *traffic) run(d time.Duration) {
	for end := w.now() + d; ; w.call() {
		gap := time.Duration(w.ExpFloat64() / w.peer.perSecond * float64(time.Second))
		if w.now()+gap >= end {
			w.sleep(end - w.now())
			return
		}
		w.sleep(gap)
	}
}

// freeze lets time pass in which this process does nothing. What was due happens
// afterwards in any order, and new calls are made in between.
func (w *traffic) freeze(d time.Duration) {
	w.thaws = w.now() + d
	w.sleep(d)
}

func (w *traffic) after(d time.Duration, do func()) {
	time.AfterFunc(d, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if frozen := w.thaws - w.now(); frozen > 0 {
			w.after(frozen+w.upTo(20*time.Millisecond), do)
		} else {
			do()
		}
	})
}

func (w *traffic) sleep(d time.Duration) {
	w.mu.Unlock()
	time.Sleep(d)
	w.mu.Lock()
}

func (w *traffic) call() {
	permit, err := w.b.Allow(w.Context())
	if err != nil {
		return
	}
	c := &listedCall{permit: permit, openings: w.openings}
	if w.Float64() >= w.peer.uploads {
		w.wait(c)
		return
	}
	sending := c.permit.Sending()
	w.after(w.upTo(20*time.Second), func() {
		sending.Sent()
		w.wait(c)
	})
}

// wait lets a call that is sent wait for its answer.
func (w *traffic) wait(c *listedCall) {
	c.sent, w.waiting[c] = w.now(), true
	p, took, outcome := w.peer, w.upTo(w.peer.latency), breaker.Success
	if w.Float64() < p.fails {
		outcome = breaker.Failure
	}
	goesOn := w.Float64() < p.streams
	if w.Float64() < p.hangs {
		took, outcome, goesOn = p.timeout, breaker.Outcome(2*w.IntN(2)), false // or the caller gives up: Ignored
	}
	w.after(took, func() {
		delete(w.waiting, c)
		if c.openings == w.openings {
			w.answers = append(w.answers, w.now())
		}
		if goesOn {
			c.permit.Answered()
			w.after(w.upTo(time.Minute), func() { c.permit.Done(outcome) })
			return
		}
		c.permit.Done(outcome)
	})
}
