package breaker

import "sync/atomic"

// word is all that a call through a closed circuit touches. It is read and changed
// without the breaker's lock; nothing else of a breaker is.
//
//	 63          40 39    36 35  32 31     30               0
//	+--------------+--------+------+------+------------------+
//	|  generation  |  (0)   | flags| full |  successes       |
//	+--------------+--------+------+------+------------------+
//
// What holds at any moment:
//
//   - A state that counts calls anew begins a generation. A permit carries the
//     generation that admitted it, and a success is counted only into a word of
//     the same generation: a late one cannot be counted where it does not belong.
//   - A flag is set only while what it allows is all that there is to do. Flags
//     are set in one place, Breaker.unlock, from what the lock guards. Whoever
//     begins a generation clears them first, so that all calls come to the lock.
//   - successes have not been folded into the counts yet. They belong to the
//     window's newest bucket, which ends at bucketEnd.
//   - waiting calls = admitted − ended − successes − answered, in all generations.
type word struct {
	bits      atomic.Uint64
	admitted  atomic.Uint64 // calls let through, ever
	ended     atomic.Uint64 // calls ended, ever, except the successes still in bits
	answered  atomic.Int64  // calls answered and not ended
	bucketEnd atomic.Int64
}

const (
	admitFast = 1 << (32 + iota) // Allow needs no lock
	admitTime                    // … except that each call is timed
	countFast                    // a success needs no lock

	flagMask        = 0xF << 32
	countFull       = 1 << 31 // too many to count: fold them
	countMask       = 1<<32 - 1
	generationShift = 40
)

// lookEvery is how often a busy circuit looks at the clock when it admits: one
// call in so many is timed, and looks for calls that hang.
const lookEvery = 16

// generationOf returns the generation in its place, as Permit.tag holds it.
func generationOf(bits uint64) uint64 { return bits &^ (1<<generationShift - 1) }

// generation returns the present one.
func (w *word) generation() uint64 { return generationOf(w.bits.Load()) }

// count books a success without the lock. It fails if there is more to do, or if
// the generation that admitted the call has passed.
func (w *word) count(tag uint64, now int64) bool {
	for {
		bits := w.bits.Load()
		if generationOf(bits^tag) != 0 || bits&(countFast|countFull) != countFast || now >= w.bucketEnd.Load() {
			return false
		}
		if w.bits.CompareAndSwap(bits, bits+1) {
			return true
		}
	}
}

// waiting returns how many calls are neither answered nor ended.
func (w *word) waiting() int {
	ended := w.ended.Load() + w.bits.Load()&countMask
	return int(int64(w.admitted.Load()-ended) - w.answered.Load())
}

// takeSuccesses returns the successes since it was last called. The lock is held.
func (w *word) takeSuccesses() uint64 {
	for {
		bits := w.bits.Load()
		n := bits & countMask
		if n == 0 {
			return 0
		}
		w.ended.Add(n) // first, so that waiting never shows too many
		if w.bits.CompareAndSwap(bits, bits&^countMask) {
			return n
		}
		w.ended.Add(-n)
	}
}

// nextGeneration begins one, with no flags. Successes must have been taken; it
// returns those that came meanwhile. The lock is held.
func (w *word) nextGeneration() (successes uint64) {
	for {
		bits := w.bits.Load()
		next := generationOf(bits) + 1<<generationShift
		if w.bits.CompareAndSwap(bits, next) {
			n := bits & countMask
			w.ended.Add(n)
			return n
		}
	}
}

// setFlags sets the flags to these. The lock is held.
func (w *word) setFlags(flags uint64) {
	for {
		bits := w.bits.Load()
		if bits&flagMask == flags || w.bits.CompareAndSwap(bits, bits&^flagMask|flags) {
			return
		}
	}
}
