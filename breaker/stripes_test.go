package breaker

import (
	"runtime"
	"testing"
	"time"
)

// There are as many stripes as cores, rounded up to a power of two, and no more than a
// permit can name.
func TestStripesAreAsManyAsCores(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for cores, want := range map[int]int{1: 2, 2: 2, 3: 4, 4: 4, 5: 8, 128: 128, 200: 128} {
		runtime.GOMAXPROCS(cores)
		var w words
		w.divide()
		s := w.stripes.Load()
		if got := len(s.words); got != want {
			t.Errorf("%d cores: %d stripes, want %d", cores, got, want)
		}
		if w.divide(); w.stripes.Load() != s {
			t.Errorf("%d cores: divided once more", cores)
		}
	}
}

// The words of a breaker are of one generation, have the same flags and are counted
// together.
func TestStripesAreOneWord(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	var w words
	w.nextGeneration()
	w.setBucketEnd(7)
	w.divide()
	const flags = admitFast | admitTime | countFast
	check := func(first, others uint64, end int64) {
		t.Helper()
		if got := w.bits.Load() & flagMask; got != first {
			t.Errorf("flags %#x of the first word, want %#x", got, first)
		}
		for number := uint64(1); number <= 4; number++ {
			s := w.at(number)
			if s == &w.word || number > 1 && s == w.at(number-1) {
				t.Errorf("stripe %d is another word", number)
			}
			if bits := s.bits.Load(); generationOf(bits) != w.generation() || bits&flagMask != others || s.bucketEnd.Load() != end {
				t.Errorf("stripe %d: generation and flags %#x, the bucket ends at %d", number, bits, s.bucketEnd.Load())
			}
		}
	}
	check(0, 0, 7)
	w.setFlags(flags)
	check(countFast|spread, flags, 7)
	w.setFlags(countFast)
	check(countFast, countFast, 7)
	w.setFlags(flags)
	w.nextGeneration()
	check(0, 0, 7)
	w.setFlags(flags)
	w.setBucketEnd(8)
	check(countFast|spread, flags, 8)

	for i := range 1000 {
		if i < 9 { // as if nine other cores were at it
			other := tokens.Get()
			defer tokens.Put(other)
		}
		stripe, number := w.stripes.Load().own()
		if number < 1 || number > 4 || &stripe.word != w.at(number) {
			t.Fatalf("own stripe number %d", number)
		}
		stripe.admitted.Add(1)
		stripe.bits.Add(1)
		stripe.answers.Add(answeredOne)
	}
	if admitted, successes, open, answered := w.sums(); admitted != 1000 || successes != 1000 || open != 1000 || answered != 1000 {
		t.Errorf("sums are %d, %d, %d, %d, want 1000", admitted, successes, open, answered)
	}
	if n := w.takeSuccesses(); n != 1000 || w.ended.Load() != 1000 {
		t.Errorf("%d successes taken, %d ended", n, w.ended.Load())
	}
}

// Once there are stripes, nobody counts the calls that wait before the next look is due.
func TestNextLookOfAStripedBreaker(t *testing.T) {
	for name, test := range map[string]struct {
		cfg     Config
		striped bool
		want    int64 // from now, or a time that is none
	}{
		"not striped": {Config{}, false, 0},
		"striped":     {Config{HangAfter: 8 * time.Second}, true, int64(time.Second)},
		"both off":    {Config{HangAfter: -1}, true, never},
		"SlowCall":    {Config{SlowCall: 16 * time.Second}, true, int64(time.Second)},
	} {
		b := New("peer", test.cfg)
		if alwaysStriped && !test.striped {
			continue
		}
		b.lock()
		if test.striped {
			b.divide()
		}
		now := b.shared.now()
		b.look(now)
		b.unlock()
		want := test.want
		if want != 0 && want != never {
			want += now
		}
		if got := b.nextLook.Load(); got != want {
			t.Errorf("%s: %d, want %d", name, got-now, want-now)
		}
	}
}
