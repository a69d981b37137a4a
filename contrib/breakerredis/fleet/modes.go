package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

const maxText = 200

// Validate returns nil, or an error that names every bad field with its value
// and the rule that it breaks.
func (m Mode) Validate() error {
	var bad []error
	check := func(ok bool, field string, value any, rule string) {
		if !ok {
			bad = append(bad, fmt.Errorf("fleet: Mode.%s = %v; %s", field, value, rule))
		}
	}
	check(len(m.Key) <= MaxKey, "Key", fmt.Sprintf("%.20q…", m.Key), fmt.Sprintf("want at most %d bytes", MaxKey))
	check(m.Mode <= breaker.Disabled, "Mode", m.Mode, "want enforce, observe, force-open or disabled")
	if m.Mode != breaker.Enforce {
		check(m.For > 0 && m.For <= MaxModeFor, "For", m.For, "want a time of at most 30 days: what is set for a fleet has an end")
		check(strings.TrimSpace(m.Reason) != "", "Reason", fmt.Sprintf("%q", m.Reason), "want a reason")
	}
	return errors.Join(bad...)
}

// SetMode sets a mode for one circuit of every node, or for all circuits, those
// to come included, until it ends; Enforce ends it at once. The mode of one
// circuit goes before the mode of all. When it ends, each circuit gets back the
// mode that it had, unless somebody has set another one on that node.
//
// If the engine does not confirm it, the error says so. No node, this one included,
// has then changed anything, unless the way back broke just after the engine had
// taken it: Status shows what is in force. Nodes that the engine cannot reach
// follow when it can, within a minute.
func (f *Fleet) SetMode(ctx context.Context, m Mode) error {
	if err := m.Validate(); err != nil {
		return err
	}
	m.Reason, m.By = cut(m.Reason), cut(m.By)
	ctx, cancel := context.WithTimeout(ctx, f.opts.Timeout)
	defer cancel()
	if err := f.engine.SetMode(ctx, m); err != nil {
		return fmt.Errorf("fleet: no confirmation that the mode was set: %w", err)
	}
	f.box.put("", noteOwn)
	return nil
}

// SetModeFor is SetMode with the fields of a [Mode] as arguments, as the status
// page calls it.
func (f *Fleet) SetModeFor(ctx context.Context, key string, mode breaker.Mode, lasting time.Duration, reason, by string) error {
	return f.SetMode(ctx, Mode{Key: key, Mode: mode, Reason: reason, By: by, For: lasting})
}

// cut returns at most maxText bytes of valid UTF-8.
func cut(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
		for i := 0; i < utf8.UTFMax && !utf8.ValidString(s); i++ {
			s = s[:len(s)-1]
		}
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// modes are those of the fleet as this node has applied them.
type modes struct {
	fleet   map[string]modeEnd // by key; "" for all
	applied map[string]applied
}

type modeEnd struct {
	Mode
	end time.Time
}

// text is the reason that people read at the circuit.
func (m modeEnd) text() string {
	text := m.Reason
	if m.By != "" {
		text += ", by " + m.By
	}
	return text + ", for the fleet until " + m.end.UTC().Format("2006-01-02 15:04:05 MST")
}

// applied is what was done to one circuit.
type applied struct {
	mode, before breaker.Mode
	reason       string
}

func (m *modes) any() bool { return len(m.fleet) > 0 }

// set replaces the modes of the fleet.
func (m *modes) set(now time.Time, list []Mode, set *breaker.Set) {
	next := map[string]modeEnd{}
	for _, one := range list {
		if one.Validate() != nil || one.Mode == breaker.Enforce {
			continue
		}
		one.Reason, one.By = cut(one.Reason), cut(one.By)
		e := modeEnd{one, now.Add(one.For)}
		if had, ok := m.fleet[one.Key]; ok && had.Mode.Mode == one.Mode && had.Reason == one.Reason && had.By == one.By &&
			had.end.Sub(e.end).Abs() < time.Second {
			e = had // the same, whatever the way has taken
		}
		next[one.Key] = e
	}
	if maps.Equal(next, m.fleet) {
		return
	}
	m.fleet = next
	m.apply(set)
}

// expire ends what is over, and returns when the next one will be.
func (m *modes) expire(now time.Time, set *breaker.Set) time.Time {
	next := now.Add(MaxModeFor)
	ended := false
	for key, e := range m.fleet {
		if !e.end.After(now) {
			delete(m.fleet, key)
			ended = true
		} else if e.end.Before(next) {
			next = e.end
		}
	}
	if ended {
		m.apply(set)
	}
	return next
}

// apply brings every circuit to what it should be.
func (m *modes) apply(set *breaker.Set) {
	for _, key := range slices.Collect(maps.Keys(m.applied)) {
		m.one(key, set)
	}
	if m.any() {
		for key := range set.All() {
			m.one(key, set)
		}
	}
}

func (m *modes) added(key string, set *breaker.Set) {
	if m.any() {
		m.one(key, set)
	}
}

// one brings one circuit to what it should be.
func (m *modes) one(key string, set *breaker.Set) {
	want, ok := m.fleet[key]
	if !ok {
		want, ok = m.fleet[""]
	}
	did, was := m.applied[key]
	b, there := set.Lookup(key)
	if !there {
		if ok || !was {
			return
		}
		b = set.Get(key) // what the set remembers of it has the mode, too
	}
	s := b.Snapshot()
	before := s.Mode
	if was {
		ours := s.Mode == did.mode
		if !ours && !ok {
			delete(m.applied, key) // somebody has set another one here
			return
		}
		before = did.before
		if !ok {
			delete(m.applied, key)
			b.SetMode(before, "the mode set for the fleet has ended")
			return
		}
		if did.reason == want.text() {
			return
		}
	} else if !ok {
		return
	}
	if m.applied == nil {
		m.applied = map[string]applied{}
	}
	m.applied[key] = applied{want.Mode.Mode, before, want.text()}
	b.SetMode(want.Mode.Mode, want.text())
}

// end takes everything back.
func (m *modes) end(set *breaker.Set) {
	clear(m.fleet)
	m.apply(set)
}
