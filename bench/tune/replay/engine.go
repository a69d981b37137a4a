package replay

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/bench/tune/logs"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// Options of a replay. The zero Options are the default.
type Options struct {
	Bins     int             // into how many stretches of time at most; 0 means none
	Progress func(calls int) // called now and then with how many calls have begun
}

// Run lets the calls of a log meet all guards at once. A call that a guard lets
// through ends as the log says; what the log had rejected and the guard sends is
// taken to end as the last known call to that host. All times are virtual.
func Run(t *testing.T, l *Log, guards []Guard, o Options) (results []*Result, err error) {
	// Some libraries start goroutines that never end. The bubble ends all the
	// same, with time standing still for them, and says so by a panic.
	finished := false
	defer func() {
		if p := recover(); p != nil && (!finished || !strings.Contains(fmt.Sprint(p), "blocked goroutines remain")) {
			panic(p)
		}
	}()
	synctest.Test(t, func(*testing.T) {
		// A bubble's clock starts in the year 2000. Libraries that noted the time
		// when the process started must not find themselves before it.
		time.Sleep(time.Until(time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)))
		e := newEngine(l, guards, o)
		results, err = e.run()
		finished = true
	})
	return results, err
}

// engine is one replay: it sleeps until a call begins or ends, and plays that.
type engine struct {
	log    *Log
	o      Options
	sides  []side
	played int         // calls that have begun
	half   int         // 0 or 1: in which half of the calls the log is
	now    int64       // in the log
	gap    int64       // longest that is played
	known  []logs.Call // of each host, the last call whose end is known

	ends    ends
	slots   []slot
	free    []uint32
	flights []flight // of each slot, one for each guard
}

// side is one guard and what came of it.
type side struct {
	guard    Guard
	keys     []host
	out      *Result
	inFlight int
	level    int // the bin of the last change of inFlight
}

// host is one host as one guard sees it.
type host struct {
	circuit  circuit
	figures  Figures
	inFlight int
	state    breaker.State
	since    time.Time
}

// slot is a call in flight.
type slot struct {
	call    logs.Call
	half    uint8
	guessed bool // how it ends
	ends    int  // that are still to come
}

// mostInFlight bounds the memory that a log can ask for.
const mostInFlight = 400_000

// How much of a stretch without calls is played: none of our rules looks back further
// than a day, and some peers do something every few seconds.
const (
	longestGap     = int64(24 * time.Hour)
	longestPeerGap = int64(10 * time.Minute)
)

func newEngine(l *Log, guards []Guard, o Options) *engine {
	e := &engine{log: l, o: o, now: l.First, gap: longestGap, known: make([]logs.Call, len(l.Keys))}
	if l.Begin > 0 {
		e.now = min(l.Begin, l.First)
	}
	for i := range e.known {
		e.known[i].Outcome = logs.Ignored
	}
	for _, g := range guards {
		s := side{guard: g, keys: make([]host, len(l.Keys)), out: &Result{Guard: g}}
		if o.Bins > 0 {
			s.out.Width = width(l.Last-l.First, o.Bins)
			s.out.Begin = l.First - l.First%int64(s.out.Width)
			s.out.Bins = make([]Bin, (l.Last-s.out.Begin)/int64(s.out.Width)+1)
		}
		e.sides = append(e.sides, s)
		if g.policy != nil && g.policy.Library != "no breaker" {
			e.gap = longestPeerGap
		}
	}
	// Windows begin with their circuits, so that it matters when those are made.
	run := runs.Add(1)
	for i := range e.sides {
		for k := range e.sides[i].keys {
			e.meet(&e.sides[i], &e.sides[i].keys[k], fmt.Sprintf("%d/%d/%s", run, i, l.Keys[k]))
		}
	}
	return e
}

// runs numbers the replays, for libraries that keep their circuits for ever.
var runs atomic.Uint64

