package statuspage

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// newSet returns a set with a circuit for each key, of which the first is open.
func newSet(keys ...string) *breaker.Set {
	set := breaker.NewSet(breaker.Options{})
	for _, key := range keys {
		set.Get(key)
	}
	if len(keys) > 0 {
		set.Get(keys[0]).Trip(time.Minute, "tripped by the test")
	}
	return set
}

// send lets h answer a request as a server would, and returns the answer.
func send(h http.Handler, method, target string, form url.Values) *httptest.ResponseRecorder {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequest(method, target, body)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func get(h http.Handler, target string) *httptest.ResponseRecorder {
	return send(h, "GET", target, nil)
}

func decode[T any](t *testing.T, w *httptest.ResponseRecorder) T {
	t.Helper()
	var v T
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &v), w.Body.String())
	return v
}

func errorText(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	assert.Equal(t, "application/json; charset=utf-8", w.Header().Get("Content-Type"))
	return decode[map[string]string](t, w)["error"]
}

func keysOf(doc document) []string {
	keys := []string{}
	for _, s := range doc.Circuits {
		keys = append(keys, s.Key)
	}
	return keys
}

func TestNewRefusesNil(t *testing.T) {
	assert.PanicsWithValue(t, "statuspage: New: set is nil", func() { New(nil, nil) })
}

func TestCircuits(t *testing.T) {
	set := newSet("b", "a", "c")
	p, err := set.Get("a").Allow(context.Background())
	require.NoError(t, err)
	defer p.Done(breaker.Success)

	w := get(New(set, nil), "/circuits")
	assert.Equal(t, 200, w.Code)
	assert.Equal(t, "application/json; charset=utf-8", w.Header().Get("Content-Type"))
	doc := decode[document](t, w)
	assert.Equal(t, []string{"a", "b", "c"}, keysOf(doc))
	assert.WithinDuration(t, time.Now(), doc.At, time.Minute)
	assert.Equal(t, 3, doc.Set.Keys)
	assert.Equal(t, 1, doc.Circuits[0].InFlight)
	b := doc.Circuits[1]
	assert.Equal(t, breaker.Open, b.State)
	assert.Equal(t, "tripped by the test", b.Reason)
	assert.WithinDuration(t, time.Now().Add(time.Minute), b.Until, 30*time.Second)
}

func TestCircuitsOfAnEmptySet(t *testing.T) {
	assert.Contains(t, get(New(newSet(), nil), "/circuits").Body.String(), `"circuits":[]`)
}

func TestCircuitsByState(t *testing.T) {
	h := New(newSet("open", "closed"), nil)
	for query, want := range map[string][]string{
		"state=open":                {"open"},
		"state=closed":              {"closed"},
		"state=half-open":           {},
		"state=open&state=closed":   {"closed", "open"},
		"state=half-open&other=yes": {},
	} {
		assert.Equal(t, want, keysOf(decode[document](t, get(h, "/circuits?"+query))), query)
	}
	for _, bad := range []string{"opne", "", "Open", "2"} {
		w := get(h, "/circuits?state=open&state="+bad)
		assert.Equal(t, 400, w.Code)
		assert.Equal(t, `state = "`+bad+`"; want "closed", "open" or "half-open"`, errorText(t, w))
	}
}

var awkwardKeys = []string{
	"api.example.com:8443", "GET example.com/v1/{id}", "a b", "50%", "%2F", "a/b//c/", "/", "?q#f", "[::1]:80", "ünïcode",
	"circuits", "events", "mode", "x/mode", "x/reset", "mode/mode", "\u202egnp.exe", "<script>alert(1)</script>", `"'&`, "..//..", "a\x00\nb",
}

func TestCircuitOfAnyKey(t *testing.T) {
	set := newSet(awkwardKeys...)
	mux := http.NewServeMux()
	mux.Handle("/below/circuits/", New(set, nil))
	for _, h := range []struct {
		http.Handler
		prefix string
	}{{New(set, nil), "/"}, {mux, "/below/circuits/"}} {
		for _, key := range awkwardKeys {
			w := get(h, h.prefix+"circuits/"+url.PathEscape(key))
			require.Equal(t, 200, w.Code, "%q: %s", key, w.Body)
			assert.Equal(t, key, decode[breaker.Snapshot](t, w).Key)
		}
	}
	w := get(New(set, nil), "/circuits/a/b%2F/c/")
	assert.Equal(t, "a/b//c/", decode[breaker.Snapshot](t, w).Key, "a proxy may unescape slashes")
}

func TestUnknownCircuit(t *testing.T) {
	w := get(New(newSet("a"), nil), "/circuits/"+url.PathEscape(`<b>"`))
	assert.Equal(t, 404, w.Code)
	assert.Equal(t, `no circuit "<b>\""`, errorText(t, w))
	assert.NotContains(t, w.Body.String(), "<b>")
	assert.Equal(t, 404, get(New(newSet(), nil), "/circuits/").Code)
}

