package lastgood_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker/contrib/lastgood"
)

// RFC 9111 section 4.1.
func TestVary(t *testing.T) {
	for _, test := range []struct {
		name         string
		says         string
		first, again []string
		kept         bool
	}{
		{name: "not named", first: []string{"Accept-Language: de"}, again: []string{"Accept-Language: en"}, kept: true},
		{name: "same", says: "Vary: Accept-Language", first: []string{"Accept-Language: de"}, again: []string{"Accept-Language: de"}, kept: true},
		{name: "other", says: "Vary: Accept-Language", first: []string{"Accept-Language: de"}, again: []string{"Accept-Language: en"}},
		{name: "absent", says: "Vary: Accept-Language", first: []string{"Accept-Language: de"}},
		{name: "was absent", says: "Vary: Accept-Language", again: []string{"Accept-Language: de"}},
		{name: "absent and empty", says: "Vary: Accept-Language", again: []string{"Accept-Language: "}},
		{name: "absent twice", says: "Vary: Accept-Language", kept: true},
		{name: "white space around", says: "Vary: Accept", first: []string{"Accept:  a "}, again: []string{"Accept: a"}, kept: true},
		{name: "second line", says: "Vary: Accept", first: []string{"Accept: a", "Accept: b"}, again: []string{"Accept: a"}},
		{name: "one line or two", says: "Vary: Accept", first: []string{"Accept: a", "Accept: b"}, again: []string{"Accept: ab"}},
		{name: "second name", says: "Vary: Accept,  USER-agent", first: []string{"User-Agent: a"}, again: []string{"User-Agent: b"}},
		{name: "values that swap places", says: "Vary: Accept, User-Agent", first: []string{"Accept: a", "User-Agent: b"}, again: []string{"Accept: b", "User-Agent: a"}},
		{name: "names not canonical", says: "vary: accept", first: []string{"accept: a"}, again: []string{"Accept: b"}},
		{name: "encoded, and the host forgot Vary", says: "Content-Encoding: br", first: []string{"Accept-Encoding: br"}},
		{name: "encoded", says: "Content-Encoding: br", first: []string{"Accept-Encoding: br"}, again: []string{"Accept-Encoding: br"}, kept: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, user := range []func(*http.Request) string{nil, func(*http.Request) string { return "alice" }} {
				r := newRig(t, &lastgood.Options{MaxStale: time.Hour, User: user})
				r.fill(ok("good", test.says), request(t, "GET", page, test.first...))
				want := ""
				if test.kept {
					want = "good"
				}
				r.assertKept(want, request(t, "GET", page, test.again...))
			}
		})
	}
}

func TestVariantsAreKeptBesideEachOther(t *testing.T) {
	r := newRig(t, &lastgood.Options{MaxStale: time.Hour})
	language := func(i int) *http.Request {
		return request(t, "GET", page, fmt.Sprintf("Accept-Language: l%d", i))
	}
	for i := range 20 {
		r.fill(ok(fmt.Sprint(i), "Vary: Accept-Language"), language(i))
	}
	r.fill(ok("new", "Vary: Accept-Language"), language(10))
	for i := range 20 {
		switch {
		case i < 4:
			r.assertKept("", language(i), "the oldest give way")
		case i == 10:
			r.assertKept("new", language(i))
		default:
			r.assertKept(fmt.Sprint(i), language(i))
		}
	}

	// The newest answer holds, whatever Vary the others had.
	r.fill(ok("for all"), language(12))
	r.assertKept("for all", language(13))
	r.assertKept("for all", language(99))
}

