package breaker

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// A word is all that a call through a closed circuit touches. It is read and changed
// without the breaker's lock; except for what this file says, nothing else of a
// breaker is.
//
//	 63            40 39  37 36    32 31     30                       0
//	+----------------+------+--------+------+--------------------------+
//	|   generation   |  0   | flags  | full |        successes         |
//	+----------------+------+--------+------+--------------------------+
//
// What holds at any moment:
//
//   - A state that counts calls anew begins a generation. A permit carries the
//     generation that admitted it, and a success is counted only into a word of
//     the same generation: a late one cannot be counted where it does not belong.
//   - A flag is set only while what it allows is all that there is to do. Flags
//     are set in one place, Breaker.derive, from what the lock guards. Whoever
//     begins a generation clears them first, so that all calls come to the lock.
//   - successes have not been folded into the counts yet. They belong to the
//     window's newest bucket, which ends at bucketEnd.
//
// Where many cores call one peer they would write to one cache line in turn. So once
// writes have met manyConflicts times, a breaker gets more words, its stripes, each
// with a cache line of its own, and every core uses mostly one of them:
//
//	words ─┬─ word            all calls; once striped, those that come to the lock
//	       └─ stripes ─┬─ word  calls without the lock
//	                   ├─ word
//	                   …      no more than cores
//
// The same invariants hold for each word. A permit ends at the word that admitted it.
// A new generation begins at the first word, whose spread flag goes with it, then at
// each stripe: until then a stripe still counts for the old one, and what it has counted
// is folded into that. Sums are taken over all words, under the lock.
type word struct {
	bits      atomic.Uint64
	admitted  atomic.Uint64 // calls let through, ever
	answers   atomic.Uint64 // high half: calls answered, ever; low half: those not ended
	bucketEnd atomic.Int64
}

const (
	admitFast = 1 << (32 + iota) // Allow needs no lock
	admitTime                    // … except that each call is timed
	countFast                    // a success needs no lock
	spread                       // Allow goes on at a stripe
	rush                         // one call in rushEvery is timed, not one in lookEvery

	flagMask        = 0x1F << 32
	countFull       = 1 << 31 // too many to count: fold them
	countMask       = 1<<32 - 1
	generationShift = 40
)

// answeredOne counts a call in both halves of word.answers.
const answeredOne = 1<<32 + 1

// lookEvery is how often a busy circuit looks at the clock when it admits: one
// call in 16 is timed, and looks for calls that hang. In a rush, one in 128 is enough.
const (
	lookEvery  = 16
	rushEvery  = 128
	rushCounts = 8
)

// looks reports whether the call that is admitted as number n has to look at the clock.
func looks(bits, n uint64) bool {
	return n%lookEvery == 0 && (bits&rush == 0 || n%rushEvery == 0)
}

// generationOf returns the generation in its place, as Permit.tag holds it.
func generationOf(bits uint64) uint64 { return bits &^ (1<<generationShift - 1) }

// How word.count can end.
const (
	counted    = iota
	refused    // there is more to do, or the generation that admitted the call has passed
	conflicted // another core has written to the word meanwhile
)

// count books a success without the lock, now or, if that is 0, at a time that it looks
// up if need be.
//
// In a rush it looks at the time for one success in rushCounts only. So up to
// rushCounts − 1 of them may stand in the bucket before theirs.
func (w *word) count(tag uint64, c *clock, now int64) int {
	bits := w.bits.Load()
	if generationOf(bits^tag) != 0 || bits&(countFast|countFull) != countFast {
		return refused
	}
	if bits&rush == 0 || bits%rushCounts == 0 {
		if now == 0 {
			now = c.now()
		}
		if now >= w.bucketEnd.Load() {
			return refused
		}
	}
	if w.bits.CompareAndSwap(bits, bits+1) {
		return counted
	}
	return conflicted
}

// change replaces generation and flags, and returns the successes that it takes out.
func (w *word) change(to func(bits uint64) uint64) (successes uint64) {
	for {
		bits := w.bits.Load()
		if w.bits.CompareAndSwap(bits, to(bits)) {
			return bits & countMask
		}
	}
}

// words are all words of a breaker.
type words struct {
	word
	ended   atomic.Uint64 // calls ended, ever, except the successes that are still in a word
	stripes atomic.Pointer[stripes]
}

// stripes are more words, as many as a power of two.
type stripes struct {
	words []stripe
	flags uint64 // that all of them have; guarded by Breaker.mu
}