// Looking must not make circuits, take probes, or move anything.
func TestReadingChangesNothing(t *testing.T) {
	set := newSet("a", "b")
	set.Get("a").Trip(time.Nanosecond, "due") // its time is over: the next call makes the transition
	before := set.Get("a").Snapshot()
	h := New(set, nil)
	for range 3 {
		for _, target := range []string{"/", "/circuits", "/circuits/a", "/circuits/other"} {
			get(h, target)
		}
	}
	after := set.Get("a").Snapshot()
	before.Totals.OpenTime, after.Totals.OpenTime = 0, 0 // it goes on by itself
	assert.Equal(t, before, after)
	assert.Equal(t, 2, set.Len())
}

func TestMounting(t *testing.T) {
	h := New(newSet("a"), nil)
	for _, m := range []struct{ pattern, strip, base string }{
		{"/", "", "/"},
		{"/breakers/", "", "/breakers/"},
		{"/breakers/", "/breakers", "/breakers/"},
		{"/breakers/", "/breakers/", "/breakers/"},
		{"/circuits/", "", "/circuits/"},
		{"/circuits/", "/circuits", "/circuits/"},
		{"/debug/circuits/", "/debug", "/debug/circuits/"}, // only half is stripped
		{"/circuits/events/", "", "/circuits/events/"},
		{"GET /debug/{rest...}", "", "/debug/"},
		{"example.com/{tenant}/breakers/", "", "/a%2Fb/breakers/"},
	} {
		mux := http.NewServeMux()
		mux.Handle(m.pattern, http.StripPrefix(m.strip, h))
		page := get(mux, m.base)
		assert.Equal(t, "text/html; charset=utf-8", page.Header().Get("Content-Type"), "%v", m)
		assert.Equal(t, 1, len(decode[document](t, get(mux, m.base+"circuits?state=open")).Circuits), "%v", m)
		assert.Equal(t, "a", decode[breaker.Snapshot](t, get(mux, m.base+"circuits/a")).Key, "%v", m)
		events := send(mux, "HEAD", m.base+"events", nil)
		assert.Equal(t, "text/event-stream", events.Header().Get("Content-Type"), "%v", m)
	}

	r := httptest.NewRequest("GET", "/circuits/a", nil)
	r.RequestURI = "" // as an adapter may leave it
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	assert.Equal(t, 200, w.Code)
	r.URL.Path = "/"
	w = httptest.NewRecorder()
	h.ServeHTTP(w, r)
	assert.Equal(t, 200, w.Code)
	assert.False(t, matches("/{tenant}/", "a"), "a segment ends with a slash")
}

// A ServeMux may itself be mounted below a prefix that its patterns do not have.
func TestMountingBelowAStrippedServeMux(t *testing.T) {
	h := New(newSet("a"), nil)
	mux := func(pattern string, h http.Handler) http.Handler {
		m := http.NewServeMux()
		m.Handle(pattern, h)
		return m
	}
	for name, c := range map[string]struct {
		http.Handler
		base string
	}{
		"strip, mux":                      {http.StripPrefix("/svc", mux("/breakers/", h)), "/svc/breakers/"},
		"strip two, mux":                  {http.StripPrefix("/svc/v1", mux("/debug/breakers/", h)), "/svc/v1/debug/breakers/"},
		"mux, strip, mux":                 {mux("/svc/", http.StripPrefix("/svc", mux("/breakers/", h))), "/svc/breakers/"},
		"mux, strip, mux, strip":          {mux("/svc/", http.StripPrefix("/svc", mux("/breakers/", http.StripPrefix("/breakers", h)))), "/svc/breakers/"},
		"strip, mux, strip half":          {http.StripPrefix("/svc", mux("/debug/breakers/", http.StripPrefix("/debug", h))), "/svc/debug/breakers/"},
		"mux, mux":                        {mux("/svc/", mux("/svc/breakers/", h)), "/svc/breakers/"},
		"strip, mux with method and host": {http.StripPrefix("/svc", mux("GET example.com/{team}/breakers/", h)), "/svc/a%2Fb/breakers/"},
		"strip, mux, same names":          {http.StripPrefix("/events", mux("/circuits/", h)), "/events/circuits/"},
		"strip, mux at the root":          {http.StripPrefix("/svc", mux("/", h)), "/svc/"},
	} {
		page := get(c, c.base)
		assert.Equal(t, "text/html; charset=utf-8", page.Header().Get("Content-Type"), name)
		list := get(c, c.base+"circuits?state=open")
		if assert.Equal(t, 200, list.Code, name) {
			assert.Equal(t, []string{"a"}, keysOf(decode[document](t, list)), name)
		}
		assert.Equal(t, 200, get(c, c.base+"circuits/a").Code, name)
		assert.Equal(t, 404, get(c, c.base+"circuits/b").Code, name)
		assert.Equal(t, 200, send(c, "HEAD", c.base+"events", nil).Code, name)
	}
}