func TestWithoutUserTheHeaderTellsUsersApart(t *testing.T) {
	for field, apart := range map[string]bool{
		"X-Api-Key": true, "x-api-key": true, "Private-Token": true, "X-Forwarded-User": true, "X-Forwarded-For": true,
		"X-Anything": true, "Baggage": true, "Origin": true,
		"User-Agent": false, "Accept": false, "Accept-Encoding": false, "Traceparent": false, "X-Request-Id": false,
		"traceparent": false, "Referer": false, "Sec-Fetch-Mode": false, "If-None-Match": false, "Cache-Control": false,
	} {
		r := newRig(t, &lastgood.Options{MaxStale: time.Hour})
		r.fill(ok("alice's"), request(t, "GET", page, field+": alice"))
		want := "alice's"
		if apart {
			r.assertKept("alice's", request(t, "GET", page, field+": alice"), field)
			r.assertKept("", request(t, "GET", page, field+": bob"), field)
			want = ""
		}
		r.assertKept(want, request(t, "GET", page), field)
	}
}

// A tracing layer inside gives each request other values, and not each user other answers.
func TestFieldsOfTracingDoNotTellUsersApart(t *testing.T) {
	for _, field := range []string{
		"traceparent: 00-%d-2-01", "b3: %d", "x-datadog-trace-id: %d", "x-datadog-parent-id: %d", "x-datadog-tags: _dd.p.tid=%d",
		"uber-trace-id: %d", "sentry-trace: %d", "newrelic: %d", "elastic-apm-traceparent: %d", "x-ot-span-context: %d",
		"grpc-trace-bin: %d", "baggage: sentry-trace_id=%d, sentry-release=1,sentry-sampled=true",
	} {
		r := newRig(t, &lastgood.Options{MaxStale: time.Hour})
		r.fill(func(req *http.Request) (*http.Response, error) {
			inside := req.Clone(req.Context())
			for name, values := range header(fmt.Sprintf(field, 1)) {
				inside.Header.Set(name, values[0])
			}
			return ok("good")(inside)
		}, request(t, "GET", page))
		r.assertKept("good", request(t, "GET", page), field)
		r.assertKept("good", request(t, "GET", page, fmt.Sprintf(field, 2)), field)
	}
	for _, baggage := range []string{"tenant=a", "sentry-trace_id=1,tenant=a", ""} {
		r := newRig(t, &lastgood.Options{MaxStale: time.Hour})
		r.fill(ok("a's"), request(t, "GET", page, "Baggage: "+baggage))
		r.assertKept("", request(t, "GET", page, "Baggage: tenant=b"), baggage)
		r.assertKept("", request(t, "GET", page, "Baggage: sentry-trace_id=1"), baggage)
	}
}

type userKey struct{}

func as(req *http.Request, user string) *http.Request {
	return req.WithContext(context.WithValue(req.Context(), userKey{}, user))
}

func userOf(req *http.Request) string {
	user, _ := req.Context().Value(userKey{}).(string)
	return user
}

func TestNamedUsersHaveAnswersOfTheirOwn(t *testing.T) {
	r := newRig(t, &lastgood.Options{MaxStale: time.Hour, User: userOf})
	alice, bob, nobody := as(request(t, "GET", page), "alice"), as(request(t, "GET", page), "bob"), request(t, "GET", page)
	r.fill(ok("alice's", "Cache-Control: private"), alice)
	r.assertKept("", bob)
	r.assertKept("", nobody)
	r.fill(ok("bob's"), bob)
	r.fill(ok("for all"), nobody)
	r.assertKept("alice's", alice)
	r.assertKept("bob's", bob)
	r.assertKept("for all", nobody)

	// How the user and the URL are put together must not matter.
	r.assertKept("", as(request(t, "GET", "http://host.example/page"), "alicehttp://host.example"))
}

func TestUserDecidesAndNotTheHeader(t *testing.T) {
	r := newRig(t, &lastgood.Options{MaxStale: time.Hour, User: userOf})
	r.fill(ok("alice's"), as(request(t, "GET", page, "X-Forwarded-For: 192.0.2.1", "Cookie: a=1"), "alice"))
	r.assertKept("alice's", as(request(t, "GET", page, "X-Forwarded-For: 192.0.2.2", "Cookie: a=2"), "alice"))
	r.fill(ok("for all"), request(t, "GET", page, "X-Forwarded-For: 192.0.2.1"))
	r.assertKept("for all", request(t, "GET", page, "X-Forwarded-For: 192.0.2.2"))
	r.assertKept("", request(t, "GET", page, "X-Forwarded-For: 192.0.2.1", "Cookie: a=1"))
}

