// Package meter reads a [breaker.Set] for metrics. It is what the Prometheus
// and the OpenTelemetry integration have in common: how many keys get series of
// their own, which ones, and what is counted where.
//
// It looks at the set only when it is read, so the path of a request costs the
// same with it and without.
package meter

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

const (
	// Other is the label of all keys that have no series of their own. No key's
	// own label is equal to it.
	Other = "other"

	// DefaultMaxKeys is how many keys get series of their own by default.
	DefaultMaxKeys = 100
)

// Meter reads one set again and again. It is safe for concurrent use, and any
// number of readers may share it.
type Meter struct {
	set     *breaker.Set
	maxKeys int

	mu       sync.Mutex
	round    uint64
	accounts map[string]*account
	other    breaker.Totals
	hasOther bool
}

// account follows one key from one reading to the next.
type account struct {
	key     string
	breaker *breaker.Breaker
	seen    breaker.Totals // all that has been credited, here or to Other
	own     breaker.Totals // credited to the key's own series
	named   bool           // has series of its own
	notable uint64         // the last round in which somebody should look at it
	round   uint64         // the last round in which it was in the set
}

// Reading is a set at one moment.
type Reading struct {
	// Circuits are those with series of their own, in the order of their labels:
	// the Prometheus client sorts what is in order in a fraction of the time.
	Circuits []Circuit
	// Other is all the rest as one; only its InFlight, Answered and Totals are
	// set. It is nil until there has been a key without series of its own.
	Other *Circuit
	// States is how many circuits are in each state, indexed by it, those
	// without series of their own included.
	States [3]int
	// Stats are the set's own numbers.
	Stats breaker.Stats
}

// Circuit is one circuit at one moment. Totals hold what was counted while the
// key had series of its own; the rest of it stands in Other.
type Circuit struct {
	Label string
	breaker.Snapshot
}

// New returns a Meter that gives series of their own to at most maxKeys keys:
// zero means [DefaultMaxKeys], a negative number no bound.
func New(set *breaker.Set, maxKeys int) *Meter {
	switch {
	case maxKeys == 0:
		maxKeys = DefaultMaxKeys
	case maxKeys < 0:
		maxKeys = math.MaxInt
	}
	return &Meter{set: set, maxKeys: maxKeys, accounts: make(map[string]*account)}
}

// row is what one reading finds out about one key.
type row struct {
	*account
	now     breaker.Snapshot
	counted bool // what it has grown by may be shown under its own name
}

// Read reads the set. What a call counts for is added to exactly one series and
// never taken out again, so every total only ever grows, and their sum is right
// even when keys come and go between Other and series of their own. What a
// breaker counted between the last reading and its removal is lost.
func (m *Meter) Read() Reading {
	m.mu.Lock()
	defer m.mu.Unlock()

	m.round++
	rows := make([]row, 0, m.set.Len())
	reading := Reading{Stats: m.set.Stats()}
	for key, b := range m.set.All() {
		r := m.look(key, b)
		rows = append(rows, r)
		reading.States[r.now.State]++
	}
	for key, a := range m.accounts {
		if a.round != m.round {
			delete(m.accounts, key)
		}
	}
	m.assign(rows)

	var inFlight, answered int
	for _, r := range rows {
		grown := minus(r.now.Totals, r.seen)
		r.seen = r.now.Totals
		if r.named && r.counted {
			r.own = plus(r.own, grown)
		} else {
			m.other = plus(m.other, grown)
		}
		if !r.named {
			m.hasOther = true
			inFlight += r.now.InFlight
			answered += r.now.Answered
			continue
		}
		c := Circuit{Label: Label(r.key), Snapshot: r.now}
		c.Totals = r.own
		reading.Circuits = append(reading.Circuits, c)
	}
	slices.SortFunc(reading.Circuits, func(a, b Circuit) int { return cmp.Compare(a.Label, b.Label) })
	if m.hasOther {
		reading.Other = &Circuit{
			Label:    Other,
			Snapshot: breaker.Snapshot{InFlight: inFlight, Answered: answered, Totals: m.other},
		}
	}
	return reading
}

// look takes a snapshot of b and finds or opens its account.
func (m *Meter) look(key string, b *breaker.Breaker) row {
	a := m.accounts[key]
	fresh := a == nil
	if fresh {
		a = &account{key: key, breaker: b}
		m.accounts[key] = a
	}
	if a.breaker != b { // removed and made again: it counts from zero
		a.breaker, a.seen = b, breaker.Totals{}
	}
	r := row{account: a, now: b.Snapshot(), counted: fresh || a.named}
	a.round = m.round
	if notable(r.now) {
		a.notable = m.round
	}
	return r
}

// notable reports whether somebody should be able to look at this very circuit:
// it is not closed, or an operator has taken it into their own hands.
func notable(s breaker.Snapshot) bool {
	return s.State != breaker.Closed || s.Mode == breaker.ForceOpen || s.Mode == breaker.Disabled
}

// assign decides who has series of their own. Who has them keeps them, until
// the key is removed or a notable one needs the place: then the one goes that
// has been quiet for the longest time. Free places go to notable keys, and
// after them to the busiest.
func (m *Meter) assign(rows []row) {
	free := m.maxKeys
	for _, r := range rows {
		if r.named {
			free--
		}
	}
	var waiting, quiet []row
	for _, r := range rows {
		switch isNotable := r.notable == m.round; {
		case !r.named && (isNotable || free > 0):
			waiting = append(waiting, r)
		case r.named && !isNotable:
			quiet = append(quiet, r)
		}
	}
	if len(waiting) > free {
		slices.SortFunc(waiting, func(a, b row) int {
			return cmp.Or(
				cmp.Compare(b.notable, a.notable),
				cmp.Compare(calls(b.now.Totals), calls(a.now.Totals)),
				cmp.Compare(a.key, b.key))
		})
		slices.SortFunc(quiet, func(a, b row) int {
			return cmp.Or(
				cmp.Compare(a.notable, b.notable),
				cmp.Compare(calls(a.now.Totals), calls(b.now.Totals)),
				cmp.Compare(a.key, b.key))
		})
	}
	for _, r := range waiting {
		switch {
		case free > 0:
			free--
		case r.notable == m.round && len(quiet) > 0:
			quiet[0].named = false
			quiet = quiet[1:]
		default:
			return
		}
		r.named = true
	}
}

// Label returns the value by which metrics call a key: the key itself, or the
// key as a quoted Go string if it is not UTF-8, which would break a whole
// scrape or export, if it is empty, or if it could be taken for another label.
// Different keys have different labels.
func Label(key string) string {
	if key == "" || key == Other || strings.HasPrefix(key, `"`) || !utf8.ValidString(key) {
		return strconv.Quote(key)
	}
	return key
}

func calls(t breaker.Totals) uint64 {
	return t.Successes + t.Failures + t.Ignored + t.Late + t.Rejected
}

func plus(a, b breaker.Totals) breaker.Totals {
	a.Successes += b.Successes
	a.Failures += b.Failures
	a.Ignored += b.Ignored
	a.Slow += b.Slow
	a.Late += b.Late
	a.Rejected += b.Rejected
	a.Opened += b.Opened
	a.OpenTime += b.OpenTime
	return a
}

func minus(a, b breaker.Totals) breaker.Totals {
	a.Successes -= b.Successes
	a.Failures -= b.Failures
	a.Ignored -= b.Ignored
	a.Slow -= b.Slow
	a.Late -= b.Late
	a.Rejected -= b.Rejected
	a.Opened -= b.Opened
	a.OpenTime -= b.OpenTime
	return a
}
