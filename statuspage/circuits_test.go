package statuspage

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

func TestCircuitsThatAreAskedFor(t *testing.T) {
	set := newSet("shop.example.com", "GET api.example.com/a", "POST api.example.com/b", "a\u202eb")
	set.Get("GET api.example.com/a").Trip(time.Hour, "503 Service Unavailable")
	set.Get("POST api.example.com/b").SetMode(breaker.Observe, "on trial")
	h := New(set, nil)
	for query, want := range map[string][]string{
		"":                             {"GET api.example.com/a", "POST api.example.com/b", "a\u202eb", "shop.example.com"},
		"sort=key":                     {"GET api.example.com/a", "shop.example.com", "POST api.example.com/b", "a\u202eb"},
		"sort=key&limit=2":             {"GET api.example.com/a", "shop.example.com"},
		"limit=2":                      {"GET api.example.com/a", "POST api.example.com/b"},
		"limit=100":                    {"GET api.example.com/a", "POST api.example.com/b", "a\u202eb", "shop.example.com"},
		"mode=observe":                 {"POST api.example.com/b"},
		"mode=observe&mode=force-open": {"POST api.example.com/b"},
		"mode=observe&state=open":      {},
		"filter=API.example":           {"GET api.example.com/a", "POST api.example.com/b"},
		"filter=++api+503+":            {"GET api.example.com/a"},
		"filter=trial":                 {"POST api.example.com/b"},
		"filter=observe":               {"POST api.example.com/b"},
		"filter=" + url.QueryEscape(`a\u{202e}b`): {"a\u202eb"},
		"filter=nothing": {},
	} {
		doc := decode[document](t, get(h, "/circuits?"+query))
		assert.Equal(t, want, keysOf(doc), query)
		assert.Equal(t, map[breaker.State]int{breaker.Open: 2, breaker.HalfOpen: 0, breaker.Closed: 2}, doc.Sums.States, "of all, whatever was asked for")
		assert.Equal(t, 1, doc.Sums.NotEnforcing)
	}
	doc := decode[document](t, get(h, "/circuits?limit=1&state=open"))
	assert.Equal(t, 2, doc.Matching)
	for query, want := range map[string]string{
		"mode=off":                   `mode = "off"; want "enforce", "observe", "force-open" or "disabled"`,
		"sort=name":                  `sort = "name"; want "key", "rate", "in_flight", "rejected" or "opened"`,
		"limit=0":                    `limit = "0"; want a number of circuits, at least 1`,
		"limit=many":                 `limit = "many"; want a number of circuits, at least 1`,
		"limit=99999999999999999999": `limit = "99999999999999999999"; want a number of circuits, at least 1`,
	} {
		w := get(h, "/circuits?"+query)
		assert.Equal(t, 400, w.Code)
		assert.Equal(t, want, errorText(t, w))
	}
}

func TestCircuitsSorted(t *testing.T) {
	set := newSet()
	end := func(key string, o breaker.Outcome, n int) {
		for range n {
			p, err := set.Get(key).Allow(t.Context())
			if err == nil {
				p.Done(o)
			}
		}
	}
	end("a", breaker.Success, 9)
	end("a", breaker.Failure, 1)
	end("b", breaker.Success, 1)
	end("b", breaker.Failure, 1)
	p, _ := set.Get("c").Allow(t.Context())
	defer p.Done(breaker.Success)
	for range 3 {
		set.Get("d").Trip(time.Hour, "test")
		end("d", breaker.Success, 1) // rejected
		set.Get("d").Reset("test")
	}
	h := New(set, nil)
	for sort, want := range map[string]string{"key": "a", "rate": "b", "in_flight": "c", "rejected": "d", "opened": "d"} {
		assert.Equal(t, []string{want}, keysOf(decode[document](t, get(h, "/circuits?limit=1&sort="+sort))), sort)
	}
	sums := decode[document](t, get(h, "/circuits")).Sums
	assert.Equal(t, 1, sums.InFlight)
	assert.EqualValues(t, 3, sums.Rejected)

	assert.IsIncreasing(t, []int{
		rank(&breaker.Snapshot{State: breaker.Open}), rank(&breaker.Snapshot{State: breaker.HalfOpen}),
		rank(&breaker.Snapshot{Mode: breaker.Observe}), rank(&breaker.Snapshot{}),
	})
}

func TestAFloodIsBounded(t *testing.T) {
	_, h := flood()
	for target, most := range map[string]int{
		"/circuits?sort=rate&limit=100&history": 200_000, // as the page asks
		"/health":                               100_000,
		"/circuits":                             12_000_000,
		"/":                                     60_000,
	} {
		start := time.Now()
		w := get(h, target)
		took := time.Since(start)
		t.Logf("%s: %d bytes, %v", target, w.Body.Len(), took.Round(time.Millisecond))
		assert.Equal(t, 200, w.Code)
		assert.LessOrEqual(t, w.Body.Len(), most, target)
		assert.Less(t, took, 5*time.Second, target) // the benchmark measures it; this only notices a blunder
	}
	events, _, _, _ := h.events.since(0)
	assert.Len(t, events, keptEvents)
	assert.Len(t, h.histories.byKey, historyKeys)
}

func BenchmarkCircuitsOfAFlood(b *testing.B) {
	_, h := flood()
	for b.Loop() {
		get(h, "/circuits?sort=rate&limit=100&history")
	}
}
