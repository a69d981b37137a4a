package record

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"time"
)

// buffer is lines, and how many they are. A newline stands before the first: it
// ends what a failed write has left behind, and is written only then.
type buffer struct {
	text  []byte
	count uint64
}

// roomAtEnd is kept for the line that tells of dropped calls.
const roomAtEnd = 128

func newBuffer(memory []byte) buffer { return buffer{text: append(memory[:0], '\n')} }

// run writes lines until Close.
func (r *Recorder) run() {
	defer close(r.done)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	torn := r.writeBegin()
	for {
		stopped := false
		select {
		case <-r.wake:
		case <-tick.C:
		case <-r.stop:
			stopped = true
		}
		torn = r.flush(torn)
		if stopped {
			return
		}
	}
}

// writeBegin writes the line that tells when the recording began. It returns whether
// the writer has taken only a part of it.
func (r *Recorder) writeBegin() (torn bool) {
	text := append(appendTime(nil, `{"begin":"`, r.began), "}\n"...)
	n, err := write(r.writer, text)
	if err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.stats.Err = err
	}
	return n > 0 && n < len(text)
}

// flush writes the lines that there are. It is told, and returns, whether the
// writer has taken only a part of a line.
func (r *Recorder) flush(torn bool) bool {
	r.mu.Lock()
	lines, unsaid := r.lines, r.unsaid
	if lines.count == 0 && unsaid == 0 {
		r.mu.Unlock()
		return torn
	}
	r.lines, r.unsaid = newBuffer(r.spare), 0
	end := r.now()
	r.mu.Unlock()

	text := lines.text
	if unsaid > 0 {
		text = appendTime(text, `{"end":"`, end)
		text = append(text, `,"dropped":`...)
		text = strconv.AppendUint(text, unsaid, 10)
		text = append(text, "}\n"...)
	}
	if !torn {
		text = text[1:]
	}
	n, err := write(r.writer, text)
	written := lines.count
	if n < len(text) {
		ends := bytes.Count(text[:n+1], newline) // a line that lacks only its end will get it
		if torn {
			ends-- // of what was left behind
		}
		written = min(written, uint64(ends))
	}
	if n > 0 {
		torn = text[n-1] != '\n'
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	r.spare = lines.text
	r.stats.Written += written
	if err != nil {
		lost := lines.count - written
		r.stats.Dropped += lost
		r.unsaid += unsaid + lost
		r.stats.Err = err
	}
	return torn
}

var newline = []byte{'\n'}

// write is Write of any writer: one that panics has failed, and so has one that
// takes less than everything without an error.
func write(w io.Writer, p []byte) (n int, err error) {
	defer func() {
		if v := recover(); v != nil {
			n, err = 0, fmt.Errorf("record: the writer panicked: %v", v)
		}
	}()
	n, err = w.Write(p)
	n = min(max(n, 0), len(p))
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}