func (e *engine) run() ([]*Result, error) {
	var failed error
	err := e.log.Each(func(c logs.Call) bool {
		for len(e.ends) > 0 && e.ends[0].at <= c.Start {
			e.end()
		}
		e.sleepUntil(c.Start)
		failed = e.begin(c)
		return failed == nil
	})
	if err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, failed
	}
	for len(e.ends) > 0 {
		e.end()
	}
	return e.finish(), nil
}

// sleepUntil lets virtual time pass until it is at in the log.
func (e *engine) sleepUntil(at int64) {
	if gap := at - e.now; gap > 0 {
		time.Sleep(time.Duration(min(gap, e.gap)))
		e.now = at
	}
}

// begin asks every guard for one call.
func (e *engine) begin(c logs.Call) error {
	if e.played == e.log.Calls/2 {
		e.half = 1
	}
	if e.played++; e.o.Progress != nil && e.played%65536 == 0 {
		e.o.Progress(e.played)
	}
	as := c // as which it ends where it is let through
	if c.Outcome == logs.Rejected {
		as.Took, as.Outcome = e.known[c.Key].Took, e.known[c.Key].Outcome
	}
	n := e.slot()
	s := &e.slots[n]
	*s = slot{call: as, half: uint8(e.half), guessed: c.Outcome == logs.Rejected}
	flights := e.flights[int(n)*len(e.sides):]
	sent := false
	for i := range e.sides {
		side := &e.sides[i]
		h := &side.keys[c.Key]
		h.figures.offered(c.Outcome)
		f := &flights[i]
		f.sent = h.circuit.allow(f)
		half := &side.out.Halves[e.half]
		half.offered(c.Outcome)
		if !f.sent {
			h.figures.rejected(c.Outcome)
			half.rejected(c.Outcome)
			side.count(e.now, func(b *Bin) { b.Rejected++ })
			continue
		}
		sent = true
		if s.guessed {
			h.figures.Guessed++
			half.Guessed++
		}
		side.depart(h, e.now, 1)
		if limit := side.guard.timeout(); limit > 0 && as.Took > int64(limit) {
			e.ends.push(end{at: c.Start + int64(limit), seq: uint64(e.played), slot: n, side: int32(i)})
			s.ends++
			side.outcome(e.now, logs.Failed)
		} else {
			side.outcome(e.now, as.Outcome)
		}
	}
	if sent || !s.guessed { // the end of what nobody has sent becomes known all the same
		e.ends.push(end{at: c.Start + as.Took, seq: uint64(e.played), slot: n, side: all})
		s.ends++
	}
	if s.ends == 0 {
		e.free = append(e.free, n)
	}
	if len(e.ends) > mostInFlight {
		at := time.Unix(0, c.Start).UTC().Format(time.DateTime)
		return fmt.Errorf("at %s UTC more than %d calls are in flight: is the unit of the durations right?", at, mostInFlight)
	}
	return nil
}

// slot returns a free one.
func (e *engine) slot() uint32 {
	if len(e.free) == 0 {
		e.slots = append(e.slots, slot{})
		e.flights = append(e.flights, make([]flight, len(e.sides))...)
		return uint32(len(e.slots) - 1)
	}
	n := e.free[len(e.free)-1]
	e.free = e.free[:len(e.free)-1]
	return n
}

// meet makes the circuit of a host.
func (e *engine) meet(s *side, h *host, key string) {
	h.since = time.Now()
	h.circuit = s.guard.newCircuit(key, e.log.Recorded, func() {
		h.figures.Openings++
		s.out.Halves[e.half].Openings++
	}, func(t breaker.Transition) {
		h.passed(t.At)
		h.state = t.To
	})
}

// passed books the time in the state that ends at t.
func (h *host) passed(t time.Time) {
	switch h.state {
	case breaker.Open:
		h.figures.OpenSeconds += t.Sub(h.since).Seconds()
	case breaker.HalfOpen:
		h.figures.PartSeconds += t.Sub(h.since).Seconds()
	}
	h.since = t
}