// A layer inside of the cache, such as that of golang.org/x/oauth2, sends a request of its own and
// returns a response with that.
func TestWhatALayerInsideAdds(t *testing.T) {
	for _, test := range []struct {
		adds string
		says string
		user func(*http.Request) string
		kept bool
	}{
		{adds: "Authorization: Bearer alice"},
		{adds: "Cookie: a=1"},
		{adds: "X-Api-Key: alice"},
		{adds: "Traceparent: 00-1-2-01", kept: true},
		{adds: "Accept-Language: de", kept: true},
		{adds: "Accept-Language: de", says: "Vary: Accept-Language"},
		{adds: "Authorization: Bearer alice", user: userOf, kept: true},
		{adds: "X-Api-Key: alice", user: userOf, kept: true},
		{adds: "Accept-Language: de", says: "Vary: Accept-Language", user: userOf},
	} {
		r := newRig(t, &lastgood.Options{MaxStale: time.Hour, User: test.user})
		r.fill(func(req *http.Request) (*http.Response, error) {
			inside := req.Clone(req.Context())
			for name, values := range header(test.adds) {
				inside.Header[name] = values
			}
			return ok("good", test.says)(inside)
		}, as(request(t, "GET", page), "alice"))
		want := ""
		if test.kept {
			want = "good"
		}
		r.assertKept(want, as(request(t, "GET", page), "alice"), test.adds)
	}
	r := newRig(t, &lastgood.Options{MaxStale: time.Hour})
	r.fill(func(req *http.Request) (*http.Response, error) {
		return ok("good")(request(t, "GET", "http://alice:secret@host.example/page"))
	}, request(t, "GET", page))
	r.assertKept("", request(t, "GET", page))
}

// RoundTrip must not modify the request, and many layers do all the same.
func TestWhatALayerInsideAddsInPlace(t *testing.T) {
	for _, adds := range []string{"Authorization", "Cookie", "Proxy-Authorization", "X-Api-Key"} {
		for name, user := range map[string]func(*http.Request) string{
			"no User": nil, "nobody in particular": func(*http.Request) string { return "" }, "named": userOf,
		} {
			r := newRig(t, &lastgood.Options{MaxStale: time.Hour, User: user})
			for _, knows := range []bool{true, false} { // whether a response names its request
				r.fill(func(req *http.Request) (*http.Response, error) {
					req.Header.Set(adds, userOf(req))
					res, err := ok("for " + userOf(req))(req)
					if !knows {
						res.Request = nil
					}
					return res, err
				}, as(request(t, "GET", page), "alice"))
				bob := r.do(as(request(t, "GET", page), "bob"))
				if adds == "X-Api-Key" && name == "nobody in particular" { // by the word of Options.User
					assert.Equal(t, "for alice", bob.body)
				} else {
					assert.Empty(t, bob.body, "%s, %s, response names its request: %v", adds, name, knows)
				}
			}
		}
	}
}

func TestPanicInUserGoesOn(t *testing.T) {
	c := lastgood.New(&lastgood.Options{User: func(*http.Request) string { panic("no user") }})
	rt := c.Transport(roundTripper(func(*http.Request) (*http.Response, error) {
		t.Error("the host was asked")
		return nil, errDown
	}))
	closed := 0
	req := request(t, "POST", page)
	req.Body = &countedBody{http.NoBody, &closed}
	require.PanicsWithValue(t, "no user", func() { _, _ = rt.RoundTrip(req) })
	assert.Equal(t, 1, closed)
}
