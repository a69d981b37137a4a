package fleet

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// Status is what one node knows of its fleet at one moment. Its JSON names are
// stable.
type Status struct {
	Fleet string `json:"fleet"`
	Node  string `json:"node"`
	// Reachable says whether the engine answers, Since from when on it does or
	// does not. Error is the last failure, however long ago.
	Reachable bool      `json:"reachable"`
	Since     time.Time `json:"since"`
	Error     string    `json:"error,omitempty"`
	// Listening says that events arrive. Without them, as where channels are
	// forbidden, the node asks each second; ListenError says why.
	Listening   bool   `json:"listening"`
	ListenError string `json:"listen_error,omitempty"`
	// Requests is how many exchanges there have been with the engine, Failed how
	// many of them failed, and Dropped how many notes were lost for want of room:
	// all since the start.
	Requests uint64 `json:"requests"`
	Failed   uint64 `json:"failed"`
	Dropped  uint64 `json:"dropped"`
	// Circuits are those in trouble, by key; the rest is well, for all that is
	// known.
	Circuits []Circuit `json:"circuits"`
	// Modes are those set for the fleet, by key.
	Modes []ModeStatus `json:"modes"`
}

// Circuit is what is shared of one circuit.
type Circuit struct {
	Key string `json:"key"`
	// Down says that the fleet has found the host down.
	Down bool `json:"down"`
	// Opinion is that of this node: "none", "good" or "bad".
	Opinion Opinion `json:"opinion"`
	// Bad, Good and Quiet are how many nodes were of which opinion when this node
	// last heard.
	Bad   int       `json:"bad"`
	Good  int       `json:"good"`
	Quiet int       `json:"quiet"`
	Heard time.Time `json:"heard,omitzero"`
}

// ModeStatus is a mode set for the fleet.
type ModeStatus struct {
	Key    string       `json:"key"` // empty: all circuits
	Mode   breaker.Mode `json:"mode"`
	Reason string       `json:"reason"`
	By     string       `json:"by,omitempty"`
	Until  time.Time    `json:"until"`
}

// String returns "none", "good" or "bad".
func (o Opinion) String() string {
	if o > Bad {
		o = None
	}
	return [...]string{"none", "good", "bad"}[o]
}

// MarshalText returns the name that String gives.
func (o Opinion) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// Status returns what this node knew when it last did something. It asks nobody.
func (f *Fleet) Status() Status {
	s := *f.status.Load()
	s.Circuits, s.Modes = slices.Clone(s.Circuits), slices.Clone(s.Modes)
	slices.SortFunc(s.Circuits, func(a, b Circuit) int { return cmp.Compare(a.Key, b.Key) })
	slices.SortFunc(s.Modes, func(a, b ModeStatus) int { return cmp.Compare(a.Key, b.Key) })
	s.Listening = f.listening.Load()
	if err := f.deaf.Load(); err != nil && !s.Listening {
		s.ListenError = (*err).Error()
	}
	f.box.mu.Lock()
	defer f.box.mu.Unlock()
	s.Dropped = f.box.dropped
	return s
}

// MarshalJSON returns the JSON of Status, so that a Fleet is all that the status
// page (statuspage.Options.Fleet) and the metrics (breakerprom.Options.Fleet) need.
func (f *Fleet) MarshalJSON() ([]byte, error) { return json.Marshal(f.Status()) }

// publish lets Status tell what the goroutine knows now.
func (f *Fleet) publish() {
	h := &f.health
	s := &Status{
		Fleet: f.opts.Fleet, Node: f.node,
		Reachable: !h.down, Since: h.since, Requests: h.requests, Failed: h.failed,
		Circuits: make([]Circuit, 0, len(f.troubles)), Modes: make([]ModeStatus, 0, len(f.modes.fleet)),
	}
	if h.err != nil {
		s.Error = h.err.Error()
	}
	for key, c := range f.troubles {
		v := c.verdict
		s.Circuits = append(s.Circuits, Circuit{
			Key: key, Down: v.Incident != 0, Opinion: c.opinion, Bad: v.Bad, Good: v.Good, Quiet: v.Quiet, Heard: c.heard,
		})
	}
	for key, m := range f.modes.fleet {
		s.Modes = append(s.Modes, ModeStatus{Key: key, Mode: m.Mode.Mode, Reason: m.Reason, By: m.By, Until: m.end})
	}
	f.status.Store(s)
}
