// Package record writes down the calls that breakers let through and reject, as
// lines of JSON, so that other settings can be tried on them later:
//
//	file, err := os.OpenFile("calls.log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
//	…
//	recorder := record.New(file, nil)
//	defer recorder.Close()
//	circuits := breaker.NewSet(breaker.Options{Hooks: []breaker.Hooks{recorder.Hooks()}})
//
// and then, in a clone of this repository,
//
//	go run ./bench/tune -replay calls.log
//
// A line is the beginning of the recording, a call that has ended, a call that was
// rejected, or a number of calls that could not be recorded:
//
//	{"begin":"2026-03-14T09:26:53.5Z"}
//	{"end":"2026-03-14T09:26:53.589793238Z","key":"api.example.com","took":0.051234567,"outcome":"success"}
//	{"end":"2026-03-14T09:26:53.601002003Z","key":"api.example.com","outcome":"rejected"}
//	{"end":"2026-03-14T09:26:54.000000001Z","dropped":17}
//
// The key is that of the circuit, "took" is [breaker.Call].Duration in seconds, and
// the outcome one of "success", "failure" and "ignored". How a rejected call would
// have ended nobody knows: a recording under breaker.Observe has none. Times are in UTC and never
// go back within a recording, whatever is done to the clock of the machine.
//
// Recording is never in the way of a call: a hook appends a line to a buffer in
// memory, and a goroutine that lives from [New] to [Recorder.Close] writes it out
// within a second. Where the writer is too slow, or fails because the disk is full,
// lines are dropped and counted.
package record

import (
	"cmp"
	"context"
	"io"
	"sync"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// Options configure a [Recorder]. The zero Options are the default.
type Options struct {
	// Buffer is how many bytes of lines may wait to be written; beyond that they
	// are dropped. A line has about 110 bytes. Default 1 MiB; at least 4 KiB.
	Buffer int
	// KeySecret, if not empty, makes the recording tell keys apart without naming
	// them: it has the first 16 hexadecimal digits of HMAC-SHA256 (RFC 2104) of
	// the key under this secret. With the same secret a key has the same digits in
	// every recording. Without the secret, who guesses a key cannot check the
	// guess. Default: keys are written as they are.
	KeySecret []byte
}

// Stats are a Recorder's numbers since it was made.
type Stats struct {
	Written uint64 // calls whose lines the writer took
	Dropped uint64 // calls whose lines had no room in memory, or that the writer did not take
	Err     error  // what the writer returned when it failed last, or nil
}

const (
	defaultBuffer = 1 << 20
	leastBuffer   = 4 << 10
	flushEvery    = time.Second
)

// A Recorder writes calls to an [io.Writer]. It is safe for concurrent use; give
// its hooks to as many breakers and sets as are to be in one recording.
type Recorder struct {
	writer io.Writer
	hasher *hasher   // nil: keys are written as they are
	began  time.Time // wall clock and monotonic clock at one moment

	wake chan struct{} // the buffer is half full
	stop chan struct{} // closed by Close
	done chan struct{} // closed when the goroutine has ended

	mu     sync.Mutex
	lines  buffer // to be written next
	spare  []byte // the other half of the memory, while nothing is being written from it
	limit  int    // bytes of lines
	unsaid uint64 // dropped calls of which no line tells yet
	closed bool
	stats  Stats
}

// New returns a Recorder that writes to w, which nobody else may write to until
// [Recorder.Close]. Writes are of whole lines and one at a time. With nil Options
// it has the defaults.
func New(w io.Writer, o *Options) *Recorder {
	if o == nil {
		o = &Options{}
	}
	// One half is filled while the other is being written.
	half := max(leastBuffer, cmp.Or(o.Buffer, defaultBuffer)) / 2
	r := &Recorder{
		writer: w, hasher: newHasher(o.KeySecret), began: time.Now(), limit: half,
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
		lines: newBuffer(make([]byte, 0, half+roomAtEnd)), spare: make([]byte, 0, half+roomAtEnd),
	}
	go r.run()
	return r
}

// Hooks returns the hooks that record, for [breaker.Options] or [breaker.Set.Watch].
// After Close they do nothing.
func (r *Recorder) Hooks() breaker.Hooks {
	return breaker.Hooks{
		Done: func(_ context.Context, c breaker.Call) { r.add(c.Key, outcomes[c.Outcome], c.Duration) },
		Rejected: func(_ context.Context, err *breaker.OpenError) {
			if err.Mode != breaker.Observe { // else it goes through, and is recorded when it ends
				r.add(err.Key, "rejected", -1)
			}
		},
	}
}

var outcomes = [...]string{breaker.Ignored: "ignored", breaker.Success: "success", breaker.Failure: "failure"}

// add appends the line of one call. A rejected call took less than no time.
func (r *Recorder) add(key, outcome string, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	// Read under the lock, so that the lines are in the order of their times.
	end := r.now()
	before := len(r.lines.text)
	if before+worstLine(key) > r.limit {
		r.stats.Dropped++
		r.unsaid++
		return
	}
	text := appendTime(r.lines.text, `{"end":"`, end)
	text = append(text, `,"key":"`...)
	if r.hasher != nil {
		text = r.hasher.appendHash(text, key)
	} else {
		text = appendEscaped(text, key)
	}
	if took >= 0 {
		text = append(text, `","took":`...)
		text = appendSeconds(text, took)
		text = append(text, `,"outcome":"`...)
	} else {
		text = append(text, `","outcome":"`...)
	}
	text = append(text, outcome...)
	r.lines.text = append(text, "\"}\n"...)
	r.lines.count++
	if half := r.limit / 2; before <= half && len(r.lines.text) > half {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// now is the time of the wall clock at New and what has passed since: it never goes
// back.
func (r *Recorder) now() time.Time { return r.began.Add(time.Since(r.began)) }

// Stats returns the numbers of now. What is still in memory is in none of them.
func (r *Recorder) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stats
}

// Close writes what is in memory and ends the goroutine. It waits for the writer,
// which it does not close, and returns the error with which the writer failed
// last, if it ever did. Closing again does nothing.
func (r *Recorder) Close() error {
	r.mu.Lock()
	if !r.closed {
		r.closed = true
		close(r.stop)
	}
	r.mu.Unlock()
	<-r.done
	return r.Stats().Err
}
