package breaker

import "hash/maphash"

// record is what is kept of a circuit that had to go: until when it is open,
// with the backoff's level and the mode in the low bits, which stand for less
// than a microsecond.
type record int64

const (
	recordModeBits  = 2
	recordLevelBits = 6
	recordLowBits   = recordModeBits + recordLevelBits
)

func (r record) until() int64 { return int64(r) &^ (1<<recordLowBits - 1) }
func (r record) level() uint8 { return uint8(r) >> recordModeBits }
func (r record) mode() Mode   { return Mode(r & (1<<recordModeBits - 1)) }

// forced reports whether the record holds, with no end, what somebody has set.
func (r record) forced() bool { return r.mode() >= ForceOpen }

// expired reports whether the circuit would be half-open by now. One that was
// closed is kept for its mode, which does not expire.
func (r record) expired(now int64) bool { return r.until() > 0 && r.until() <= now && !r.forced() }

// maxRecords bounds the ledger.
const maxRecords = 1 << 16

// ledger holds records by the hash of their keys. When it is full, one record
// has to go for each new one. Of the oldest few it is one that is expired, else
// the first that is not forced, else the first.
type ledger struct {
	seed      maphash.Seed
	entries   []entry
	index     map[uint64]uint32 // by hash, the place in entries
	oldest    int               // once entries are full, where the oldest is, but for some that were moved by take
	forgotten uint64
}

type entry struct {
	hash uint64
	record
}

func (l *ledger) put(key string, r record, now int64) {
	if l.index == nil {
		l.seed = maphash.MakeSeed()
		l.index = map[uint64]uint32{}
	}
	e := entry{maphash.String(l.seed, key), r}
	i, known := l.index[e.hash]
	switch {
	case known:
	case len(l.entries) < maxRecords:
		i = uint32(len(l.entries))
		l.entries = append(l.entries, e)
	default:
		i = l.forget(now)
	}
	l.entries[i] = e
	l.index[e.hash] = i
}

// forget makes room in full entries, and returns where.
func (l *ledger) forget(now int64) uint32 {
	victim, found := l.oldest, false
	for n := range mostLooks {
		i := (l.oldest + n) % len(l.entries)
		if e := l.entries[i]; e.expired(now) {
			victim = i
			break
		} else if !found && !e.forced() {
			victim, found = i, true
		}
	}
	e := l.entries[victim]
	delete(l.index, e.hash)
	if !e.expired(now) {
		l.forgotten++
	}
	l.oldest = (victim + 1) % len(l.entries)
	return uint32(victim)
}

// take returns the record of a key and forgets it.
func (l *ledger) take(key string) (r record, known bool) {
	if len(l.entries) == 0 {
		return 0, false
	}
	hash := maphash.String(l.seed, key)
	i, known := l.index[hash]
	if !known {
		return 0, false
	}
	r = l.entries[i].record
	l.remove(i)
	return r, true
}

func (l *ledger) remove(i uint32) {
	delete(l.index, l.entries[i].hash)
	last := len(l.entries) - 1
	if int(i) < last {
		l.entries[i] = l.entries[last]
		l.index[l.entries[i].hash] = i
	}
	l.entries = l.entries[:last]
}

// setModes sets the mode of every record. Closed circuits of the ordinary mode need none.
func (l *ledger) setModes(m, ordinary Mode) {
	for i := len(l.entries) - 1; i >= 0; i-- {
		e := &l.entries[i]
		e.record = e.record&^(1<<recordModeBits-1) | record(m)
		if e.until() == 0 && m == ordinary {
			l.remove(uint32(i))
		}
	}
}