// end plays the next end of a call.
func (e *engine) end() {
	next := e.ends.pop()
	e.sleepUntil(next.at)
	s := &e.slots[next.slot]
	flights := e.flights[int(next.slot)*len(e.sides):][:len(e.sides)]
	if next.side == all {
		if !s.guessed {
			e.known[s.call.Key] = s.call
		}
		for i := range flights {
			if f := &flights[i]; f.sent {
				seen := s.call.Outcome
				if f.givenUp {
					seen = logs.Failed
				}
				e.book(&e.sides[i], s, seen, s.call.Took)
				e.sides[i].keys[s.call.Key].circuit.end(f, s.call.Outcome, s.call.Took)
				f.sent, f.givenUp = false, false
			}
		}
	} else {
		e.giveUp(&e.sides[next.side], &flights[next.side], s)
	}
	if s.ends--; s.ends == 0 {
		e.free = append(e.free, next.slot)
	}
}

// giveUp ends a call for which the guard itself waits no longer. A call that is only
// abandoned stays in flight, and the library hears of its end when that comes.
func (e *engine) giveUp(side *side, f *flight, s *slot) {
	h := &side.keys[s.call.Key]
	if s.call.Outcome == logs.Succeeded {
		h.figures.Lost++
		side.out.Halves[s.half].Lost++
	}
	if side.guard.policy.Abandons {
		f.givenUp = true
		return
	}
	limit := int64(side.guard.timeout())
	e.book(side, s, logs.Failed, limit)
	h.circuit.end(f, logs.Failed, limit)
	f.sent = false
}

// book takes a call out of those in flight, as who has sent it sees its end.
func (e *engine) book(side *side, s *slot, o logs.Outcome, took int64) {
	h := &side.keys[s.call.Key]
	side.depart(h, e.now, -1)
	if o == logs.Failed {
		h.figures.failed(took)
		side.out.Halves[s.half].failed(took)
	}
}

// finish adds everything up.
func (e *engine) finish() []*Result {
	var results []*Result
	now := time.Now()
	for i := range e.sides {
		s := &e.sides[i]
		most := s.out.Total.MostInFlight
		for k := range s.keys {
			h := &s.keys[k]
			h.passed(now)
			s.out.Total.add(&h.figures)
			s.out.Keys = append(s.out.Keys, h.figures)
		}
		s.out.Total.MostInFlight = most
		s.raise(len(s.out.Bins) - 1)
		results = append(results, s.out)
	}
	return results
}

// count counts a call in the bin in which it began.
func (s *side) count(at int64, in func(*Bin)) {
	if len(s.out.Bins) > 0 {
		in(&s.out.Bins[s.bin(at)])
	}
}

func (s *side) bin(at int64) int { return int((at - s.out.Begin) / int64(s.out.Width)) }

func (s *side) outcome(at int64, o logs.Outcome) {
	s.count(at, func(b *Bin) {
		switch o {
		case logs.Succeeded:
			b.Good++
		case logs.Failed:
			b.Failed++
		default:
			b.Ignored++
		}
	})
}

// depart books that a call has begun or ended.
func (s *side) depart(h *host, at int64, change int) {
	if len(s.out.Bins) > 0 {
		s.raise(s.bin(at))
	}
	s.inFlight += change
	h.inFlight += change
	s.out.Total.MostInFlight = max(s.out.Total.MostInFlight, s.inFlight)
	h.figures.MostInFlight = max(h.figures.MostInFlight, h.inFlight)
	if len(s.out.Bins) > 0 {
		s.raise(s.level)
	}
}

// raise notes in the bins up to i that so many calls are in flight.
func (s *side) raise(i int) {
	for ; i >= 0; s.level++ {
		s.out.Bins[s.level].InFlight = max(s.out.Bins[s.level].InFlight, s.inFlight)
		if s.level >= i {
			return
		}
	}
}
