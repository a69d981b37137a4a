package statuspage

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// maxHealth bounds the circuits that a health document names.
const maxHealth = 100

// health is the answer to GET health. Its names are stable.
type health struct {
	At       time.Time             `json:"at"`
	States   map[breaker.State]int `json:"states"`
	All      *controlEvent         `json:"all,omitempty"`
	Circuits []unwell              `json:"circuits"`       // those that are not closed, the longest outage first
	More     int                   `json:"more,omitempty"` // how many of them are not listed
}

// unwell says of a circuit that is not closed who, since when, why, what the peer
// said, and what comes next.
type unwell struct {
	Key         string         `json:"key"`
	State       breaker.State  `json:"state"`
	Mode        breaker.Mode   `json:"mode"`
	Share       float64        `json:"share"`
	Since       time.Time      `json:"since"` // when it left Closed
	Reason      string         `json:"reason"`
	LastFailure string         `json:"last_failure,omitempty"`
	Origin      breaker.Origin `json:"origin"`
	Until       time.Time      `json:"until,omitzero"`
}

// health answers GET health: with 200 whatever the circuits are like. That
// another service is unwell is no fault of this one.
func (h *handler) health(w http.ResponseWriter, _ *http.Request) {
	doc := health{At: time.Now(), States: newStates(), All: h.all.Load(), Circuits: []unwell{}}
	for _, b := range h.set.All() {
		s := b.Snapshot()
		doc.States[s.State]++
		if s.State != breaker.Closed {
			doc.Circuits = append(doc.Circuits, unwell{
				Key: s.Key, State: s.State, Mode: s.Mode, Share: s.Share, Since: since(&s),
				Reason: s.Reason, LastFailure: s.LastFailure, Origin: s.Origin, Until: s.Until,
			})
		}
	}
	slices.SortFunc(doc.Circuits, func(a, b unwell) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Key, b.Key))
	})
	if doc.More = max(0, len(doc.Circuits)-maxHealth); doc.More > 0 {
		doc.Circuits = doc.Circuits[:maxHealth]
	}
	reply(w, http.StatusOK, doc)
}

// since returns when a circuit left Closed: when its outage began, or when it was
// forced open.
func since(s *breaker.Snapshot) time.Time {
	if s.OutageSince.IsZero() {
		return s.Since
	}
	return s.OutageSince
}

// newStates returns a count of circuits in which no state is missing.
func newStates() map[breaker.State]int {
	return map[breaker.State]int{breaker.Closed: 0, breaker.HalfOpen: 0, breaker.Open: 0}
}