// Without its last slash the page's relative URLs would miss the handler.
func TestMountedPageNeedsSlash(t *testing.T) {
	h := http.StripPrefix("/debug/breakers", New(newSet(), nil))
	w := get(h, "/debug/breakers")
	assert.Equal(t, 301, w.Code)
	to, err := url.Parse("http://example.com/debug/breakers")
	require.NoError(t, err)
	to, err = to.Parse(w.Header().Get("Location"))
	require.NoError(t, err)
	assert.Equal(t, "http://example.com/debug/breakers/", to.String())
}

func TestNotFoundAndMethods(t *testing.T) {
	h := New(newSet("a"), nil)
	for _, target := range []string{"/other", "/circuits.json", "/events/", "/page.html", "/favicon.ico", "/circuits/none/mode"} {
		w := get(h, target)
		assert.Equal(t, 404, w.Code, target)
		assert.NotEmpty(t, errorText(t, w))
	}
	for _, target := range []string{"/", "/circuits", "/circuits/a", "/events"} {
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS"} {
			w := send(h, method, target, nil)
			assert.Equal(t, 405, w.Code, "%s %s", method, target)
			assert.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
		}
		assert.Equal(t, 200, send(h, "HEAD", target, nil).Code, target)
	}
}

func TestSecurityHeadersOnEveryAnswer(t *testing.T) {
	h := New(newSet("a"), nil)
	for _, target := range []string{"/", "/circuits", "/circuits/a", "/circuits/none", "/other", "/circuits?state=x"} {
		header := get(h, target).Header()
		assert.Equal(t, "no-store", header.Get("Cache-Control"), target)
		assert.Equal(t, "nosniff", header.Get("X-Content-Type-Options"), target)
		assert.Equal(t, "no-referrer", header.Get("Referrer-Policy"), target)
		assert.Contains(t, header.Get("Content-Security-Policy"), "default-src 'none'", target)
		assert.Contains(t, header.Get("Content-Security-Policy"), "frame-ancestors 'none'", target)
	}
}

func TestTenThousandCircuits(t *testing.T) {
	set := breaker.NewSet(breaker.Options{})
	for i := range 10_000 {
		set.Get(strings.Repeat("x", i%40) + url.QueryEscape(time.Duration(i).String()))
	}
	h := New(set, nil)
	start := time.Now()
	doc := decode[document](t, get(h, "/circuits"))
	assert.Len(t, doc.Circuits, set.Len())
	assert.Less(t, time.Since(start), 10*time.Second) // BenchmarkCircuits measures it; this only notices a blunder
}

func BenchmarkCircuits(b *testing.B) {
	set := breaker.NewSet(breaker.Options{})
	for i := range 10_000 {
		set.Get(time.Duration(i).String() + ".shard.example.com")
	}
	h := New(set, nil)
	for b.Loop() {
		get(h, "/circuits")
	}
}

// Whatever the key and the place, the circuit is found, and no other.
func FuzzCircuitOfAnyKey(f *testing.F) {
	for _, key := range awkwardKeys {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if key == "" || key == "." || key == ".." {
			t.Skip("no segment of a path can be this")
		}
		set := newSet("other", key)
		h := New(set, &Options{Control: allow})
		mux := http.NewServeMux()
		mux.Handle("/circuits/", h)
		mux.Handle("/stripped/", http.StripPrefix("/stripped", h))
		below := http.NewServeMux()
		below.Handle("/breakers/", h)
		mux.Handle("/svc/", http.StripPrefix("/svc", below))
		for _, base := range []string{"/circuits/", "/stripped/", "/svc/breakers/"} {
			w := get(mux, base+"circuits/"+url.PathEscape(key))
			require.Equal(t, 200, w.Code, w.Body.String())
			w = send(mux, "POST", base+"circuits/"+url.PathEscape(key)+"/mode", form("mode", "observe", "reason", "test"))
			require.Equal(t, 200, w.Code, w.Body.String())
			assert.Equal(t, breaker.Observe, set.Get(key).Snapshot().Mode)
			set.Get(key).SetMode(breaker.Enforce, "")
			unescaped := strings.ReplaceAll(url.PathEscape(key), "%2F", "/") // by a proxy
			if path.Clean("/"+unescaped) != "/"+unescaped {
				continue // which a ServeMux redirects
			}
			w = send(mux, "POST", base+"circuits/"+unescaped+"/mode", form("mode", "observe", "reason", "test"))
			require.Equal(t, 200, w.Code, w.Body.String())
			assert.Equal(t, breaker.Observe, set.Get(key).Snapshot().Mode)
			set.Get(key).SetMode(breaker.Enforce, "")
		}
		assert.Equal(t, breaker.Enforce, set.Get("other").Snapshot().Mode)
	})
}
