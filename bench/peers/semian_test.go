package peers

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
)

// The law has its balance where the share that is rejected is five times what
// fails beyond the usual.
func TestSemianRejectsFiveTimesWhatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &semian{began: time.Now(), usual: 0.05}
		for second := range 120 {
			time.Sleep(time.Second)
			for i := range 100 {
				fate := sim.OK
				if i < 15 {
					fate = sim.Failed
				}
				s.done(nothing{}, sim.Answer{Fate: fate})
			}
			if second == 0 && s.share != 0 {
				t.Errorf("%v are rejected before anything has failed", s.share)
			}
		}
		if math.Abs(s.share-0.5) > 0.03 { // an idle second at first has lowered the usual
			t.Errorf("with 15 %% failures, 5 %% of them usual, %v are rejected, want half", s.share)
		}
		time.Sleep(2 * time.Minute)
		if _, ok := s.allow(); !ok || s.share > 1e-3 {
			t.Errorf("%v are rejected two minutes after the last call", s.share)
		}
	})
}
