package breaker

import (
	"math"
	"testing"
	"time"
)

// What is found from counts at some moments, in seconds; the limit is 1s.

type moment struct {
	at                    float64
	admitted, ended, good uint64
}

func backlogOf(moments ...moment) *backlog {
	l := &backlog{}
	for _, m := range moments {
		l.awake = int64(m.at * float64(time.Second))
		l.samples[l.n%len(l.samples)] = sample{l.awake, tally{m.admitted, m.ended, m.good}}
		l.n++
	}
	return l
}

func TestHangFoundFromCounts(t *testing.T) {
	for name, test := range map[string]struct {
		moments []moment
		want    hang
	}{
		"one moment is too short":           {[]moment{{0, 50, 0, 0}}, hang{}},
		"less than the limit is too short":  {[]moment{{0, 0, 0, 0}, {0.5, 50, 0, 0}, {0.9, 90, 0, 0}}, hang{}},
		"the limit itself is long enough":   {[]moment{{0, 0, 0, 0}, {1, 50, 10, 10}}, hang{waiting: -10, answered: 10, good: 0.2}},
		"the limit was longer, and no look": {[]moment{{0, 0, 0, 0}, {30, 90, 0, 0}}, hang{}},
		"those of the last limit are not waiting": {
			[]moment{{0, 100, 100, 100}, {1, 150, 110, 110}, {2, 250, 115, 115}},
			hang{waiting: 50 - 15, answered: 5, good: 0.1},
		},
		"what was before three limits is not looked at": {
			[]moment{{0, 50, 0, 0}, {1, 100, 100, 100}, {2, 120, 100, 100}, {3, 140, 100, 100}, {4, 160, 100, 100}},
			hang{waiting: 40, answered: 0, good: 0},
		},
		"exactly three limits are": {
			[]moment{{1, 100, 100, 100}, {2, 120, 110, 110}, {3, 130, 110, 110}, {4, 170, 110, 110}},
			hang{waiting: 20, answered: 0, good: 0},
		},
		"good is of two limits where 40 calls came": {
			[]moment{{1, 100, 100, 100}, {2, 200, 200, 200}, {3, 220, 200, 200}, {4, 240, 210, 210}},
			hang{waiting: 120 - 110, answered: 10, good: 0.25},
		},
		"and of three where fewer came": {
			[]moment{{1, 100, 100, 100}, {2, 161, 140, 140}, {3, 180, 140, 140}, {4, 200, 150, 150}},
			hang{waiting: 80 - 50, answered: 10, good: 0.5},
		},
		"good is one at most": {
			[]moment{{0, 100, 0, 0}, {1, 110, 60, 60}, {2, 120, 90, 90}},
			hang{waiting: 10 - 90, answered: 30, good: 1},
		},
		"nine calls are few": {
			[]moment{{0, 100, 90, 90}, {1, 105, 90, 90}, {2, 109, 93, 93}},
			hang{waiting: 2, answered: 3, good: 3.0 / 9, few: true},
		},
		"ten are not": {
			[]moment{{0, 100, 90, 90}, {1, 105, 90, 90}, {2, 110, 95, 95}},
			hang{waiting: 0, answered: 5, good: 0.5},
		},
		"where no call came nothing is good": {
			[]moment{{0, 100, 50, 50}, {1, 100, 50, 50}, {2, 100, 50, 50}},
			hang{few: true},
		},
	} {
		test.want.limit = time.Second
		if got := backlogOf(test.moments...).judge(time.Second); got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}

func TestWhatAHangMeans(t *testing.T) {
	for name, test := range map[string]struct {
		hang         hang
		holds, total bool
		share        float64
	}{
		"eight wait, eight were answered":  {hang{waiting: 8, answered: 8, good: 0.5}, true, false, 1},
		"seven wait":                       {hang{waiting: 7, answered: 0, good: 0.5}, false, true, 1},
		"more were answered":               {hang{waiting: 8, answered: 9, good: 0.5}, false, false, 1},
		"ten times as many wait":           {hang{waiting: 100, answered: 10, good: 0.2}, true, false, math.Pow(0.25, 2.2)},
		"more than ten times as many wait": {hang{waiting: 101, answered: 10, good: 0.2}, true, true, math.Pow(0.25, 2.2)},
		"a tenth is good":                  {hang{waiting: 10, answered: 10, good: 0.1}, true, false, math.Pow(1.0/9, 2.2)},
		"less than a tenth is good":        {hang{waiting: 10, answered: 10, good: 0.09}, true, true, math.Pow(9.0/91, 2.2)},
		"too few calls":                    {hang{waiting: 8, answered: 8, good: 0.2, few: true}, true, false, 1},
		"more than half is good":           {hang{waiting: 8, answered: 8, good: 0.6}, true, false, 1},
	} {
		h := test.hang
		if h.holds() != test.holds || h.total() != test.total || math.Abs(h.share()-test.share) > 1e-9 {
			t.Errorf("%s: holds %t, total %t, share %v", name, h.holds(), h.total(), h.share())
		}
	}
}

// Samples are kept while as many calls wait as are worth it, and tell what is usual.
func TestBacklogIsCalmWhenFewCallsWait(t *testing.T) {
	var moments []moment
	for i := range 40 {
		moments = append(moments, moment{float64(i), uint64(100*i + i), uint64(100 * i), 0})
	}
	if got := backlogOf(moments...).usual(); got != 8 { // the oldest of 32
		t.Errorf("%d are usual, want 8", got)
	}
	if got := backlogOf(moments[3:10]...).usual(); got != 3 {
		t.Errorf("%d are usual, want 3", got)
	}
	for name, test := range map[string]struct {
		samples, wait int
		want          bool
	}{"31 samples": {31, 0, false}, "32 samples": {32, 3, true}, "four wait": {32, 4, false}, "more samples": {50, 3, true}} {
		moments := make([]moment, test.samples)
		for i := range moments {
			moments[i] = moment{at: float64(i), admitted: 10, ended: 10}
		}
		moments[len(moments)-1].admitted += uint64(test.wait)
		if got := backlogOf(moments...).calm(); got != test.want {
			t.Errorf("%s: calm %t", name, got)
		}
	}
}

// A share that follows from calls that hang holds where few or no calls have ended of
// late: that says nothing against it, as it does against one that follows from failures.
func TestShareByHangsNeedsNoCallsThatEnd(t *testing.T) {
	b := New("peer", Config{})
	b.lock()
	defer b.unlock()
	now := b.shared.now()
	b.shedByHang(now, 0.4, "calls hang")
	if got := b.share(now); got != 0.4 {
		t.Errorf("share %v, want 0.4", got)
	}
	for range 10 {
		_, _ = b.decide(now)
	}
	if got := b.share(now); b.state() != HalfOpen || got != 0.4 {
		t.Errorf("%v, share %v after ten calls, want half-open, 0.4", b.state(), got)
	}
	b.shedByHang(now, 1, "calls are answered again")
	b.shedByRate(now, 0.4, "calls fail")
	if got := b.share(now); got != 1 {
		t.Errorf("share %v of no failures, want 1", got)
	}
	if _, _ = b.decide(now); b.state() != Closed {
		t.Error("no call has ended for as long as the window, and the circuit is not closed")
	}
}

// Under ForceOpen and Disabled nobody looks for calls that hang, whatever is set meanwhile.
func TestNoLookIsDueInAForcedMode(t *testing.T) {
	for _, mode := range []Mode{ForceOpen, Disabled} {
		b := New("peer", Config{})
		b.SetMode(mode, "test")
		if err := b.Update(Config{SlowCall: time.Second}); err != nil {
			t.Fatal(err)
		}
		if b.lookDue(b.shared.now() + int64(time.Hour)) {
			t.Errorf("a look is due under %v", mode)
		}
		b.SetMode(Enforce, "test")
		if !b.lookDue(b.shared.now()) {
			t.Errorf("no look is due after %v", mode)
		}
	}
}
