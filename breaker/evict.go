package breaker

import (
	"math/rand/v2"
	"slices"
)

// A full Set gives up a breaker for each new key. It goes round its members, as a clock
// does: one that was used since it was looked at last, or has calls in flight, is
// passed over once; the first that was not has to go. Each new key looks at no more
// than mostLooks, so that no call waits for long, however many keys there are.
//
// A new member changes places with one drawn by lot. So those that came together, such
// as the hosts that a program calls from its start, are not looked at one after another.
type ring struct {
	members []*member
	hand    int // who is looked at next
	free    int // a place without a member, plus 1; 0: none
}

// mostLooks bounds how many members are looked at for one new key. If all of them are in
// use the first has to go, and Stats.EvictedActive counts it.
const mostLooks = 16

func (r *ring) add(m *member) {
	if r.free == 0 {
		r.members = append(r.members, nil)
		r.free = len(r.members)
	}
	r.put(m, r.free-1)
	r.free = 0
	other := r.members[rand.IntN(len(r.members))]
	mine, others := int(m.set.index), int(other.set.index)
	r.put(m, others)
	r.put(other, mine)
}

func (r *ring) put(m *member, place int) {
	r.members[place] = m
	m.set.index = uint32(place)
}

// remove leaves a free place, or closes the ring's end if there is one already.
func (r *ring) remove(m *member) {
	last := len(r.members) - 1
	switch {
	case r.free == last+1:
		r.members = r.members[:last]
		fallthrough
	case r.free == 0:
		r.members[m.set.index] = nil
		r.free = int(m.set.index) + 1
	default:
		r.put(r.members[last], int(m.set.index))
		r.members[last] = nil
		r.members = r.members[:last]
	}
}

// next returns the member that has to go, and whether it is in use.
func (r *ring) next() (m *member, active bool) {
	var first *member
	for range min(mostLooks, len(r.members)) {
		m := r.members[r.hand%len(r.members)]
		r.hand = (r.hand + 1) % len(r.members)
		if m == nil {
			continue
		}
		if !m.inUse() {
			return m, false
		}
		m.set.marks.And(^uint32(markUsed))
		if first == nil {
			first = m
		}
	}
	return first, true
}

// inUse reports whether m was asked for since it was looked at last, or has calls that
// have not ended.
func (m *member) inUse() bool {
	if m.set.marks.Load()&markUsed != 0 {
		return true
	}
	admitted, unfolded, _, _ := m.sums()
	return admitted != m.ended.Load()+unfolded
}

// makeRoom lets members go until there is room for so many more. It returns
// their keys, if there is somebody to be told.
func (s *Set) makeRoom(more int) (gone []string) {
	limit, tell, now := s.options.MaxKeys, s.shared.observing().wantEvicted(), s.shared.now()
	for limit > 0 && s.members.count > 0 && s.members.count+more > limit {
		m, active := s.ring.next()
		if rec, must := m.record(); must {
			s.ledger.put(m.key, rec, now)
			s.demoted++
		} else {
			s.evicted++
		}
		if active {
			s.evictedActive++
		}
		s.drop(m)
		if tell {
			gone = append(gone, m.key)
		}
	}
	return gone
}

func (o *observers) wantEvicted() bool {
	return o != nil && slices.ContainsFunc(o.list, func(o *observer) bool { return o.Evicted != nil })
}

func (s *Set) drop(m *member) {
	m.set.marks.Or(markGone)
	s.members.remove(m)
	s.ring.remove(m)
}

// record returns what must be remembered of m, and whether there is anything.
func (m *member) record() (r record, must bool) {
	b := &m.Breaker
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.past()
	var until int64
	switch p := h.phase.(type) {
	case *opening:
		until = p.until
	case *probing:
		until = max(b.shared.now(), 1<<recordLowBits) // zero stands for closed
	}
	level := min(h.level, 1<<recordLevelBits-1)
	r = record(until&^(1<<recordLowBits-1)) | record(level)<<recordModeBits | record(b.mode)
	return r, until > 0 || h.modeSet && b.mode != b.rules.Load().Mode
}

// restore makes a new breaker what the record says. That is no transition: nobody is
// told.
func (b *Breaker) restore(r record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h, now := b.remember(), b.shared.now()
	if m := r.mode(); m != b.mode {
		b.setMode(m, "kept from before this circuit was evicted")
		h.modeSet = true
	}
	if until := r.until(); until > 0 {
		if until == record(never).until() {
			until = never
		}
		h.level = r.level()
		h.origin, h.reason = ByRules, "open from before this circuit was evicted"
		h.outage = &outage{began: now, cause: h.reason}
		o := &opening{began: now, until: until}
		h.phase = o
		o.err = b.rejection(Open, now, h.reason)
		if until != never {
			o.err.Until = b.shared.time(until)
		}
	}
	b.derive()
}