type stripe struct {
	word
	rejected atomic.Uint64
	_        [128 - 40]byte // two cache lines, which some processors fetch together
}

// manyConflicts is how often the writes of cores must meet for a breaker to be striped.
const manyConflicts = 16

// maxStripes bounds them: a permit has eight bits to say which.
const maxStripes = 128

// divide gives the breaker stripes. The lock is held.
func (w *words) divide() {
	if w.stripes.Load() != nil {
		return
	}
	n := 2
	for n < runtime.GOMAXPROCS(0) && n < maxStripes {
		n *= 2
	}
	s := &stripes{words: make([]stripe, n)}
	for i := range s.words {
		s.words[i].bits.Store(w.generation())
		s.words[i].bucketEnd.Store(w.bucketEnd.Load())
	}
	w.stripes.Store(s)
}

// tokens spread calls over stripes: a sync.Pool keeps one for each core, mostly.
var (
	tokens    = sync.Pool{New: func() any { t := lastToken.Add(1); return &t }}
	lastToken atomic.Uint32
)

// own returns the stripe for this core, and its number from 1 on.
func (s *stripes) own() (w *stripe, number uint64) {
	t := tokens.Get().(*uint32)
	i := uint64(*t) & uint64(len(s.words)-1)
	tokens.Put(t)
	return &s.words[i], i + 1
}

// at returns the word with a number that own gave, or the first word for 0.
func (w *words) at(number uint64) *word {
	if number == 0 {
		return &w.word
	}
	return &w.stripes.Load().words[number-1].word
}

// each calls yield for every word.
func (w *words) each(yield func(*word)) {
	yield(&w.word)
	if s := w.stripes.Load(); s != nil {
		for i := range s.words {
			yield(&s.words[i].word)
		}
	}
}

// generation returns the present one. The lock is held.
func (w *words) generation() uint64 { return generationOf(w.bits.Load()) }

// waiting returns how many calls are neither answered nor ended.
func (w *words) waiting() int {
	waiting := -int64(w.ended.Load())
	w.each(func(w *word) {
		waiting += int64(w.admitted.Load()) - int64(w.bits.Load()&countMask) - int64(uint32(w.answers.Load()))
	})
	return int(waiting)
}

// sums returns how many calls were admitted, how many successes are not folded, how many
// calls are answered and not ended, and how many were answered, ever.
func (w *words) sums() (admitted, unfolded, open uint64, answered uint32) {
	w.each(func(w *word) {
		admitted += w.admitted.Load()
		unfolded += w.bits.Load() & countMask
		answers := w.answers.Load()
		open += uint64(uint32(answers))
		answered += uint32(answers >> 32)
	})
	return admitted, unfolded, open, answered
}

// takeSuccesses folds what the words have counted. The lock is held.
func (w *words) takeSuccesses() (n uint64) {
	w.each(func(w *word) {
		if w.bits.Load()&countMask != 0 {
			n += w.change(func(bits uint64) uint64 { return bits &^ countMask })
		}
	})
	w.ended.Add(n)
	return n
}

// nextGeneration begins one in all words, with no flags. It folds what the last
// generation has counted. The lock is held.
func (w *words) nextGeneration() (n uint64) {
	next := w.generation() + 1<<generationShift
	w.each(func(w *word) { n += w.change(func(uint64) uint64 { return next }) })
	w.ended.Add(n)
	if s := w.stripes.Load(); s != nil {
		s.flags = 0
	}
	return n
}

// setFlags sets the flags of all words to these. The lock is held.
func (w *words) setFlags(flags uint64) {
	set := func(w *word, flags uint64) {
		for bits := w.bits.Load(); bits&flagMask != flags; bits = w.bits.Load() {
			if w.bits.CompareAndSwap(bits, bits&^flagMask|flags) {
				return
			}
		}
	}
	first := flags
	if s := w.stripes.Load(); s != nil {
		if flags&admitFast != 0 {
			first = flags&^(admitFast|admitTime) | spread
		}
		if s.flags != flags {
			for i := range s.words {
				set(&s.words[i].word, flags)
			}
			s.flags = flags
		}
	}
	set(&w.word, first)
}

// setBucketEnd says when the newest bucket ends. The lock is held, and successes were
// taken.
func (w *words) setBucketEnd(t int64) {
	w.each(func(w *word) { w.bucketEnd.Store(t) })
}
