package breaker

import "slices"

// sampled bounds how many members that are in use are passed over in search of
// an idle one, so that a new key costs the same whatever the set's size.
const sampled = 16

// makeRoom lets members go until there is room for so many more. It returns
// their keys, if there is somebody to be told.
func (s *Set) makeRoom(more int) (gone []string) {
	limit, tell := s.options.MaxKeys, s.env.observing().wantEvicted()
	for limit > 0 && s.members.count > 0 && s.members.count+more > limit {
		m := s.leastUsed()
		if m == nil {
			m = s.held.back
		} else {
			s.unhold()
		}
		if rec, must := m.remember(); must {
			s.ledger.put(m.key, rec, s.env.now())
			s.demoted++
		} else {
			s.evicted++
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

// unhold looks at one of the held members and returns it to the idle ones if
// there is nothing to remember of it any more.
func (s *Set) unhold() {
	if m := s.held.back; m != nil {
		s.remove(m)
		if _, must := m.remember(); must {
			s.hold(m)
		} else {
			s.idle.place(m)
		}
	}
}

// leastUsed returns the idle member that was not used for longest, or nil.
// Those that were used since they were placed get another turn, up to a bound.
func (s *Set) leastUsed() (least *member) {
	for passed := 0; passed < sampled && s.idle.back != nil; {
		m := s.idle.back
		s.remove(m)
		if _, must := m.remember(); must {
			s.hold(m)
			continue
		}
		used := m.used.Load() != m.placed || uint32(m.admitted.Load()) != m.calls
		s.idle.placeByUse(m)
		if !used {
			return m
		}
		if least == nil || m.placed < least.placed {
			least = m
		}
		passed++
	}
	return least
}

func (s *Set) drop(m *member) {
	s.members.remove(m)
	s.remove(m)
}

func (s *Set) hold(m *member) {
	s.held.place(m)
	m.held = true
}

// remove takes m out of its list.
func (s *Set) remove(m *member) {
	if m.held {
		s.held.remove(m)
		m.held = false
	} else {
		s.idle.remove(m)
	}
}

// list is a doubly linked list of members.
type list struct{ front, back *member }

// place puts m, which is in no list, in front.
func (l *list) place(m *member) { l.placeBefore(m, l.front) }

// placeByUse puts m, which is in no list, behind those that were used later, as
// far as that is not far.
func (l *list) placeByUse(m *member) {
	used, next := m.used.Load(), l.front
	for passed := 0; passed < sampled && next != nil && next.placed > used; passed++ {
		next = next.next
	}
	l.placeBefore(m, next)
}

// placeBefore puts m before next, or at the back if that is nil.
func (l *list) placeBefore(m, next *member) {
	prev := l.back
	if next != nil {
		prev = next.prev
		next.prev = m
	} else {
		l.back = m
	}
	if prev != nil {
		prev.next = m
	} else {
		l.front = m
	}
	m.prev, m.next = prev, next
	m.placed, m.calls = m.used.Load(), uint32(m.admitted.Load())
}

func (l *list) remove(m *member) {
	if m.prev != nil {
		m.prev.next = m.next
	} else {
		l.front = m.next
	}
	if m.next != nil {
		m.next.prev = m.prev
	} else {
		l.back = m.prev
	}
	m.prev, m.next = nil, nil
}

// remember returns a record of m, and whether there is anything in it that must
// not be forgotten.
func (m *member) remember() (r record, must bool) {
	b := &m.Breaker
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.env.now()
	var until int64
	switch {
	case b.state == Open:
		until = b.phase.until
	case b.state == HalfOpen:
		until = max(now, 1<<recordLowBits) // zero stands for closed
	}
	level := min(b.level, 1<<recordLevelBits-1)
	r = record(until&^(1<<recordLowBits-1)) | record(level)<<recordModeBits | record(b.mode)
	modeSet := b.mode != m.startMode && b.mode != b.rules.Load().Mode
	return r, b.state != Closed || modeSet
}

// restore makes a new breaker what the record says.
func (b *Breaker) restore(r record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if m := r.mode(); m != b.mode {
		b.setMode(m, "kept from before this circuit was evicted")
	}
	now := b.env.now()
	if until := r.until(); until > 0 {
		b.level = r.level()
		b.openUntil(now, gate{until: until, early: until}, "open from before this circuit was evicted")
		if until <= now {
			b.halfOpen(now)
		}
	}
	b.queue, b.totals = nil, Totals{} // it is as it was
	b.setGate()
	b.publish(true)
}
