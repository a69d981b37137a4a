package statuspage

import (
	"math"
	"strings"
	"sync"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

const (
	historyStep  = 3 * time.Second
	historySlots = 100  // five minutes
	historyKeys  = 1000 // at some 400 bytes each
	sampleEvery  = time.Second

	noRate       = math.MaxUint8 // no calls, or not known
	noState      = '.'
	stateLetters = "coh"  // by breaker.State
	stateOrder   = ".cho" // from the least to the worst
)

// histories keep the last five minutes of circuits that have failed in them, so
// that the page shows what led to an alert to those who come after it, too.
//
// Nothing runs for it: a circuit is looked at when a call has failed, when its
// state has changed, and when somebody looks at the page. Most circuits have no
// history, and calls that succeed cost nothing.
type histories struct {
	set   *breaker.Set
	start time.Time

	mu    sync.Mutex
	byKey map[string]*history
	full  int64 // the slot in which no room was found
}

// history is the past of one circuit, in slots of three seconds. Slot n is at n
// modulo historySlots.
type history struct {
	newest   int64               // number of the newest slot
	rates    [historySlots]uint8 // the highest failure rate in percent, or noRate
	states   [historySlots]byte  // the worst state, as a letter
	state    breaker.State       // that of now
	sampled  time.Time           // when its rate was last looked at because of a failure
	trouble  int64               // the last slot in which it failed or changed its state
	openedOn *breaker.Counts     // what the present outage began with; nil if that was not seen
}

// past is a history as it is told; empty if there is none.
type past struct {
	OpenedOn *breaker.Counts `json:"opened_on,omitempty"`
	History  *slots          `json:"history,omitempty"`
}

// slots are at most 100, of which the last is that of now.
type slots struct {
	Step   time.Duration `json:"step_ns"`
	Rates  []int         `json:"rates"`  // highest failure rate in percent; -1: no calls, or not known
	States string        `json:"states"` // worst state: c, h, o for closed, half-open, open; . where it is not known
}

func newHistories(set *breaker.Set) *histories {
	return &histories{set: set, start: time.Now(), byKey: make(map[string]*history)}
}

// slot returns the number of a time's slot. Times before the handler was made
// have one as well.
func (hs *histories) slot(t time.Time) int64 {
	return max(0, historySlots+int64(t.Sub(hs.start)/historyStep))
}

// failed notes that a call has failed. At most once a second it looks at the
// circuit.
func (hs *histories) failed(c breaker.Call) {
	now := time.Now()
	hs.mu.Lock()
	h := hs.get(c.Key, now)
	due := h != nil && now.Sub(h.sampled) >= sampleEvery
	if due {
		h.sampled, h.trouble = now, hs.slot(now)
	}
	hs.mu.Unlock()
	if !due {
		return
	}
	if b, ok := hs.set.Lookup(c.Key); ok {
		s := b.Snapshot()
		hs.mu.Lock()
		defer hs.mu.Unlock()
		h.sample(hs.slot(now), &s)
	}
}

// stateChanged notes a transition.
func (hs *histories) stateChanged(t breaker.Transition) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	h := hs.get(t.Key, t.At)
	if h == nil {
		return
	}
	at := hs.slot(t.At)
	h.was(t.From, hs.slot(t.Since), at)
	h.was(t.To, at, max(at, h.newest))
	h.state, h.trouble = t.To, at
	switch closed := breaker.Closed; {
	case t.From == closed:
		h.openedOn = &t.Counts
	case t.To == closed:
		h.openedOn = nil
	}
}

// seen notes a snapshot that somebody looks at, and returns the circuit's past:
// nothing if there is no room for it.
func (hs *histories) seen(s *breaker.Snapshot) past {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	now := time.Now()
	h := hs.get(s.Key, now)
	if h == nil {
		return past{}
	}
	h.was(s.State, hs.slot(s.Since), hs.slot(now))
	h.sample(hs.slot(now), s)
	return h.past()
}

// get returns the history of a key. It is made if there is room, or if one can
// go: of a circuit that has neither failed nor changed its state for five minutes.
func (hs *histories) get(key string, now time.Time) *history {
	if h := hs.byKey[key]; h != nil {
		return h
	}
	slot := hs.slot(now)
	if len(hs.byKey) >= historyKeys {
		if slot == hs.full {
			return nil // so that a flood of keys does not look again for each
		}
		for k, h := range hs.byKey {
			if h.trouble <= slot-historySlots {
				delete(hs.byKey, k)
			}
		}
		if len(hs.byKey) >= historyKeys {
			hs.full = slot
			return nil
		}
	}
	h := &history{newest: slot}
	for i := range historySlots {
		h.rates[i], h.states[i] = noRate, noState
	}
	hs.byKey[key] = h
	return h
}

// advance goes on to a slot, in the state that it had.
func (h *history) advance(slot int64) {
	for n := max(h.newest+1, slot-historySlots+1); n <= slot; n++ {
		h.rates[n%historySlots] = noRate
		h.states[n%historySlots] = stateLetters[h.state]
	}
	h.newest = max(h.newest, slot)
}

// was notes that a circuit was in a state from one slot to another. Of several in
// one slot the worst is kept.
func (h *history) was(state breaker.State, from, to int64) {
	h.advance(to)
	for n := max(from, h.newest-historySlots+1); n <= to; n++ {
		at := &h.states[n%historySlots]
		if letter := stateLetters[state]; strings.IndexByte(stateOrder, letter) > strings.IndexByte(stateOrder, *at) {
			*at = letter
		}
	}
}

func (h *history) sample(slot int64, s *breaker.Snapshot) {
	h.state = s.State
	h.was(s.State, slot, slot)
	if s.State == breaker.Open || s.Counts.Calls == 0 || slot <= h.newest-historySlots {
		return
	}
	rate := uint8(math.Ceil(s.Counts.FailureRate() * 100))
	if at := &h.rates[slot%historySlots]; *at == noRate || rate > *at {
		*at = rate
	}
}

func (h *history) past() past {
	p := slots{Step: historyStep}
	var states strings.Builder
	for n := max(0, h.newest-historySlots+1); n <= h.newest; n++ {
		i := n % historySlots
		if states.Len() == 0 && h.states[i] == noState {
			continue // begin with what is known
		}
		rate := int(h.rates[i])
		if rate == noRate {
			rate = -1
		}
		p.Rates = append(p.Rates, rate)
		states.WriteByte(h.states[i])
	}
	p.States = states.String()
	return past{h.openedOn, &p}
}
