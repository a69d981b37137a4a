package breaker

import (
	"testing"
	"time"
)

// A circuit is busy when 16 calls come in less than half a second, and in a rush, after
// its first thousand calls, when they come in less than 8ms.
func TestPaceOfCalls(t *testing.T) {
	const ms = int64(time.Millisecond)
	for name, test := range map[string]struct {
		rush       bool // it is already; marks come with every 128th call then
		span       int64
		n          uint64
		busy, wild bool
	}{
		"rare":             {false, 500 * ms, 2000, false, false},
		"busy":             {false, 500*ms - 1, 2000, true, false},
		"just busy":        {false, 8 * ms, 1000, true, false},
		"rush":             {false, 8*ms - 1, 1000, true, true},
		"first calls":      {false, 1, 999, true, false},
		"rush goes on":     {true, 64*ms - 1, 2000, true, true},
		"rush ends":        {true, 64 * ms, 2000, true, false},
		"rush before rest": {true, 4000 * ms, 2000, false, false},
	} {
		var p pace
		now := int64(beginning)
		if p.mark(now, 1000) {
			t.Errorf("%s: the first mark changes the pace", name)
		}
		if test.rush {
			now++
			if !p.mark(now, 1000) || p.mark(now, 1000) || !p.rush() {
				t.Errorf("%s: no rush, or two changes", name)
			}
		}
		for range manyConflicts - 1 {
			if p.conflict() {
				t.Errorf("%s: too few conflicts are many", name)
			}
		}
		p.mark(now+test.span, test.n)
		if p.busy() != test.busy || p.rush() != test.wild {
			t.Errorf("%s: busy %t, in a rush %t", name, p.busy(), p.rush())
		}
		p.rest(now + test.span + 500*ms)
		if p.busy() != test.busy {
			t.Errorf("%s: at rest too soon", name)
		}
		p.rest(now + test.span + 500*ms + 1)
		if p.busy() || p.rush() {
			t.Errorf("%s: not at rest", name)
		}
		if !p.conflict() {
			t.Errorf("%s: conflicts were forgotten", name)
		}
	}
}

// The slowest answer is of this period, 69s long, and the one before.
func TestSlowestAnswerIsOfLate(t *testing.T) {
	const period = 1 << periodBits
	for _, start := range []int64{0, beginning, 1<<16*period - period, 1<<16*period - 2*period} {
		var p pace
		check := func(after int64, want time.Duration) {
			t.Helper()
			got := p.slowestAnswer(start + after)
			if want == 0 && got != 0 || got < want || got > want+2<<unitBits {
				t.Errorf("from %d: %v in period %d, want %v", start, got, after/period, want)
			}
		}
		p.took(int64(3*time.Second), start)
		p.took(int64(time.Second), start+1)
		check(2, 3*time.Second)
		check(period, 3*time.Second)
		p.took(int64(2*time.Second), start+period)
		check(period+1, 3*time.Second)
		check(2*period, 2*time.Second)
		check(3*period, 0)
		p.took(-1, start+3*period) // time has gone back
		p.took(int64(100*time.Hour), start+5*period)
		if got := p.slowestAnswer(start + 5*period); got < 4*time.Hour || got > 6*time.Hour {
			t.Errorf("%v is the longest that is known", got)
		}
	}
}

// Each moment lies in one bucket, before the clock began, too.
func TestBucketsAreSideBySide(t *testing.T) {
	r := rules{bucket: 10}
	for at := int64(beginning - 35); at < beginning+35; at++ {
		if i := r.bucketAt(at); r.begin(i) > at || r.begin(i+1) <= at || r.begin(i+1)-r.begin(i) != 10 {
			t.Errorf("%d lies in the bucket from %d to %d", at-beginning, r.begin(i)-beginning, r.begin(i+1)-beginning)
		}
	}
}
