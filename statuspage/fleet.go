package statuspage

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// Fleet is a process's part in a fleet, whose processes share what their
// circuits learn: what New of contrib/breakerredis returns is one. Its methods
// are called concurrently.
type Fleet interface {
	// MarshalJSON returns what this process knows, without asking anybody: an
	// object that GET circuits passes on. The page shows these names of it, as
	// the status of contrib/breakerredis/fleet has them: fleet, reachable, since,
	// error, listening, listen_error, dropped; circuits, with key, down, heard,
	// bad, good, quiet; modes, with key, mode, reason, by, until.
	json.Marshaler
	// SetModeFor sets the mode of one circuit in every process of the fleet, or
	// of all circuits if key is "", for a time; Enforce ends it at once. An error
	// says that the fleet has not confirmed it.
	SetModeFor(ctx context.Context, key string, mode breaker.Mode, lasting time.Duration, reason, by string) error
}

// maxLasting is the longest time for which a mode of the fleet can be set.
const maxLasting = 30 * 24 * time.Hour

// fleet returns what is known of the fleet, or nil if there is none.
func (h *handler) fleet() json.RawMessage {
	if h.opts.Fleet == nil {
		return nil
	}
	text, err := json.Marshal(h.opts.Fleet)
	if err != nil {
		text, _ = json.Marshal(map[string]string{"error": err.Error()})
	}
	return text
}

// fleetMode answers POST fleet/mode, when all has been checked that it has in
// common with the other acts.
func (h *handler) fleetMode(w http.ResponseWriter, r *http.Request, mode breaker.Mode, reason string) {
	key, by := r.PostForm.Get("key"), h.operator(r)
	if !r.PostForm.Has("key") { // forgotten, it would mean everything everywhere
		fail(w, http.StatusBadRequest, `key is missing; want the key of a circuit, or an empty one for all circuits`)
		return
	}
	var lasting time.Duration
	if mode != breaker.Enforce {
		text := r.PostForm.Get("for")
		if lasting, _ = time.ParseDuration(text); lasting <= 0 || lasting > maxLasting {
			fail(w, http.StatusBadRequest, `for = %q; want a time of at most 720h, such as "1h30m": what is set for a fleet has an end`, text)
			return
		}
	}
	if err := h.opts.Fleet.SetModeFor(r.Context(), key, mode, lasting, reason, by); err != nil {
		fail(w, http.StatusBadGateway, "%v", err)
		return
	}
	answer := fleetModeAnswer{Key: key, Mode: mode, Reason: reason, By: by}
	if lasting > 0 {
		answer.Until = time.Now().Add(lasting)
	}
	reply(w, http.StatusOK, answer)
}

type fleetModeAnswer struct {
	Key    string       `json:"key"` // "": all circuits
	Mode   breaker.Mode `json:"mode"`
	Reason string       `json:"reason"`
	By     string       `json:"by,omitempty"`
	Until  time.Time    `json:"until,omitzero"`
}
