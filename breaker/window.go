package breaker

import "time"

// windowBuckets is how many buckets a time window has.
const windowBuckets = 10

// bucket holds the calls that ended in one tenth of a time window, and those that were
// answered in it.
type bucket struct{ ok, failed, slow, answered uint32 } // slow are some of both

func (b *bucket) add(c bucket) {
	b.ok += c.ok
	b.failed += c.failed
	b.slow += c.slow
	b.answered += c.answered
}

// timeWindow holds the buckets of the last tenths of a Window. Their width is not
// in it but in the rules.
type timeWindow struct {
	index    int64                  // of the newest bucket: its begin divided by the width
	older    *[windowBuckets]bucket // bucket n at n % windowBuckets; nil while all are empty
	newest                          // without the successes that are still in the word
	answered uint32                 // how many calls had been answered, ever, when the newest bucket began
}

type newest struct{ ok, failed, slow uint32 }

func (b bucket) newest() newest { return newest{b.ok, b.failed, b.slow} }

func (n newest) bucket() bucket { return bucket{ok: n.ok, failed: n.failed, slow: n.slow} }

// advance makes index the newest bucket, when so many calls have been answered, ever. If
// time has gone back, as from one synctest bubble to the next, the window begins anew.
func (w *timeWindow) advance(index int64, answered uint32) {
	if index == w.index {
		return
	}
	was, full := w.index, w.newest.bucket()
	answers := answered - w.answered
	*w = timeWindow{index: index, older: w.older, answered: answered}
	if index < was || index-was > 2*windowBuckets && answers == 0 {
		w.older = nil
		return
	}
	if w.older == nil {
		if full == (bucket{}) && answers == 0 {
			return
		}
		w.older = new([windowBuckets]bucket)
	}
	w.older[was%windowBuckets] = full
	for n := max(was+1, index-windowBuckets+1); n <= index; n++ {
		w.older[n%windowBuckets] = bucket{}
	}
	// They may have come until now: nothing has ended since, or the window would have moved on.
	w.older[(index-1)%windowBuckets].answered = answers
	if *w.older == [windowBuckets]bucket{} {
		w.older = nil
	}
}

// each calls yield for the buckets that are in the window when index is the newest,
// oldest first. It changes nothing.
func (w *timeWindow) each(index int64, yield func(index int64, b bucket)) {
	if w.index > index {
		return // time has gone back
	}
	if w.older != nil {
		for n := max(0, index-windowBuckets+1); n < w.index; n++ {
			if b := w.older[n%windowBuckets]; b != (bucket{}) {
				yield(n, b)
			}
		}
	}
	if w.index > index-windowBuckets {
		yield(w.index, w.newest.bucket())
	}
}

// firstBucket is the index of the bucket that begins with the clock. It is a multiple
// of windowBuckets, and so large that the buckets before it have a positive index.
const firstBucket = 1e18

// bucketAt returns the index of the bucket in which t lies.
func (r *rules) bucketAt(t int64) int64 {
	index := (t-beginning)/r.bucket + firstBucket
	if (t-beginning)%r.bucket < 0 {
		index--
	}
	return index
}

// begin returns when a bucket begins.
func (r *rules) begin(index int64) int64 { return (index-firstBucket)*r.bucket + beginning }

// callWindow holds the last calls, as many as WindowCalls says.
type callWindow struct {
	calls []callAt // a ring
	next  int
	Counts

	// How many calls had been answered, ever, when the ring began anew the last two times.
	answered [2]uint32
}

type callAt struct {
	at   int64 // when it ended
	bits uint8
}

const (
	callFailed = 1 << iota
	callSlow
)

func newCallWindow(n int, answered uint32) *callWindow {
	return &callWindow{calls: make([]callAt, n), answered: [2]uint32{answered, answered}}
}

func (w *callWindow) add(call callAt, answered uint32) {
	if w.Calls == len(w.calls) {
		w.count(w.calls[w.next].bits, -1)
	}
	w.calls[w.next] = call
	if w.next = (w.next + 1) % len(w.calls); w.next == 0 {
		w.answered = [2]uint32{w.answered[1], answered}
	}
	w.count(call.bits, 1)
}

func (w *callWindow) count(bits uint8, n int) {
	w.Calls += n
	if bits&callFailed != 0 {
		w.Failures += n
	}
	if bits&callSlow != 0 {
		w.Slow += n
	}
}

// each calls yield for every call in the window, oldest first.
func (w *callWindow) each(yield func(call callAt)) {
	for i := range w.Calls {
		yield(w.calls[(w.next-w.Calls+i+len(w.calls))%len(w.calls)])
	}
}

// oldest is when the oldest call in the window ended, or now if there is none.
func (w *callWindow) oldest(now int64) int64 {
	if w.Calls == 0 {
		return now
	}
	return w.calls[(w.next-w.Calls+len(w.calls))%len(w.calls)].at
}

// pour adds the calls of a bucket, as if they had ended now. Their order is not known:
// failures and slow calls are spread evenly, so that no run and no rate appears that was
// not there.
func (w *callWindow) pour(b bucket, answered uint32, now int64) {
	total := uint64(b.ok) + uint64(b.failed)
	share := func(i uint64, n uint32) bool { // whether the call i is one of n among total
		return (i+1)*uint64(n)/total > i*uint64(n)/total
	}
	for i := total - min(total, uint64(len(w.calls))); i < total; i++ {
		call := callAt{at: now}
		if share(i, b.failed) {
			call.bits |= callFailed
		}
		if share(i, b.slow) {
			call.bits |= callSlow
		}
		w.add(call, answered)
	}
}

// rewindow puts the counts into a window of another size or kind, where they have a
// place in it.
func (b *Breaker) rewindow(old, r *rules, now int64) {
	wasCalls := b.past().calls
	if wasCalls == nil {
		b.roll(now)
	}
	was := b.window
	b.window = timeWindow{index: r.bucketAt(now), answered: was.answered}
	b.setBucketEnd(r.begin(b.window.index + 1))
	if r.WindowCalls > 0 {
		calls := newCallWindow(r.WindowCalls, was.answered)
		b.remember().calls = calls
		if wasCalls != nil {
			wasCalls.each(func(call callAt) { calls.add(call, was.answered) })
		} else {
			was.each(was.index, func(_ int64, in bucket) { calls.pour(in, was.answered, now) })
		}
		return
	}
	if wasCalls != nil {
		b.history.calls = nil
		b.window.newest = newest{
			ok:     uint32(wasCalls.Calls - wasCalls.Failures),
			failed: uint32(wasCalls.Failures),
			slow:   uint32(wasCalls.Slow),
		}
		return
	}
	var moved [windowBuckets]bucket
	last := b.window.index
	was.each(was.index, func(index int64, in bucket) {
		to := min(last, r.bucketAt(old.begin(index)+old.bucket/2))
		if to > last-windowBuckets {
			moved[to%windowBuckets].add(in)
		}
	})
	b.window.newest = moved[last%windowBuckets].newest()
	moved[last%windowBuckets] = bucket{}
	if moved != [windowBuckets]bucket{} {
		b.window.older = &moved
	}
}

// span is how long the calls in the window have taken to come, at least a tenth of
// a second: what a rate of calls is reckoned by.
func (w *timeWindow) span(r *rules, now int64) time.Duration {
	oldest := now
	w.each(r.bucketAt(now), func(index int64, b bucket) {
		if b != (bucket{}) {
			oldest = min(oldest, r.begin(index))
		}
	})
	return max(time.Duration(now-oldest), 100*time.Millisecond)
}
