package statuspage

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		set := newSet()
		h := New(set, nil)
		w := get(h, "/health")
		assert.Equal(t, 200, w.Code)
		assert.JSONEq(t, `{"at":"2000-01-01T00:00:00Z","states":{"closed":0,"half-open":0,"open":0},"circuits":[]}`, w.Body.String())

		set.Get("well")
		set.Get("later").SetMode(breaker.ForceOpen, "maintenance, by alice")
		time.Sleep(time.Second)
		set.Get("first").Trip(time.Minute, "before")
		set.Get("first").SetMode(breaker.Observe, "on trial")
		time.Sleep(time.Second)
		set.Get("later").SetMode(breaker.Enforce, "")
		set.Get("later").SetMode(breaker.ForceOpen, "maintenance, by alice")

		w = get(h, "/health")
		assert.Equal(t, 200, w.Code, "whatever the circuits are like")
		doc := decode[health](t, w)
		assert.Equal(t, map[breaker.State]int{breaker.Closed: 1, breaker.HalfOpen: 0, breaker.Open: 2}, doc.States)
		assert.Equal(t, []unwell{
			{Key: "first", State: breaker.Open, Mode: breaker.Observe, Since: start.Add(time.Second).UTC(), Reason: "before",
				Origin: breaker.ByOperator, Until: start.Add(time.Minute + time.Second).UTC()},
			{Key: "later", State: breaker.Open, Mode: breaker.ForceOpen, Since: start.Add(2 * time.Second).UTC(), Reason: "maintenance, by alice",
				Origin: breaker.ByOperator},
		}, doc.Circuits, "the longest outage first")
	})
}

// The document can be served without the page, where more people may look.
func TestHealthAlone(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("GET /status/health", New(newSet("a"), &Options{Control: allow}))
	assert.Equal(t, 1, decode[health](t, get(mux, "/status/health")).States[breaker.Open])
	for _, target := range []string{"/status/", "/status/circuits", "/status/health/", "/status/events", "/health"} {
		assert.Equal(t, 404, get(mux, target).Code, target)
	}
	assert.Equal(t, 405, send(mux, "POST", "/status/health", nil).Code)
}

func TestHealthIsBounded(t *testing.T) {
	_, h := flood()
	doc := decode[health](t, get(h, "/health"))
	assert.Len(t, doc.Circuits, maxHealth)
	assert.True(t, slices.IsSortedFunc(doc.Circuits, func(a, b unwell) int { return a.Since.Compare(b.Since) }), "the longest outage first")
	assert.Equal(t, 10_000-maxHealth, doc.More)
	assert.Equal(t, 10_000, doc.States[breaker.Open])
}

// fail ends n calls as failures.
func end(b *breaker.Breaker, o breaker.Outcome, n int) {
	for range n {
		if p, err := b.Allow(context.Background()); err == nil {
			p.Done(o)
		}
	}
}
