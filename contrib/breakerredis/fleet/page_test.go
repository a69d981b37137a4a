package fleet_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerredis/fleet"
	"github.com/seed-0b728cf8/httpbreaker/statuspage"
)

// page is the status page of a node, for an operator named alice.
type page struct {
	*rig
	http.Handler
}

func (r *rig) page(n *node) page {
	return page{r, statuspage.New(n.set, &statuspage.Options{
		Fleet:    n.Fleet,
		Control:  func(*http.Request) bool { return true },
		Operator: func(*http.Request) string { return "alice" },
	})}
}

// fleet returns what the page says of the fleet.
func (p page) fleet() (f struct {
	Fleet, Error         string
	Reachable, Listening bool
	Since                time.Time
	Circuits             []struct {
		Key              string
		Down             bool
		Opinion          string
		Bad, Good, Quiet int
	}
	Modes []struct {
		Key, Mode, Reason, By string
		Until                 time.Time
	}
}) {
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest("GET", "/circuits", nil))
	require.Equal(p.t, 200, w.Code)
	doc := struct{ Fleet any }{&f}
	require.NoError(p.t, json.Unmarshal(w.Body.Bytes(), &doc))
	return f
}

func (p page) post(pairs url.Values) (status int, answer string) {
	r := httptest.NewRequest("POST", "/fleet/mode", strings.NewReader(pairs.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestTheStatusPageShowsTheFleet(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(5)
		p := r.page(r.nodes[4])
		r.nodes[4].rate = 0
		r.run(time.Second)
		f := p.fleet()
		assert.Equal(t, "test", f.Fleet)
		assert.True(t, f.Reachable)
		assert.True(t, f.Listening)
		assert.Empty(t, f.Circuits)

		setUp(false, r.nodes...)
		r.runUntil(10*time.Second, "all are open", isOpen)
		r.run(5 * time.Second)
		f = p.fleet()
		require.Len(t, f.Circuits, 1)
		c := f.Circuits[0]
		assert.Equal(t, host, c.Key)
		assert.True(t, c.Down)
		assert.Equal(t, "none", c.Opinion, "it makes no call")
		assert.GreaterOrEqual(t, c.Bad, 3)
		assert.Zero(t, c.Good)
		assert.Equal(t, 5, c.Bad+c.Quiet)

		r.nodes[4].link.set(fleet.ErrFrozen)
		lost := time.Now()
		r.run(10 * time.Second)
		f = p.fleet()
		assert.False(t, f.Reachable)
		assert.WithinDuration(t, lost, f.Since, 5*time.Second)
		assert.Contains(t, f.Error, "deadline exceeded")
	})
}

// The status page and the metrics read these names.
func TestTheNamesOfTheStatusAreStable(t *testing.T) {
	at := time.Date(2026, 5, 1, 3, 0, 4, 0, time.UTC)
	text, err := json.Marshal(fleet.Status{
		Fleet: "checkout", Node: "n", Reachable: true, Since: at, Error: "refused", Listening: true, ListenError: "NOPERM",
		Requests: 7, Failed: 2, Dropped: 1,
		Circuits: []fleet.Circuit{{Key: host, Down: true, Opinion: fleet.Bad, Bad: 3, Good: 1, Quiet: 2, Heard: at}},
		Modes:    []fleet.ModeStatus{{Key: host, Mode: breaker.ForceOpen, Reason: "maintenance", By: "alice", Until: at}},
	})
	require.NoError(t, err)
	assert.JSONEq(t, `{"fleet": "checkout", "node": "n", "reachable": true, "since": "2026-05-01T03:00:04Z", "error": "refused",
		"listening": true, "listen_error": "NOPERM", "requests": 7, "failed": 2, "dropped": 1,
		"circuits": [{"key": "api.example.com", "down": true, "opinion": "bad", "bad": 3, "good": 1, "quiet": 2, "heard": "2026-05-01T03:00:04Z"}],
		"modes": [{"key": "api.example.com", "mode": "force-open", "reason": "maintenance", "by": "alice", "until": "2026-05-01T03:00:04Z"}]}`, string(text))
}

func TestTheStatusPageSetsAModeForTheFleet(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(3)
		r.run(time.Second)
		p := r.page(r.nodes[0])
		form := url.Values{"key": {host}, "mode": {"force-open"}, "reason": {"maintenance"}, "for": {"1h"}}
		status, answer := p.post(form)
		require.Equal(t, 200, status, answer)
		r.run(time.Second)
		for _, n := range r.nodes {
			assert.Equal(t, breaker.ForceOpen, n.snapshot().Mode)
			assert.Contains(t, n.snapshot().Reason, "maintenance, by alice, for the fleet until 2000-01-01 01:00:0")
		}
		m := r.page(r.nodes[1]).fleet().Modes
		require.Len(t, m, 1)
		assert.Equal(t, []string{host, "force-open", "maintenance", "alice"}, []string{m[0].Key, m[0].Mode, m[0].Reason, m[0].By})
		assert.WithinDuration(t, time.Now().Add(time.Hour), m[0].Until, 5*time.Second)

		r.nodes[0].link.set(fleet.ErrFrozen)
		form.Set("mode", "enforce")
		status, answer = p.post(form)
		assert.Equal(t, 502, status)
		assert.Contains(t, answer, "no confirmation that the mode was set")
		r.nodes[0].link.set(nil)
		r.run(10 * time.Second)
		assert.Equal(t, breaker.ForceOpen, r.nodes[2].snapshot().Mode)
		status, answer = p.post(form)
		require.Equal(t, 200, status, answer)
		r.run(time.Second)
		assert.Equal(t, breaker.Enforce, r.nodes[2].snapshot().Mode)
	})
}
