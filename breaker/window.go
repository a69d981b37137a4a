package breaker

// windowBuckets is how many buckets a time window has.
const windowBuckets = 10

// bucket holds the calls that ended in one tenth of a time window.
type bucket struct {
	ok     uint32 // successes, except those that Breaker.word holds for the current bucket
	failed uint32
	slow   uint32 // of both
}

// timeWindow is a ring of buckets, the one of index n at slot n % windowBuckets.
// Its bucket width is not in it but in the rules.
type timeWindow struct {
	current int64 // index of the newest bucket: its begin divided by the width
	buckets [windowBuckets]bucket
}

func (w *timeWindow) at(index int64) *bucket { return &w.buckets[index%windowBuckets] }

// advance makes index the newest bucket and empties those in between. If time has
// gone back, as from one synctest bubble to the next, the window begins anew.
func (w *timeWindow) advance(index int64) {
	if index < w.current || index-w.current >= windowBuckets {
		w.buckets = [windowBuckets]bucket{}
	}
	for n := w.current + 1; n <= index && n < w.current+windowBuckets; n++ {
		*w.at(n) = bucket{}
	}
	w.current = index
}

// sum adds up what is in the window when index is the newest bucket, and tells
// in how many buckets there are failures. It changes nothing.
func (w *timeWindow) sum(index int64) (c Counts, failedIn int) {
	if w.current > index {
		return c, 0 // time has gone back
	}
	for n := max(0, index-windowBuckets+1); n <= w.current; n++ {
		b := w.at(n)
		c.Calls += int(b.ok) + int(b.failed)
		c.Failures += int(b.failed)
		c.Slow += int(b.slow)
		if b.failed > 0 {
			failedIn++
		}
	}
	return c, failedIn
}

// callWindow holds the last so many calls.
type callWindow struct {
	calls []uint8 // a ring of bits
	next  int
	Counts
}

const (
	callFailed = 1 << iota
	callSlow
)

func newCallWindow(n int) *callWindow { return &callWindow{calls: make([]uint8, n)} }

func (w *callWindow) add(call uint8) {
	if w.Calls == len(w.calls) {
		w.count(w.calls[w.next], -1)
	}
	w.calls[w.next] = call
	w.next = (w.next + 1) % len(w.calls)
	w.count(call, 1)
}

func (w *callWindow) count(call uint8, n int) {
	w.Calls += n
	if call&callFailed != 0 {
		w.Failures += n
	}
	if call&callSlow != 0 {
		w.Slow += n
	}
}

// each calls yield for every call in the window, oldest first.
func (w *callWindow) each(yield func(call uint8)) {
	for i := range w.Calls {
		yield(w.calls[(w.next-w.Calls+i+len(w.calls))%len(w.calls)])
	}
}

// pour adds the calls of a bucket, whose order is not known.
func (w *callWindow) pour(b bucket) {
	slow := b.slow
	put := func(n uint32, call uint8) {
		for range min(int(n), len(w.calls)) {
			if slow > 0 {
				slow--
				w.add(call | callSlow)
			} else {
				w.add(call)
			}
		}
	}
	put(b.ok, 0)
	put(b.failed, callFailed)
}

// each calls yield for every bucket in the window, oldest first.
func (w *timeWindow) each(yield func(index int64, b bucket)) {
	for n := max(0, w.current-windowBuckets+1); n <= w.current; n++ {
		yield(n, *w.at(n))
	}
}

func (b *bucket) add(c bucket) {
	b.ok += c.ok
	b.failed += c.failed
	b.slow += c.slow
}
