package compose

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

func TestCacheOutside(t *testing.T) {
	h, circuits := newHost(t), opensAfter(1)
	client := &http.Client{Transport: &cache{base: httpbreaker.New(&httpbreaker.Config{Base: base(t), Breakers: circuits})}}
	_, _, err := get(t, client, h.URL+"/kept")
	require.NoError(t, err)
	circuits.Get(h.name()).Trip(time.Hour, "test")

	res, body, err := get(t, client, h.URL+"/kept")
	require.NoError(t, err, "what is in the cache needs no circuit")
	assert.Equal(t, "cache", res.Header.Get("X-From"))
	assert.Equal(t, "hello", body)
	_, _, err = get(t, client, h.URL+"/other")
	assert.ErrorIs(t, err, httpbreaker.ErrOpen)
	assert.Equal(t, breaker.Totals{Successes: 1, Rejected: 1, Opened: 1}, withoutTime(totals(circuits, h)))
}

// A cache around the circuit is given fallbacks to keep. It must be told not to.
func TestCacheOutsideAndFallbacks(t *testing.T) {
	h, circuits := newHost(t), opensAfter(1)
	b := circuits.Get(h.name())
	b.Trip(time.Hour, "test")
	for _, test := range []struct {
		control string
		kept    bool
	}{{"no-store", false}, {"max-age=60", true}} {
		rt := &cache{base: httpbreaker.New(&httpbreaker.Config{
			Base: base(t), Breakers: circuits,
			Fallback: httpbreaker.Respond(http.StatusOK, http.Header{"Cache-Control": {test.control}}, []byte("stand-in")),
		})}
		client := &http.Client{Transport: rt}
		_, body, err := get(t, client, h.URL)
		require.NoError(t, err)
		require.Equal(t, "stand-in", body)
		_, kept := rt.kept.Load(h.URL + "/")
		_, keptBare := rt.kept.Load(h.URL)
		assert.Equal(t, test.kept, kept || keptBare, test.control)
	}
}

// Inside, even a hit needs the circuit's leave, and counts as the host's success.
func TestCacheInside(t *testing.T) {
	h, circuits := newHost(t), opensAfter(1)
	client := &http.Client{Transport: httpbreaker.New(&httpbreaker.Config{Base: &cache{base: base(t)}, Breakers: circuits})}
	for range 10 {
		_, _, err := get(t, client, h.URL+"/kept")
		require.NoError(t, err)
	}
	assert.EqualValues(t, 1, h.asked.Load())
	assert.EqualValues(t, 10, totals(circuits, h).Successes)
	circuits.Get(h.name()).Trip(time.Hour, "test")
	_, _, err := get(t, client, h.URL+"/kept")
	assert.ErrorIs(t, err, httpbreaker.ErrOpen)
}

func withoutTime(t breaker.Totals) breaker.Totals {
	t.OpenTime = 0
	return t
}
