package peers

import (
	"math/rand/v2"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
)

func semianPolicies() []*sim.Policy {
	return []*sim.Policy{{
		Library: "Shopify/semian", Settings: "model",
		About: "A model of the law of its adaptive breaker, which is Ruby: each second the share that it rejects grows by the failure rate of 10 s " +
			"less what is usual, and shrinks by a fifth of itself.",
		New: func(string, func(sim.Change)) sim.Breaker {
			s := &semian{began: time.Now(), usual: 0.05}
			return steps[nothing]{allow: s.allow, done: s.done}
		},
	}}
}

// semian looks at the calls of the last ten seconds once in each second.
type semian struct {
	began        time.Time
	second       int
	ok, failed   [10]int // in each of the last seconds, by the second modulo 10
	share        float64 // that is rejected
	usual        float64 // failure rate, an exponential average
	observations int
}

const (
	defensiveness  = 5
	extraordinary  = 0.1 // a failure rate above this is not averaged
	untilConfident = 30 * 60
)

func (s *semian) allow() (nothing, bool) {
	s.look()
	return nothing{}, rand.Float64() >= s.share
}

func (s *semian) done(_ nothing, a sim.Answer) {
	s.look()
	if verdict(a) == nil {
		s.ok[s.second%10]++
	} else {
		s.failed[s.second%10]++
	}
}

// look makes up for the seconds that have passed.
func (s *semian) look() {
	for now := int(time.Since(s.began) / time.Second); s.second < now; {
		ok, failed := 0, 0
		for i := range s.ok {
			ok, failed = ok+s.ok[i], failed+s.failed[i]
		}
		rate := 0.0
		if failed > 0 {
			rate = float64(failed) / float64(ok+failed)
		}
		if rate <= extraordinary {
			s.average(rate)
		}
		s.share = min(1, max(0, s.share+rate-s.usual-s.share/defensiveness))
		s.second++
		s.ok[s.second%10], s.failed[s.second%10] = 0, 0
	}
}

// average takes a failure rate into what is usual: sooner if it is lower, and
// sooner in the first half hour.
func (s *semian) average(rate float64) {
	up, down := 0.017, 0.095
	if s.observations++; s.observations >= untilConfident {
		up, down = 0.0083, 0.049
	}
	weight := down
	if rate > s.usual {
		weight = up
	}
	s.usual += weight * (rate - s.usual)
}
