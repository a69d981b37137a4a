// Package replay lets the calls of a log meet circuit breakers in virtual time, and
// reckons what each breaker would have made of them.
package replay

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/seed-0b728cf8/httpbreaker/bench/tune/logs"
)

// Log is calls in the order in which they began, however they came. It needs
// little memory: what is too much for that lies in a temporary file. The zero Log
// is empty. Add all calls, then Sort, then use it; Close removes the file.
type Log struct {
	Keys  []string // the hosts, by their number
	Begin int64    // when the circuits are made, unless that is 0 or after First; in nanoseconds since 1970
	// Recorded is whether the calls went through circuits with a recorder. Such a
	// circuit times all its calls and not only some, so that it sees hangs a little
	// sooner: it is replayed as it was.
	Recorded bool
	Calls    int
	First    int64 // when the first call began
	Last     int64 // when the last one ended

	memory []logs.Call
	file   *os.File
	runs   []int // numbers of calls in the file, each run in order
	limit  int   // calls in memory; 0 means the default
}

// inMemory calls take 24 MB.
const inMemory = 1 << 20

// before is the order of calls. Where several began at one moment, those that were
// let through go first: one of them may be the reason why others were not.
func before(a, b logs.Call) int {
	if a.Start != b.Start {
		return cmp.Compare(a.Start, b.Start)
	}
	return cmp.Or(
		cmp.Compare(a.Outcome/logs.Rejected, b.Outcome/logs.Rejected),
		cmp.Compare(a.Took, b.Took), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Outcome, b.Outcome))
}

// Add adds a call.
func (l *Log) Add(c logs.Call) error {
	if l.Calls == 0 {
		l.First = c.Start
	}
	l.First, l.Last = min(l.First, c.Start), max(l.Last, c.Start+c.Took)
	l.Calls++
	l.memory = append(l.memory, c)
	if len(l.memory) < cmp.Or(l.limit, inMemory) {
		return nil
	}
	return l.spill()
}

// spill moves what is in memory into the file, as a run.
func (l *Log) spill() error {
	if l.file == nil {
		file, err := os.CreateTemp("", "tune-*.calls")
		if err != nil {
			return err
		}
		l.file = file
		_ = os.Remove(file.Name()) // where the system lets go of a name, nothing is left if the program is ended
	}
	slices.SortFunc(l.memory, before)
	out := bufio.NewWriterSize(l.file, 1<<16)
	var b [size]byte
	for _, c := range l.memory {
		encode(b[:], c)
		if _, err := out.Write(b[:]); err != nil {
			return err
		}
	}
	l.runs = append(l.runs, len(l.memory))
	l.memory = l.memory[:0]
	return out.Flush()
}

// Sort brings the calls into order. No more may be added.
func (l *Log) Sort() error {
	if l.file != nil {
		err := l.spill()
		l.memory = nil
		return err
	}
	slices.SortFunc(l.memory, before)
	return nil
}

// Close removes the file, if there is one.
func (l *Log) Close() error {
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	if gone := os.Remove(l.file.Name()); !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return err
}

// Each hands every call to yield, in order, until yield returns false. Several may
// go through the log at once.
func (l *Log) Each(yield func(logs.Call) bool) error {
	if l.file == nil {
		for _, c := range l.memory {
			if !yield(c) {
				return nil
			}
		}
		return nil
	}
	var runs []*run // a heap by their next calls
	offset := int64(0)
	for _, n := range l.runs {
		length := int64(n) * size
		r := &run{from: bufio.NewReaderSize(io.NewSectionReader(l.file, offset, length), 1<<16)}
		offset += length
		if err := r.advance(); err == nil {
			runs = append(runs, r)
		} else if err != io.EOF {
			return err
		}
	}
	slices.SortFunc(runs, func(a, b *run) int { return before(a.next, b.next) })
	for len(runs) > 0 {
		if !yield(runs[0].next) {
			return nil
		}
		switch err := runs[0].advance(); {
		case err == io.EOF:
			runs = runs[1:]
			slices.SortFunc(runs, func(a, b *run) int { return before(a.next, b.next) })
		case err != nil:
			return err
		default:
			sink(runs)
		}
	}
	return nil
}

// run is a part of the file that is in order.
type run struct {
	from *bufio.Reader
	next logs.Call
}

func (r *run) advance() error {
	b, err := r.from.Peek(size)
	if err != nil {
		return err
	}
	r.next = decode(b)
	_, _ = r.from.Discard(size)
	return nil
}

// sink restores the heap after its first element has grown.
func sink(runs []*run) {
	for i := 0; ; {
		least := i
		for _, child := range [2]int{2*i + 1, 2*i + 2} {
			if child < len(runs) && before(runs[child].next, runs[least].next) < 0 {
				least = child
			}
		}
		if least == i {
			return
		}
		runs[i], runs[least] = runs[least], runs[i]
		i = least
	}
}

// size is how many bytes a call has in the file.
const size = 21

func encode(b []byte, c logs.Call) {
	binary.LittleEndian.PutUint64(b, uint64(c.Start))
	binary.LittleEndian.PutUint64(b[8:], uint64(c.Took))
	binary.LittleEndian.PutUint32(b[16:], c.Key)
	b[20] = byte(c.Outcome)
}

func decode(b []byte) logs.Call {
	return logs.Call{
		Start: int64(binary.LittleEndian.Uint64(b)), Took: int64(binary.LittleEndian.Uint64(b[8:])),
		Key: binary.LittleEndian.Uint32(b[16:]), Outcome: logs.Outcome(b[20]),
	}
}
