package statuspage

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// document is the answer to GET circuits. Its names are stable.
type document struct {
	At       time.Time          `json:"at"` // the server's clock, to count down by
	Set      stats              `json:"set"`
	Circuits []breaker.Snapshot `json:"circuits"`
}

// stats is breaker.Stats.
type stats struct {
	Keys      int    `json:"keys"`
	Records   int    `json:"records"`
	Evicted   uint64 `json:"evicted"`
	Demoted   uint64 `json:"demoted"`
	Forgotten uint64 `json:"forgotten"`
}

func (h *handler) circuits(w http.ResponseWriter, r *http.Request) {
	var wanted []breaker.State
	for _, name := range r.URL.Query()["state"] {
		var s breaker.State
		if err := s.UnmarshalText([]byte(name)); err != nil {
			fail(w, http.StatusBadRequest, `state = %q; want "closed", "open" or "half-open"`, name)
			return
		}
		wanted = append(wanted, s)
	}
	doc := document{At: time.Now(), Set: stats(h.set.Stats()), Circuits: make([]breaker.Snapshot, 0, h.set.Len())}
	for _, b := range h.set.All() {
		s := b.Snapshot()
		if wanted == nil || slices.Contains(wanted, s.State) {
			doc.Circuits = append(doc.Circuits, s)
		}
	}
	slices.SortFunc(doc.Circuits, func(a, b breaker.Snapshot) int { return cmp.Compare(a.Key, b.Key) })
	reply(w, http.StatusOK, doc)
}

func (h *handler) circuit(w http.ResponseWriter, escapedKey string) {
	b, ok := h.lookup(w, escapedKey)
	if !ok {
		return
	}
	reply(w, http.StatusOK, b.Snapshot())
}

// lookup finds the breaker of a key that was escaped in a path, or answers the
// request. A proxy in front may have unescaped the key's slashes.
func (h *handler) lookup(w http.ResponseWriter, escapedKey string) (*breaker.Breaker, bool) {
	key, err := url.PathUnescape(escapedKey)
	if err != nil {
		fail(w, http.StatusBadRequest, "key = %q; want a path-escaped key", escapedKey)
		return nil, false
	}
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
