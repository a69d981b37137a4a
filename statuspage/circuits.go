package statuspage

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// document is the answer to GET circuits. Its names are stable.
type document struct {
	At       time.Time       `json:"at"` // the server's clock, to count down by
	Set      breaker.Stats   `json:"set"`
	Sums     sums            `json:"sums"`            // of all circuits, whatever was asked for
	All      *controlEvent   `json:"all,omitempty"`   // the mode that all circuits were set to, if it is not Enforce
	Fleet    json.RawMessage `json:"fleet,omitempty"` // of Options.Fleet
	Matching int             `json:"matching"`        // circuits that were asked for, those past the limit included
	Circuits []entry         `json:"circuits"`
}

// sums are over all circuits.
type sums struct {
	States       map[breaker.State]int `json:"states"`
	NotEnforcing int                   `json:"not_enforcing"`
	InFlight     int                   `json:"in_flight"`
	Rejected     uint64                `json:"rejected"`
}

// entry is one circuit; the past is what the handler has seen of it.
type entry struct {
	breaker.Snapshot
	past
}

func (s *sums) add(c *breaker.Snapshot) {
	s.States[c.State]++
	s.InFlight += c.InFlight
	s.Rejected += c.Totals.Rejected
	if c.Mode != breaker.Enforce {
		s.NotEnforcing++
	}
}

func (h *handler) circuits(w http.ResponseWriter, r *http.Request) {
	wanted, err := parseSelection(r.URL.Query())
	if err != nil {
		fail(w, http.StatusBadRequest, "%v", err)
		return
	}
	doc := document{
		At: time.Now(), Set: h.set.Stats(), Sums: sums{States: newStates()}, All: h.all.Load(), Fleet: h.fleet(), Circuits: []entry{},
	}
	var list []*breaker.Snapshot
	for _, b := range h.set.All() {
		s := b.Snapshot()
		doc.Sums.add(&s)
		if wanted.has(&s) {
			list = append(list, &s)
		}
	}
	doc.Matching = len(list)
	for _, s := range wanted.first(list) {
		e := entry{Snapshot: *s}
		if wanted.history {
			e.past = h.histories.seen(s)
		}
		doc.Circuits = append(doc.Circuits, e)
	}
	reply(w, http.StatusOK, doc)
}

func (h *handler) circuit(w http.ResponseWriter, escapedKey string) {
	b, ok := h.lookup(w, escapedKey)
	if !ok {
		return
	}
	s := b.Snapshot()
	reply(w, http.StatusOK, entry{s, h.histories.seen(&s)})
}

// lookup finds the breaker of a key that was escaped in a path, or answers the
// request. A proxy in front may have unescaped the key's slashes.
func (h *handler) lookup(w http.ResponseWriter, escapedKey string) (*breaker.Breaker, bool) {
	key, _ := url.PathUnescape(escapedKey) // cannot fail: it comes from URL.EscapedPath
	b, ok := h.set.Lookup(key)
	if !ok && h.opts.Control != nil && (strings.HasSuffix(escapedKey, "/mode") || strings.HasSuffix(escapedKey, "/reset")) {
		methodNotAllowed(w, "POST")
		return nil, false
	}
	if !ok {
		fail(w, http.StatusNotFound, "no circuit %q", key)
	}
	return b, ok
}

// selection is which circuits a request asks for, and in which order.
type selection struct {
	states  []breaker.State // nil: all
	modes   []breaker.Mode  // nil: all
	words   []string
	value   func(*breaker.Snapshot) float64 // nil: in the order of the keys alone
	limit   int                             // 0: none
	history bool
}

var sorts = map[string]func(*breaker.Snapshot) float64{
	"key":       func(*breaker.Snapshot) float64 { return 0 },
	"rate":      func(s *breaker.Snapshot) float64 { return s.Counts.FailureRate() },
	"in_flight": func(s *breaker.Snapshot) float64 { return float64(s.InFlight) },
	"rejected":  func(s *breaker.Snapshot) float64 { return float64(s.Totals.Rejected) },
	"opened":    func(s *breaker.Snapshot) float64 { return float64(s.Totals.Opened) },
}

func parseSelection(query url.Values) (wanted selection, err error) {
	for _, name := range query["state"] {
		var s breaker.State
		if s.UnmarshalText([]byte(name)) != nil {
			return wanted, fmt.Errorf(`state = %q; want "closed", "open" or "half-open"`, name)
		}
		wanted.states = append(wanted.states, s)
	}
	for _, name := range query["mode"] {
		var m breaker.Mode
		if m.UnmarshalText([]byte(name)) != nil {
			return wanted, fmt.Errorf(`mode = %q; want "enforce", "observe", "force-open" or "disabled"`, name)
		}
		wanted.modes = append(wanted.modes, m)
	}
	wanted.words = strings.Fields(strings.ToLower(query.Get("filter")))
	if name := query.Get("sort"); name != "" {
		if wanted.value = sorts[name]; wanted.value == nil {
			return wanted, fmt.Errorf(`sort = %q; want "key", "rate", "in_flight", "rejected" or "opened"`, name)
		}
	}
	if text := query.Get("limit"); text != "" {
		if wanted.limit, err = strconv.Atoi(text); err != nil || wanted.limit < 1 {
			return wanted, fmt.Errorf("limit = %q; want a number of circuits, at least 1", text)
		}
	}
	wanted.history = query.Has("history")
	return wanted, nil
}

// has reports whether a circuit is asked for.
func (w *selection) has(s *breaker.Snapshot) bool {
	if w.states != nil && !slices.Contains(w.states, s.State) || w.modes != nil && !slices.Contains(w.modes, s.Mode) {
		return false
	}
	if len(w.words) == 0 {
		return true
	}
	text := strings.ToLower(visible(s.Key) + " " + visible(s.Reason) + " " + visible(s.LastFailure) + " " + s.Mode.String())
	return !slices.ContainsFunc(w.words, func(word string) bool { return !strings.Contains(text, word) })
}

// first sorts what was asked for, and cuts it to the limit. With a sort of its
// own, what is in trouble comes first.
func (w *selection) first(list []*breaker.Snapshot) []*breaker.Snapshot {
	slices.SortFunc(list, func(a, b *breaker.Snapshot) int {
		if w.value == nil {
			return cmp.Compare(a.Key, b.Key)
		}
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(w.value(b), w.value(a)), cmp.Compare(a.Key, b.Key))
	})
	if w.limit > 0 {
		list = list[:min(w.limit, len(list))]
	}
	return list
}

// rank orders circuits by how much they matter: open, half-open, closed in a mode
// that somebody has set, closed.
func rank(s *breaker.Snapshot) int {
	switch {
	case s.State == breaker.Open:
		return 0
	case s.State == breaker.HalfOpen:
		return 1
	case s.Mode != breaker.Enforce:
		return 2
	default:
		return 3
	}
}
