package breaker

import (
	"fmt"
	"math"
	"time"
)

// starting is the state HalfOpen after the probes have succeeded: slow start. The
// number of calls in flight is bounded. The bound grows with success and is halved when
// more calls fail than did before the outage, until it no longer matters.
type starting struct {
	err    *OpenError
	began  int64
	limit  float64
	gentle bool    // a call has failed lately: the bound grows by one a round, not one a call
	held   bool    // a call was rejected since the bound grew
	heldAt int64   // when that was last, or when the slow start began
	good   int     // successes since a call was rejected
	enough int     // so many good end the slow start
	row    int     // successes since the last failure
	failed int     // failures since the last success
	usual  float64 // failure rate that says nothing about how many calls there are at once
	places places

	// Of the present round, which has as many calls as may be in flight, or leastRound.
	round  struct{ calls, failed int }
	rounds int // before it

	// Of the last calls, for share.
	admitted, rejected int
}

const (
	enoughTime   = 2  // seconds of calls that succeed with nothing rejected between them end a slow start
	enoughGood   = 50 // so many calls are enough for that, over calmSpan
	gentleGood   = 75 // successes in a row after which the bound grows fast again
	calmSpan     = int64(1 * time.Second)
	mostSpan     = int64(3 * time.Minute) // the slow starts of one outage last together
	enoughFailed = 5                      // failures in a row end it as well
	leastRound   = 10                     // whether too many fail is seen from so many calls at least
	quietRate    = 1                      // calls a second, below which nobody is held back
)

// start gives the calls back after the peer has answered.
func (b *Breaker) start(at int64, reason string) {
	r := b.rules.Load()
	demand := b.demand(at)
	o := b.history.outage
	if r.SlowStart < 0 || demand < quietRate || o.slowStarts >= mostSpan {
		b.close(at, ByProbe, reason)
		return
	}
	s := &starting{limit: max(min(float64(r.SlowStart), max(2, demand/10)), 1.5*float64(o.usual))}
	s.enough = int(min(enoughTime*demand, enoughGood))
	s.usual = o.failureRate
	s.began, s.heldAt = at, at
	s.places.step = max(1, int64(r.ProbeTimeout)/placeSteps)
	reason += "; slow start"
	b.move(s, at, ByProbe, reason, true)
	b.forget()
	b.history.level = 0
	s.err = b.rejection(HalfOpen, b.since, reason)
}

func (*starting) state() State { return HalfOpen }

func (s *starting) share(*Breaker, int64) float64 {
	if s.rejected == 0 {
		return 1
	}
	return float64(s.admitted) / float64(s.admitted+s.rejected)
}

// tell keeps count of the last calls, for share.
func (s *starting) tell(admitted, rejected int) {
	s.admitted += admitted
	s.rejected += rejected
	if s.admitted+s.rejected > 2*enoughGood {
		s.admitted /= 2
		s.rejected /= 2
	}
}

func (s *starting) admit(b *Breaker, now int64) (uint64, *OpenError) {
	if b.history.outage.slowStarts+now-s.began >= mostSpan {
		b.endSlowStart(now, "slow start has lasted for "+short(time.Duration(mostSpan)))
		return 0, nil
	}
	s.places.expire(now)
	if float64(s.places.total) >= s.limit {
		s.held, s.good, s.heldAt = true, 0, now
		s.tell(0, 1)
		return 0, s.err
	}
	s.tell(1, 0)
	s.places.take(now)
	return permitPlace, nil
}

func (s *starting) free(p Permit) {
	if p.tag&permitPlace != 0 {
		s.places.free(p.start)
	}
}

func (s *starting) settle(b *Breaker, p Permit, c Call, v verdict, now int64) {
	b.book(c, now)
	if float64(s.round.calls) >= s.roundOf() {
		s.nextRound()
	}
	s.round.calls++
	if c.Outcome == Failure {
		s.failed++
		if s.round.failed++; s.tooManyFail() {
			s.limit = max(1, s.limit/2)
			s.good = 0
			s.nextRound()
		}
		s.gentle, s.row = true, 0
		least := b.rules.Load().Chance
		usual := least >= 0 && float64(s.failed)*math.Log(s.usual) > math.Log(least)
		switch {
		case s.failed >= enoughFailed && !usual:
			why := fmt.Sprintf("%s in a row failed in the slow start, after: %s", plural(s.failed, "call"), b.history.cause())
			b.openAsked(now, ByProbe, why, v)
		case v.trip > 0:
			b.openUntil(now, after(now, v.trip), ByPeer, v.reason)
		}
		return
	}
	s.failed = 0
	s.good++
	if s.row++; s.row >= gentleGood {
		s.gentle = false
	}
	if s.held {
		s.held = false
		if s.gentle {
			s.limit += 1 / s.limit
		} else {
			s.limit++
		}
	}
	if s.good >= s.enough && now-s.heldAt >= calmSpan {
		b.endSlowStart(now, fmt.Sprintf("%d calls succeeded with none rejected", s.good))
	}
}

func (b *Breaker) endSlowStart(now int64, reason string) {
	b.move(nil, now, ByProbe, reason, false)
	b.settleDown()
}

// tooManyFail reports whether more calls of a round failed than the usual rate and chance
// explain: there may be too many at once. One failure is never too many, except among the
// first calls.
func (s *starting) tooManyFail() bool {
	n := s.roundOf()
	spread := math.Sqrt(s.usual * (1 - s.usual) * n)
	least := 1.0
	if s.rounds == 0 {
		least = min(1, float64(s.round.calls)/leastRound)
	}
	return float64(s.round.failed) > max(s.usual*n+3.5*spread, least)
}

func (s *starting) roundOf() float64 { return max(leastRound, s.limit) }

func (s *starting) nextRound() {
	s.round.calls, s.round.failed = 0, 0
	s.rounds++
}

// placeSteps is how many steps of time a place lasts at least.
const placeSteps = 8

// places counts calls in flight by when they began, so that those of lost permits can
// be taken back.
type places struct {
	step  int64
	count [placeSteps + 2]int // by the step in which the call began
	first int64               // the oldest step that is counted
	total int
}

func (p *places) at(step int64) *int { return &p.count[step%int64(len(p.count))] }

// expire takes back what was taken longer ago than placeSteps.
func (p *places) expire(now int64) {
	oldest := now/p.step - placeSteps
	if oldest-p.first > int64(len(p.count)) || oldest < p.first-int64(len(p.count)) {
		*p = places{step: p.step, first: oldest}
	}
	for ; p.first < oldest; p.first++ {
		p.total -= *p.at(p.first)
		*p.at(p.first) = 0
	}
}

func (p *places) take(now int64) {
	*p.at(now / p.step)++
	p.total++
}

// free gives back the place that was taken at that time, unless it was taken back.
func (p *places) free(began int64) {
	step := began / p.step
	if step >= p.first && step < p.first+int64(len(p.count)) && *p.at(step) > 0 {
		*p.at(step)--
		p.total--
	}
}
