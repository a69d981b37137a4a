package statuspage

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

func allow(*http.Request) bool { return true }

func form(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

func TestSetMode(t *testing.T) {
	set := newSet("open", "a/b c")
	h := New(set, &Options{Control: allow})
	b := set.Get("a/b c")
	for _, c := range []struct {
		mode  breaker.Mode
		state breaker.State
	}{{breaker.ForceOpen, breaker.Open}, {breaker.Disabled, breaker.Closed}, {breaker.Observe, breaker.Closed}, {breaker.Enforce, breaker.Closed}} {
		w := send(h, "POST", "/circuits/a%2Fb%20c/mode", form("mode", c.mode.String(), "reason", "  because of <"+c.mode.String()+">  "))
		require.Equal(t, 200, w.Code, w.Body.String())
		s := decode[breaker.Snapshot](t, w)
		assert.Equal(t, c.mode, s.Mode)
		assert.Equal(t, c.state, s.State)
		assert.Equal(t, "because of <"+c.mode.String()+">", s.Reason, "kept in the breaker")
		assert.Equal(t, c.mode, b.Snapshot().Mode)
	}
}

func TestReset(t *testing.T) {
	set := newSet("a")
	h := New(set, &Options{Control: allow})
	w := send(h, "POST", "/circuits/a/reset", form("reason", "the host is back"))
	require.Equal(t, 200, w.Code, w.Body.String())
	assert.Equal(t, breaker.Closed, decode[breaker.Snapshot](t, w).State)
	assert.Equal(t, breaker.Closed, set.Get("a").State())
}

func TestControlOfAnyKey(t *testing.T) {
	set := newSet(awkwardKeys...)
	mux := http.NewServeMux()
	mux.Handle("/circuits/", New(set, &Options{Control: allow}))
	for _, key := range awkwardKeys {
		w := send(mux, "POST", "/circuits/circuits/"+url.PathEscape(key)+"/mode", form("mode", "observe", "reason", "test"))
		require.Equal(t, 200, w.Code, "%q: %s", key, w.Body)
		assert.Equal(t, key, decode[breaker.Snapshot](t, w).Key)
		w = send(mux, "POST", "/circuits/circuits/"+url.PathEscape(key)+"/reset", form("reason", "test"))
		require.Equal(t, 200, w.Code, "%q: %s", key, w.Body)
	}
	for key, b := range set.All() {
		assert.Equal(t, breaker.Observe, b.Snapshot().Mode, key)
	}
}

// A proxy in front may have unescaped the slashes of a key, which may then end
// like a request.
func TestControlOfAKeyWhoseSlashesAreUnescaped(t *testing.T) {
	keys := []string{"POST pay.example.com/reset", "POST pay.example.com/mode", "a/mode/reset", "a/reset/mode"}
	for _, key := range keys {
		set := newSet("other", key)
		h := New(set, &Options{Control: allow})
		at := "/circuits/" + strings.ReplaceAll(key, " ", "%20")
		w := send(h, "POST", at+"/mode", form("mode", "force-open", "reason", "test"))
		require.Equal(t, 200, w.Code, "%q: %s", key, w.Body)
		s := set.Get(key).Snapshot()
		assert.Equal(t, breaker.ForceOpen, s.Mode, key)
		set.Get(key).SetMode(breaker.Enforce, "")
		set.Get(key).Trip(time.Minute, "test")
		w = send(h, "POST", at+"/reset", form("reason", "test"))
		require.Equal(t, 200, w.Code, "%q: %s", key, w.Body)
		assert.Equal(t, breaker.Closed, set.Get(key).State(), key)
	}
}

// The kill switch: all circuits, those to come included.
func TestSetModeOfAll(t *testing.T) {
	set := newSet("open", "closed")
	h := New(set, &Options{Control: allow})
	w := send(h, "POST", "/mode", form("mode", "disabled", "reason", "the breakers are to blame"))
	require.Equal(t, 200, w.Code, w.Body.String())
	assert.JSONEq(t, `{"mode":"disabled","reason":"the breakers are to blame"}`, w.Body.String())
	set.Get("new")
	for _, key := range []string{"open", "closed", "new"} {
		assert.Equal(t, breaker.Disabled, set.Get(key).Snapshot().Mode, key)
		assert.Equal(t, breaker.Closed, set.Get(key).State(), key)
	}
	set.Get("new").SetMode(breaker.Disabled, "of one circuit")
	h.(*handler).operated(breaker.Operation{Act: breaker.ActReset, Mode: breaker.Observe}) // no mode of all either
	doc := decode[document](t, get(h, "/circuits"))
	require.NotNil(t, doc.All)
	assert.Equal(t, breaker.Disabled, *doc.All.Mode)
	assert.Equal(t, "the breakers are to blame", doc.All.Reason)
	assert.Equal(t, 3, doc.Sums.NotEnforcing)

	send(h, "POST", "/mode", form("mode", "enforce", "reason", "they were not"))
	assert.Equal(t, breaker.Open, set.Get("open").State(), "as the rules left it")
	assert.Nil(t, decode[document](t, get(h, "/circuits")).All)

	f := form("mode", "disabled", "reason", "test")
	refused(t, nil, nil, "/mode", f, 404, "controls are off")
	refused(t, &Options{Control: func(*http.Request) bool { return false }}, nil, "/mode", f, 403, "not allowed")
	refused(t, &Options{Control: allow}, nil, "/mode", form("mode", "reset", "reason", "test"), 400, "mode =")
	refused(t, &Options{Control: allow}, nil, "/mode", form("mode", "disabled"), 400, "reason =")
	refused(t, &Options{Control: allow}, nil, "/reset", f, 404, "not found")
	refused(t, &Options{Control: allow}, func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, "/mode", f, 403, "cross-origin")
	assert.Equal(t, 405, get(h, "/mode").Code)
	assert.Equal(t, 404, get(New(set, nil), "/mode").Code)
}

func TestOperatorIsPartOfTheReason(t *testing.T) {
	for name, want := range map[string]string{
		"alice":                       "maintenance, by alice",
		"  alice@example.com\n":       "maintenance, by alice@example.com",
		"":                            "maintenance",
		" ":                           "maintenance",
		"a\nb\u202e":                  `maintenance, by a\u{a}b\u{202e}`,
		strings.Repeat("\u00fc", 100): "maintenance, by " + strings.Repeat("\u00fc", 60),
	} {
		set := newSet("a")
		h := New(set, &Options{Control: allow, Operator: func(r *http.Request) string { return name }})
		w := send(h, "POST", "/circuits/a/mode", form("mode", "force-open", "reason", "maintenance"))
		require.Equal(t, 200, w.Code, w.Body.String())
		assert.Equal(t, want, set.Get("a").Snapshot().Reason)
		send(h, "POST", "/circuits/a/reset", form("reason", "maintenance"))
		send(h, "POST", "/mode", form("mode", "force-open", "reason", "maintenance"))
		assert.Equal(t, want, set.Get("a").Snapshot().Reason)
		events, _, _, _ := h.(*handler).events.since(0)
		acts := 0
		for _, e := range events {
			if c, ok := e.data.(controlEvent); ok && c.Action != "trip" {
				assert.Equal(t, want, c.Reason)
				acts++
			}
		}
		assert.Equal(t, 3, acts)
	}
}

// refused sends r and expects an error of this status that contains this text,
// and that nothing has changed.
func refused(t *testing.T, opts *Options, edit func(*http.Request), target string, f url.Values, status int, text string) {
	t.Helper()
	set := newSet("a")
	r := httptest.NewRequest("POST", target, strings.NewReader(f.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if edit != nil {
		edit(r)
	}
	w := httptest.NewRecorder()
	New(set, opts).ServeHTTP(w, r)
	assert.Equal(t, status, w.Code)
	assert.Contains(t, errorText(t, w), text)
	s := set.Get("a").Snapshot()
	assert.Equal(t, breaker.Enforce, s.Mode)
	assert.Equal(t, breaker.Open, s.State)
}

func TestControlIsOffByDefault(t *testing.T) {
	f := form("mode", "disabled", "reason", "test")
	for _, opts := range []*Options{nil, {}} {
		refused(t, opts, nil, "/circuits/a/mode", f, 404, "controls are off")
		refused(t, opts, nil, "/circuits/a/reset", f, 404, "controls are off")
	}
}

func TestControlAsks(t *testing.T) {
	var asked *http.Request
	opts := &Options{Control: func(r *http.Request) bool { asked = r; return false }}
	f := form("mode", "disabled", "reason", "test")
	refused(t, opts, nil, "/circuits/a/mode", f, 403, "not allowed")
	require.NotNil(t, asked)
	assert.Equal(t, "POST", asked.Method)
	refused(t, opts, nil, "/circuits/a/reset", f, 403, "not allowed")
	refused(t, opts, nil, "/circuits/unknown/reset", f, 403, "not allowed")
}

func TestControlFromOtherOriginsIsRefusedUnasked(t *testing.T) {
	opts := &Options{Control: func(*http.Request) bool { t.Error("asked"); return true }}
	f := form("mode", "disabled", "reason", "test")
	for _, headers := range [][2]string{
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"},
		{"Origin", "https://evil.example"}, {"Origin", "null"},
	} {
		refused(t, opts, func(r *http.Request) { r.Header.Set(headers[0], headers[1]) }, "/circuits/a/mode", f, 403, "cross-origin")
	}
	for _, headers := range [][2]string{{"Sec-Fetch-Site", "same-origin"}, {"Origin", "http://example.com"}} {
		set := newSet("a")
		r := httptest.NewRequest("POST", "/circuits/a/reset", strings.NewReader(f.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set(headers[0], headers[1])
		w := httptest.NewRecorder()
		New(set, &Options{Control: allow}).ServeHTTP(w, r)
		assert.Equal(t, 200, w.Code, headers)
	}
}

// Behind a proxy that sets Host to its own name for the program, a browser's
// Origin is another one.
func TestControlFromTrustedOrigin(t *testing.T) {
	opts := &Options{Control: allow, TrustedOrigins: []string{"https://ops.example.com", "http://ops.example.com:8080"}}
	f := form("mode", "disabled", "reason", "test")
	for origin, want := range map[string]int{
		"https://ops.example.com":      200,
		"http://ops.example.com:8080":  200,
		"http://ops.example.com":       403,
		"https://ops.example.com:8080": 403,
		"https://example.com":          403,
	} {
		r := httptest.NewRequest("POST", "/circuits/a/mode", strings.NewReader(f.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Host = "backend:9000"
		r.Header.Set("Origin", origin)
		w := httptest.NewRecorder()
		New(newSet("a"), opts).ServeHTTP(w, r)
		assert.Equal(t, want, w.Code, origin)
	}
}

func TestNewRefusesWhatIsNoOrigin(t *testing.T) {
	for _, bad := range []string{"", "ops.example.com", "https://ops.example.com/", "*"} {
		func() {
			defer func() {
				assert.Contains(t, recover(), `statuspage: Options.TrustedOrigins[1] = "`+bad+`"; want an origin such as "https://ops.example.com"`)
			}()
			New(newSet(), &Options{TrustedOrigins: []string{"https://a.example", bad}})
		}()
	}
}

func TestControlIsPostOnly(t *testing.T) {
	set := newSet("a")
	h := New(set, &Options{Control: allow})
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "PATCH"} {
		for _, target := range []string{"/circuits/a/mode?mode=disabled&reason=x", "/circuits/a/reset?reason=x"} {
			w := send(h, method, target, nil)
			assert.Equal(t, 405, w.Code, "%s %s", method, target)
			if method == "GET" || method == "HEAD" {
				assert.Equal(t, "POST", w.Header().Get("Allow"))
			}
		}
	}
	assert.Equal(t, breaker.Open, set.Get("a").State())
	// What POST has in the query is no form either.
	w := send(h, "POST", "/circuits/a/mode?mode=disabled&reason=x", url.Values{})
	assert.Equal(t, 400, w.Code)
}

func TestControlFormIsChecked(t *testing.T) {
	long := strings.Repeat("ü", maxReason)
	for _, c := range []struct {
		action string
		form   url.Values
		text   string
	}{
		{"mode", form("mode", "disabled"), `reason = ""`},
		{"mode", form("mode", "disabled", "reason", " \n "), `reason = ""`},
		{"reset", form(), `reason = ""`},
		{"mode", form("mode", "disabled", "reason", long+"ü"), "reason has 201 characters; want at most 200"},
		{"mode", form("mode", "disabled", "reason", "a\nb"), "one line"},
		{"mode", form("mode", "disabled", "reason", "a\x1b[31m"), "one line"},
		{"mode", form("mode", "disabled", "reason", "a\xff"), "UTF-8"},
		{"mode", form("reason", "test"), `mode = ""; want "enforce", "observe", "force-open" or "disabled"`},
		{"mode", form("mode", "Disabled", "reason", "test"), `mode = "Disabled"; want`},
		{"mode", form("mode", "disabled", "reason", strings.Repeat("x", maxForm)), "form: http: request body too large"},
	} {
		refused(t, &Options{Control: allow}, nil, "/circuits/a/"+c.action, c.form, 400, c.text)
	}
	set := newSet("a")
	w := send(New(set, &Options{Control: allow}), "POST", "/circuits/a/mode", form("mode", "observe", "reason", long))
	assert.Equal(t, 200, w.Code, "as long as may be")
}

func TestControlOfUnknownCircuit(t *testing.T) {
	refused(t, &Options{Control: allow}, nil, "/circuits/b/mode", form("mode", "disabled", "reason", "test"), 404, `no circuit "b"`)
	set := newSet()
	send(New(set, &Options{Control: allow}), "POST", "/circuits/b/reset", form("reason", "test"))
	assert.Zero(t, set.Len(), "nothing was made")
}

// What was done is kept among the events, for those who come later, too.
func TestControlReasonIsKept(t *testing.T) {
	set := newSet("a")
	h := New(set, &Options{Control: allow})
	send(h, "POST", "/circuits/a/mode", form("mode", "observe", "reason", "watching"))
	send(h, "POST", "/circuits/a/reset", form("reason", "the host is back"))
	events, _, _, _ := h.(*handler).events.since(0)
	var kept []controlEvent
	for _, e := range events {
		if c, ok := e.data.(controlEvent); ok {
			assert.WithinDuration(t, time.Now(), c.At, time.Minute)
			c.At = time.Time{}
			kept = append(kept, c)
		}
	}
	observe := breaker.Observe
	assert.Equal(t, []controlEvent{
		{Key: "a", Action: "mode", Mode: &observe, Reason: "watching"},
		{Key: "a", Action: "reset", Reason: "the host is back"},
	}, kept)
}
