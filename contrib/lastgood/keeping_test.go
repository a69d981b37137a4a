package lastgood_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/seed-0b728cf8/httpbreaker/contrib/lastgood"
)

// Each answer is asked for again at once, when the host is down.
func TestWhatIsKept(t *testing.T) {
	alice := func(*http.Request) string { return "alice" }
	anybody := func(*http.Request) string { return "" }
	for _, test := range []struct {
		name    string
		section string // of RFC 9111 unless it says otherwise
		asks    []string
		says    []string
		user    func(*http.Request) string
		kept    bool
	}{
		{name: "an answer that says nothing", section: "3", kept: true},
		{name: "max-age", section: "5.2.2.1", says: []string{"Cache-Control: max-age=60"}, kept: true},
		{name: "public", section: "5.2.2.9", says: []string{"Cache-Control: public"}, kept: true},
		{name: "no-transform", section: "5.2.2.6", says: []string{"Cache-Control: no-transform"}, kept: true},
		{name: "an extension", section: "5.2.3", says: []string{`Cache-Control: max-age=60, community="UCI, no-store"`}, kept: true},

		{name: "an extension of all that a name can be made of", section: "RFC 9110 5.6.2", says: []string{"Cache-Control: azAZ09!#$%&'*+-.^_`|~=1"}, kept: true},

		{name: "no-store", section: "5.2.2.5", says: []string{"Cache-Control: no-store"}},
		{name: "no-store in capitals", section: "5.2", says: []string{"Cache-Control: NO-STORE"}},
		{name: "no-store in a second line", section: "5.2", says: []string{"Cache-Control: max-age=60", "Cache-Control: no-store"}},
		{name: "no-store under a name that is not canonical", section: "RFC 9110 5.1", says: []string{"cache-control: no-store"}},
		{name: "no-store among empty elements", section: "RFC 9110 5.6.1", says: []string{"Cache-Control: , ,max-age=60,,\tno-store,"}},
		{name: "no-store with an argument", section: "5.2.2.5", says: []string{"Cache-Control: no-store=0"}},
		{name: "no-store beside public and max-age", section: "4.2.1", says: []string{"Cache-Control: public, max-age=60, no-store"}},
		{name: "no-store for who does not understand", section: "5.2.2.3", says: []string{"Cache-Control: must-understand, no-store"}},
		{name: "no-store of one user's answer", section: "5.2.2.5", says: []string{"Cache-Control: no-store"}, user: alice},
		{name: "no-store in the request", section: "5.2.1.5", asks: []string{"Cache-Control: no-store"}},
		{name: "no-cache", section: "5.2.2.4", says: []string{"Cache-Control: no-cache"}},
		{name: "no-cache for some fields", section: "5.2.2.4", says: []string{`Cache-Control: no-cache="set-cookie"`}},
		{name: "no-cache of one user's answer", section: "5.2.2.4", says: []string{"Cache-Control: no-cache"}, user: alice},
		{name: "Pragma: no-cache", section: "5.4", says: []string{"Pragma: No-Cache"}},
		{name: "Pragma beside Cache-Control", section: "5.4", says: []string{"Pragma: no-cache", "Cache-Control: max-age=60"}, kept: true},
		{name: "private", section: "5.2.2.7", says: []string{"Cache-Control: private, max-age=60"}},
		{name: "private for some fields", section: "5.2.2.7", says: []string{`Cache-Control: private="x-name", max-age=60`}},
		{name: "private, and a name", section: "5.2.2.7", says: []string{"Cache-Control: private, max-age=60"}, user: alice, kept: true},
		{name: "private, and a user without a name", section: "5.2.2.7", says: []string{"Cache-Control: private, max-age=60"}, user: anybody},

		{name: "a time that is none", section: "4.2.1", says: []string{"Cache-Control: max-age=soon"}},
		{name: "a negative time", section: "1.2.2", says: []string{"Cache-Control: max-age=-1"}},
		{name: "a fraction", section: "1.2.2", says: []string{"Cache-Control: max-age=1.5"}},
		{name: "no time", section: "5.2.2.1", says: []string{"Cache-Control: max-age"}},
		{name: "an empty time", section: "5.2", says: []string{"Cache-Control: max-age="}},
		{name: "a time beyond all numbers", section: "1.2.2", says: []string{"Cache-Control: max-age=" + strings.Repeat("9", 1000)}, kept: true},
		{name: "a quoted time", section: "5.2", says: []string{`Cache-Control: max-age="60"`}, kept: true},
		{name: "white space around =", section: "5.2", says: []string{"Cache-Control: max-age = 60"}},
		{name: "no comma", section: "5.2", says: []string{"Cache-Control: max-age=60 public"}},
		{name: "a string without an end", section: "5.2", says: []string{`Cache-Control: private="x`}},
		{name: "a string that ends in a backslash", section: "5.2", says: []string{`Cache-Control: private="x\`}},
		{name: "a semicolon", section: "5.2", says: []string{"Cache-Control: max-age=60; no-store"}},
		{name: "a request that cannot be understood", section: "5.2.1", asks: []string{"Cache-Control: max-age=now"}},

		{name: "Authorization", section: "3.5", asks: []string{"Authorization: Bearer alice"}},
		{name: "Authorization and public", section: "3.5", asks: []string{"Authorization: Bearer alice"}, says: []string{"Cache-Control: public, max-age=60"}},
		{name: "Authorization under a name that is not canonical", section: "3.5", asks: []string{"authorization: Bearer alice"}},
		{name: "Authorization, and a name", section: "3.5", asks: []string{"Authorization: Bearer alice"}, user: alice, kept: true},
		{name: "Authorization, and a user without a name", section: "3.5", asks: []string{"Authorization: Bearer alice"}, user: anybody},
		{name: "Proxy-Authorization", section: "3.5", asks: []string{"Proxy-Authorization: Basic YTpi"}},
		{name: "Cookie", section: "7.3", asks: []string{"Cookie: session=1"}},
		{name: "Cookie, and a name", section: "7.3", asks: []string{"Cookie: session=1"}, user: alice, kept: true},
		{name: "Set-Cookie", section: "7.3", says: []string{"Set-Cookie: session=1"}},
		{name: "Set-Cookie and public", section: "7.3", says: []string{"Set-Cookie: session=1", "Cache-Control: public, max-age=60"}},
		{name: "Set-Cookie, and a name", section: "7.3", says: []string{"Set-Cookie: session=1"}, user: alice},

		{name: "Vary", section: "4.1", says: []string{"Vary: Accept, accept-language"}, kept: true},
		{name: "Vary: *", section: "4.1", says: []string{"Vary: *"}},
		{name: "Vary with * among others", section: "4.1", says: []string{"Vary: Accept", "Vary: Origin, *"}},
		{name: "Vary: *, and a name", section: "4.1", says: []string{"Vary: *"}, user: alice},
		{name: "Vary with what is no name", section: "4.1", says: []string{"Vary: Accept Language"}},
		{name: "Vary with 17 names", section: "4.1", says: []string{"Vary: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q"}},
		{name: "Vary with one name 1000 times", section: "4.1", says: []string{"Vary: " + strings.Repeat("Accept, ", 1000)}, kept: true},

		{name: "must-revalidate and stale at once", section: "5.2.2.2", says: []string{"Cache-Control: must-revalidate"}},
		{name: "must-revalidate and fresh", section: "5.2.2.2", says: []string{"Cache-Control: must-revalidate, max-age=60"}, kept: true},
		{name: "Content-Range", section: "3.4", says: []string{"Content-Range: bytes 0-3/8"}},
		{name: "an event stream", section: "3.3", says: []string{"Content-Type: Text/Event-Stream; charset=utf-8"}},
	} {
		t.Run(test.name+", section "+test.section, func(t *testing.T) {
			r := newRig(t, &lastgood.Options{MaxStale: time.Hour, User: test.user})
			r.fill(ok("good", test.says...), request(t, "GET", page, test.asks...))
			// no-store in a request would forbid to give it as well
			asks := test.asks
			if strings.Contains(test.section, "5.2.1") {
				asks = nil
			}
			want := ""
			if test.kept {
				want = "good"
			}
			r.assertKept(want, request(t, "GET", page, asks...))
		})
	}
}

func TestRequestsThatHaveNoPart(t *testing.T) {
	withBody := request(t, "GET", page)
	withBody.Body, withBody.ContentLength = io.NopCloser(strings.NewReader("query")), 5
	chunked := request(t, "GET", page)
	chunked.Body, chunked.ContentLength = io.NopCloser(strings.NewReader("query")), -1
	for name, req := range map[string]*http.Request{
		"HEAD":                    request(t, "HEAD", page),
		"POST":                    request(t, "POST", page),
		"OPTIONS":                 request(t, "OPTIONS", page),
		"content":                 withBody,
		"content without length":  chunked,
		"a user in the URL":       request(t, "GET", "http://alice:secret@host.example/page"),
		"a method in lower case":  request(t, "get", page),
		"another query":           request(t, "GET", page+"?q"),
		"another path":            request(t, "GET", page+"/"),
		"another host":            request(t, "GET", "http://other.example/page"),
		"another port":            request(t, "GET", "http://host.example:8080/page"),
		"another scheme":          request(t, "GET", "https://host.example/page"),
		"an escaped path":         request(t, "GET", "http://host.example/%70age"),
		"another name in capital": request(t, "GET", "http://host.example/Page"),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, &lastgood.Options{MaxStale: time.Hour})
			r.fill(ok("good"), req)
			r.assertKept("", request(t, "GET", page))
		})
	}
}

func TestTheSameURLInOtherWords(t *testing.T) {
	for _, url := range []string{"HTTP://HOST.example/page", "http://host.example:80/page", "http://host.example/page#part"} {
		r := newRig(t, &lastgood.Options{MaxStale: time.Hour})
		r.fill(ok("good"), request(t, "GET", url))
		r.assertKept("good", request(t, "GET", page), url)
	}
	r := newRig(t, &lastgood.Options{MaxStale: time.Hour})
	r.fill(ok("good"), &http.Request{URL: request(t, "GET", page).URL}) // Method "" is GET
	r.assertKept("good", request(t, "GET", page))
}

// Two virtual hosts may live at one address.
func TestHostFieldTellsAnswersApart(t *testing.T) {
	r := newRig(t, &lastgood.Options{MaxStale: time.Hour})
	req := request(t, "GET", page)
	req.Host = "virtual.example"
	r.fill(ok("virtual"), req)
	r.assertKept("", request(t, "GET", page))
	r.assertKept("virtual", req)
	req = request(t, "GET", "http://virtual.example/page")
	req.Host = "host.example"
	r.assertKept("", req)
}

// After a good answer the host says something else, and then is down.
func TestWhatEndsAnAnswer(t *testing.T) {
	for _, test := range []struct {
		status int
		says   string
		asks   string
		ends   bool
	}{
		{status: 200, says: "Cache-Control: no-store", ends: true},
		{status: 200, says: "Set-Cookie: session=1", ends: true},
		{status: 200, says: "Cache-Control: no-store", asks: "Authorization: Bearer alice"},
		{status: 200, says: "Cache-Control: no-store", asks: "X-Api-Key: other"},
		{status: 204, ends: true},
		{status: 206, asks: "Range: bytes=0-1"},
		{status: 301, ends: true},
		{status: 302, ends: true},
		{status: 304, asks: `If-None-Match: "1"`},
		{status: 399, ends: true},
		{status: 400},
		{status: 401, ends: true},
		{status: 401, asks: "X-Api-Key: guess"},
		{status: 403, ends: true},
		{status: 404, ends: true},
		{status: 405},
		{status: 410, ends: true},
		{status: 416},
		{status: 429},
		{status: 451, ends: true},
		{status: 500},
		{status: 501},
		{status: 503},
		{status: 599},
	} {
		t.Run(http.StatusText(test.status)+" "+test.says+" "+test.asks, func(t *testing.T) {
			r := newRig(t, &lastgood.Options{MaxStale: time.Hour})
			r.fill(ok("good"), request(t, "GET", page))
			r.answer = status(test.status, "", test.says)
			r.get(page, test.asks)
			want := "good"
			if test.ends {
				want = ""
			}
			r.assertKept(want, request(t, "GET", page))
		})
	}
}

func TestNewerAnswerReplacesOlder(t *testing.T) {
	r := newRig(t, &lastgood.Options{MaxStale: time.Hour})
	r.fill(ok("old"), request(t, "GET", page))
	r.fill(ok("new"), request(t, "GET", page))
	r.assertKept("new", request(t, "GET", page))
	r.fill(ok(""), request(t, "GET", page))
	r.answer = nil
	got := r.get(page)
	assert.Equal(t, "kept", got.from, "an empty answer is an answer")
	assert.Equal(t, "", got.body)
	assert.Equal(t, "0", got.res.Header.Get("Content-Length"))
}

// The answers of two requests that are under way at a time may come in any order.
func TestSlowerRequestDoesNotReplaceTheOneAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, &lastgood.Options{MaxStale: time.Hour})
		r.answer = ok("first")
		first, err := r.breaker.RoundTrip(request(t, "GET", page))
		assert.NoError(t, err)
		time.Sleep(time.Second)
		r.answer = ok("second")
		r.get(page)
		_, err = io.ReadAll(first.Body)
		assert.NoError(t, err)
		assert.NoError(t, first.Body.Close())
		r.assertKept("second", request(t, "GET", page))
	})
}

// What stands in for an answer is not one.
func TestFallbackOfALayerInsideIsNotKept(t *testing.T) {
	inner := newRig(t, &lastgood.Options{MaxStale: time.Hour})
	inner.fill(ok("good"), request(t, "GET", page))
	outer := newRig(t, &lastgood.Options{MaxStale: time.Hour})
	outer.answer = inner.breaker.RoundTrip
	assert.Equal(t, "good", outer.get(page).body)
	outer.assertKept("", request(t, "GET", page))
}
