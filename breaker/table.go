package breaker

import (
	"hash/maphash"
	"iter"
	"sync/atomic"
)

// tables hold members by their keys, in parts by the hash of the key: so the lock is not
// held for long when one of them grows. The zero tables are empty.
type tables struct {
	parts [256]table
	count int // members
}

// seed is for the hashes of all tables.
var seed = maphash.MakeSeed()

func hashOf(key string) uint64 { return maphash.String(seed, key) }

func (t *tables) get(key string) *member {
	hash := hashOf(key)
	return t.parts[hash>>56].get(uint32(hash), key)
}

func (t *tables) put(m *member) {
	hash := hashOf(m.key)
	t.parts[hash>>56].put(uint32(hash), m)
	t.count++
}

func (t *tables) remove(m *member) {
	hash := hashOf(m.key)
	t.parts[hash>>56].remove(uint32(hash), m)
	t.count--
}

// all yields the members, those that come or go meanwhile perhaps, but never two of the
// same key.
func (t *tables) all() iter.Seq[*member] {
	return func(yield func(*member) bool) {
		for i := range t.parts {
			for m := range t.parts[i].all() {
				if !yield(m) {
					return
				}
			}
		}
	}
}

// table holds members by their keys. Reading takes no lock and never waits; of
// put and remove only one may run at a time. The zero table is empty.
type table struct {
	slots atomic.Pointer[slots] // nil before the first put
	count int                   // members
}

// slots is an open-addressed hash table with linear probing. What makes it safe
// to read while it is being changed:
//
//   - A slot is empty, then taken, then perhaps removed, and nothing else ever.
//     Its hash and place in the order are written before its member, and never
//     again.
//   - At least a quarter of the slots is empty, so that a search comes to an
//     end. When there would be fewer, the members move to new slots, and these
//     are left as they are to those who still read them.
type slots struct {
	slots []slot        // as many as a power of two
	taken atomic.Uint32 // how many are not empty: those with an order below that
}

type slot struct {
	hash   uint32
	order  uint32
	member atomic.Pointer[member] // nil: empty
}

// removed marks a slot whose member is gone: searches go on behind it.
var removed = new(member)

const minSlots = 8

// get returns the member of this key, or nil.
func (t *table) get(hash uint32, key string) *member {
	s := t.slots.Load()
	if s == nil {
		return nil
	}
	return s.find(hash, key)
}

// put adds a member whose key is not in the table.
func (t *table) put(hash uint32, m *member) {
	s := t.slots.Load()
	if s == nil || 4*(uint64(s.taken.Load())+1) > 3*uint64(len(s.slots)) {
		s = t.move(s)
	}
	s.put(hash, m)
	t.count++
}

// remove removes a member that is in the table.
func (t *table) remove(hash uint32, m *member) {
	t.slots.Load().remove(hash, m)
	t.count--
}

// move gives the table new slots, which are half full at most. At least a quarter
// of them can be taken before the next move, so that a put costs the same on
// average however many members come and go.
func (t *table) move(old *slots) *slots {
	size := minSlots
	for size < 2*t.count {
		size *= 2
	}
	s := &slots{slots: make([]slot, size)}
	if old != nil {
		for i := range old.slots {
			if m := old.slots[i].member.Load(); m != nil && m != removed {
				s.put(old.slots[i].hash, m)
			}
		}
	}
	t.slots.Store(s)
	return s
}

// all yields the members, those that come or go meanwhile perhaps, but never two
// of the same key.
func (t *table) all() iter.Seq[*member] {
	return func(yield func(*member) bool) {
		s := t.slots.Load()
		if s == nil {
			return
		}
		known := s.taken.Load() // a key that goes and comes back gets a higher order
		for i := range s.slots {
			slot := &s.slots[i]
			m := slot.member.Load()
			if m != nil && m != removed && slot.order < known && !yield(m) {
				return
			}
		}
	}
}

func (s *slots) find(hash uint32, key string) *member {
	for i := hash; ; i++ {
		slot := &s.slots[int(i)&(len(s.slots)-1)]
		m := slot.member.Load()
		if m == nil {
			return nil
		}
		if slot.hash == hash && m != removed && m.key == key {
			return m
		}
	}
}

func (s *slots) put(hash uint32, m *member) {
	for i := hash; ; i++ {
		slot := &s.slots[int(i)&(len(s.slots)-1)]
		if slot.member.Load() == nil {
			slot.hash, slot.order = hash, s.taken.Load()
			slot.member.Store(m)
			s.taken.Add(1)
			return
		}
	}
}

func (s *slots) remove(hash uint32, m *member) {
	for i := hash; ; i++ {
		slot := &s.slots[int(i)&(len(s.slots)-1)]
		if slot.member.Load() == m {
			slot.member.Store(removed)
			return
		}
	}
}
