package breaker

import "slices"

// sampled bounds how many members are looked at for one new key, beyond those
// that were used since they were last looked at.
const sampled = 16

// makeRoom lets members go until there is room for so many more. It returns
// their keys, if there is somebody to be told.
func (s *Set) makeRoom(more int) (gone []string) {
	limit, tell, now := s.options.MaxKeys, s.env.observing().wantEvicted(), s.env.now()
	for limit > 0 && s.members.count > 0 && s.members.count+more > limit {
		s.unhold(now)
		m := s.leastUsed(now)
		if m == nil {
			m = s.held[s.look]
		}
		if rec, must := m.remember(now); must {
			s.ledger.put(m.key, rec, now)
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
// remember any more. In a large set it looks at one at a time, in turn, and
// leaves look at the next.
func (s *Set) unhold(now int64) {
	looks := len(s.held)
	if looks > sampled {
		looks = 1
	}
	for range looks {
		m := s.held[s.look]
		if _, must := m.remember(now); must {
			s.look++
		} else {
			s.held.remove(m)
			m.held = false
			s.idle.add(m)
		}
		if s.look >= len(s.held) {
			s.look = 0
		}
	}
}

// leastUsed returns the idle member that was not used for longest, or nil. One
// with calls in flight is in use, unless there are too many of those.
func (s *Set) leastUsed(now int64) *member {
	for passed := 0; ; {
		m := s.idle.oldest()
		if m == nil {
			return nil
		}
		if _, must := m.remember(now); must {
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
	if !m.held {
		s.idle.remove(m)
		return
	}
	s.held.remove(m)
	if s.look >= len(s.held) {
		s.look = 0
	}
}

func (s *Set) hold(m *member) {
	m.held = true
	s.held.add(m)
}

// pile holds members in no order.
type pile []*member

func (p *pile) add(m *member) {
	m.place = len(*p)
	*p = append(*p, m)
}

func (p *pile) remove(m *member) {
	last := (*p)[len(*p)-1]
	(*p)[m.place], last.place = last, m.place
	(*p)[len(*p)-1] = nil
	*p = (*p)[:len(*p)-1]
}

// remember returns a record of m, and whether there is anything in it that must
// not be forgotten.
func (m *member) remember(now int64) (r record, must bool) {
	b := &m.Breaker
	b.mu.Lock()
	defer b.mu.Unlock()
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
		if until == record(never).until() {
			until = never
		}
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
