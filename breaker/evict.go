package breaker

import "slices"

// sampled bounds how many members are looked at for one new key, beyond those
// that were used since they were last looked at.
const sampled = 16

// makeRoom lets members go until there is room for so many more. It returns
// their keys, if there is somebody to be told.
func (s *Set) makeRoom(more int) (gone []string) {
	limit, tell := s.options.MaxKeys, s.env.observing().wantEvicted()
	for limit > 0 && s.members.count > 0 && s.members.count+more > limit {
		m := s.leastUsed()
		if m == nil {
			m = s.held.oldest()
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

// unhold returns held members to the idle ones of which there is nothing to
// remember any more. In a large set it looks at a few at a time.
func (s *Set) unhold() {
	looks := min(2, s.held.len())
	if s.held.len() <= sampled {
		looks = s.held.len()
	}
	for range looks {
		if s.look++; s.look >= s.held.len() {
			s.look = 0
		}
		if s.held.len() == 0 {
			return
		}
		m := s.held.members[s.look]
		if _, must := m.remember(); !must {
			s.held.remove(m)
			m.held = false
			s.idle.add(m)
		}
	}
}

// leastUsed returns the idle member that was not used for longest, or nil. One
// with calls in flight is in use, unless there are too many of those.
func (s *Set) leastUsed() *member {
	for passed := 0; ; {
		m := s.idle.oldest()
		if m == nil {
			return nil
		}
		if _, must := m.remember(); must {
			s.idle.remove(m)
			s.hold(m)
			continue
		}
		if passed++; passed > sampled || m.Snapshot().InFlight == 0 {
			return m
		}
		m.used.Store(s.tick.Add(1))
	}
}

func (s *Set) drop(m *member) {
	s.members.remove(m)
	if m.held {
		s.held.remove(m)
	} else {
		s.idle.remove(m)
	}
}

func (s *Set) hold(m *member) {
	m.held = true
	s.held.add(m)
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
