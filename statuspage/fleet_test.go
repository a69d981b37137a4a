package statuspage

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// sharing is a Fleet that takes down what it is told.
type sharing struct {
	status string
	err    error

	key        string
	mode       breaker.Mode
	lasting    time.Duration
	reason, by string
	called     int
}

func (s *sharing) MarshalJSON() ([]byte, error) {
	if s.status == "" {
		return nil, s.err
	}
	return []byte(s.status), nil
}

func (s *sharing) SetModeFor(_ context.Context, key string, mode breaker.Mode, lasting time.Duration, reason, by string) error {
	s.called++
	s.key, s.mode, s.lasting, s.reason, s.by = key, mode, lasting, reason, by
	return s.err
}

func TestTheFleetIsPassedOn(t *testing.T) {
	f := &sharing{status: `{"fleet": "checkout", "reachable": true, "new": [1, 2]}`}
	set := newSet("a")
	assert.JSONEq(t, f.status, string(decode[document](t, get(New(set, &Options{Fleet: f}), "/circuits")).Fleet))
	assert.NotContains(t, get(New(set, nil), "/circuits").Body.String(), "fleet\"")
	assert.Contains(t, get(New(set, &Options{Fleet: f, Control: allow}), "/").Body.String(), `value="fleet"`)
	assert.NotContains(t, get(New(set, &Options{Fleet: f}), "/").Body.String(), `value="fleet"`)
	assert.NotContains(t, get(New(set, &Options{Control: allow}), "/").Body.String(), `value="fleet"`)
}

// What the fleet cannot tell spoils nothing else.
func TestAFleetWithoutAStatus(t *testing.T) {
	for _, f := range []*sharing{{err: errors.New("oops")}, {status: "no JSON"}} {
		doc := decode[document](t, get(New(newSet("a"), &Options{Fleet: f}), "/circuits"))
		assert.Equal(t, []string{"a"}, keysOf(doc))
		var told struct{ Error string }
		assert.NoError(t, json.Unmarshal(doc.Fleet, &told))
		assert.NotEmpty(t, told.Error)
	}
}

func TestSetModeOfTheFleet(t *testing.T) {
	f := &sharing{status: "{}"}
	set := newSet("a")
	h := New(set, &Options{Control: allow, Fleet: f, Operator: func(*http.Request) string { return "alice" }})
	w := send(h, "POST", "/fleet/mode", form("key", "GET a/b c?", "mode", "force-open", "reason", " maintenance ", "for", "90m"))
	assert.Equal(t, 200, w.Code, w.Body)
	answer := decode[fleetModeAnswer](t, w)
	assert.WithinDuration(t, time.Now().Add(90*time.Minute), answer.Until, time.Minute)
	answer.Until = time.Time{}
	assert.Equal(t, fleetModeAnswer{Key: "GET a/b c?", Mode: breaker.ForceOpen, Reason: "maintenance", By: "alice"}, answer)
	assert.Equal(t, sharing{status: "{}", key: "GET a/b c?", mode: breaker.ForceOpen, lasting: 90 * time.Minute,
		reason: "maintenance", by: "alice", called: 1}, *f)
	assert.Equal(t, breaker.Enforce, set.Get("a").Snapshot().Mode, "it is the fleet that acts")

	send(h, "POST", "/fleet/mode", form("key", "", "mode", "observe", "reason", "test", "for", "720h"))
	assert.Equal(t, maxLasting, f.lasting, "the longest")

	w = send(h, "POST", "/fleet/mode", form("key", "", "mode", "enforce", "reason", "done"))
	assert.Equal(t, 200, w.Code, w.Body)
	assert.JSONEq(t, `{"key": "", "mode": "enforce", "reason": "done", "by": "alice"}`, w.Body.String())
	assert.Zero(t, f.lasting)
}

func TestAModeThatTheFleetDoesNotTake(t *testing.T) {
	f := &sharing{status: "{}", err: errors.New("fleet: no confirmation that the mode was set: connection refused")}
	refused(t, &Options{Control: allow, Fleet: f}, nil, "/fleet/mode", form("key", "a", "mode", "disabled", "reason", "test", "for", "1h"), 502, "no confirmation that the mode was set: connection refused")
}

func TestSetModeOfTheFleetIsGuardedLikeEveryAct(t *testing.T) {
	f := &sharing{status: "{}"}
	good := form("key", "a", "mode", "disabled", "reason", "test", "for", "1h")
	with := func(name, value string) map[string][]string {
		v := form("key", "a", "mode", "disabled", "reason", "test", "for", "1h")
		v.Set(name, value)
		return v
	}
	may := &Options{Control: allow, Fleet: f}
	refused(t, &Options{Fleet: f}, nil, "/fleet/mode", good, 404, "controls are off")
	refused(t, &Options{Control: allow}, nil, "/fleet/mode", good, 404, "there is no fleet")
	refused(t, &Options{Control: func(*http.Request) bool { return false }, Fleet: f}, nil, "/fleet/mode", good, 403, "not allowed")
	refused(t, may, func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, "/fleet/mode", good, 403, "cross-origin")
	refused(t, may, nil, "/fleet/mode", with("reason", " "), 400, "reason =")
	refused(t, may, nil, "/fleet/mode", with("mode", "off"), 400, "mode =")
	refused(t, may, nil, "/fleet/mode", form("mode", "disabled", "reason", "test", "for", "1h"), 400, "key is missing")
	refused(t, may, nil, "/fleet/reset", good, 404, "not found")
	for _, lasting := range []string{"", "1", "0s", "-1h", "721h", "for ever"} {
		refused(t, may, nil, "/fleet/mode", with("for", lasting), 400, "for = ")
	}
	refused(t, may, nil, "/fleet/mode", with("reason", strings.Repeat("x", maxForm)), 400, "form")
	assert.Equal(t, 405, get(New(newSet("a"), may), "/fleet/mode").Code)
	assert.Equal(t, 404, get(New(newSet("a"), nil), "/fleet/mode").Code)
	assert.Zero(t, f.called)
}
