package lastgood_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker/contrib/lastgood"
)

// RFC 9111 section 4.4.
func TestWrites(t *testing.T) {
	const item = "http://host.example/items/7"
	for _, test := range []struct {
		method string
		url    string
		status int
		says   []string
		ends   bool
	}{
		{method: "POST", url: item, status: 200, ends: true},
		{method: "PUT", url: item, status: 204, ends: true},
		{method: "PATCH", url: item, status: 302, ends: true},
		{method: "DELETE", url: item, status: 202, ends: true},
		{method: "FROB", url: item, status: 200, ends: true},
		{method: "POST", url: item, status: 399, ends: true},
		{method: "POST", url: item, status: 101},
		{method: "OPTIONS", url: item, status: 200},
		{method: "TRACE", url: item, status: 200},
		{method: "HEAD", url: item, status: 404},
		{method: "POST", url: item, status: 400},
		{method: "POST", url: item, status: 404},
		{method: "POST", url: item, status: 500},
		{method: "POST", url: item + "?other", status: 200},
		{method: "POST", url: "http://HOST.example:80/items/7#x", status: 200, ends: true},
		{method: "POST", url: "http://host.example/items", status: 201, says: []string{"Location: /items/7"}, ends: true},
		{method: "POST", url: "http://host.example/items", status: 201, says: []string{"Location: " + item}, ends: true},
		{method: "POST", url: "http://host.example/items/", status: 201, says: []string{"Content-Location: 7"}, ends: true},
		{method: "POST", url: "http://host.example/items", status: 201, says: []string{"Location: :bad:"}},
		{method: "POST", url: "http://host.example/items", status: 400, says: []string{"Location: /items/7"}},
		{method: "POST", url: "http://evil.example/items", status: 201, says: []string{"Location: " + item}},
		{method: "POST", url: "https://host.example/items", status: 201, says: []string{"Location: " + item}},
		{method: "POST", url: "http://host.example:8080/items", status: 201, says: []string{"Location: " + item}},
	} {
		t.Run(test.method+" "+test.url+" "+http.StatusText(test.status), func(t *testing.T) {
			r := newRig(t, &lastgood.Options{MaxStale: time.Hour})
			r.fill(ok("old"), request(t, "GET", item))
			r.fill(ok("old"), request(t, "GET", item, "X-Api-Key: other"))
			r.answer = status(test.status, "", test.says...)
			r.do(request(t, test.method, test.url, "Authorization: Bearer alice", "Content-Type: text/plain"))
			want := "old"
			if test.ends {
				want = ""
			}
			r.assertKept(want, request(t, "GET", item))
			r.assertKept(want, request(t, "GET", item, "X-Api-Key: other"))
		})
	}
}

func TestFailedWriteEndsNothing(t *testing.T) {
	r := newRig(t, &lastgood.Options{MaxStale: time.Hour})
	r.fill(ok("old"), request(t, "GET", page))
	assert.Equal(t, "", r.do(request(t, "POST", page)).from)
	r.assertKept("old", request(t, "GET", page))
}

func TestWriteOfAUserEndsTheUsersAnswerAndThatForAll(t *testing.T) {
	r := newRig(t, &lastgood.Options{MaxStale: time.Hour, User: userOf})
	alice, bob, nobody := as(request(t, "GET", page), "alice"), as(request(t, "GET", page), "bob"), request(t, "GET", page)
	for _, req := range []*http.Request{alice, bob, nobody} {
		r.fill(ok("old"), req)
	}
	r.answer = status(204, "")
	r.do(as(request(t, "PUT", page), "alice"))
	r.assertKept("", alice)
	r.assertKept("", nobody)
	r.assertKept("old", bob) // a private cache is not told of others' writes
}

// An answer that was asked for before a write may show what was before it.
func TestAnswerUnderWayDuringAWriteIsNotKept(t *testing.T) {
	for name, change := range map[string]func(*rig){
		"a write":            func(r *rig) { r.answer = status(204, ""); r.do(request(t, "PUT", page)) },
		"an outdated answer": func(r *rig) { r.answer = status(403, ""); r.get(page) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, &lastgood.Options{MaxStale: time.Hour})
			r.fill(ok("old"), request(t, "GET", page))
			r.answer = ok("old")
			res, err := r.breaker.RoundTrip(request(t, "GET", page))
			require.NoError(t, err)
			change(r)
			assert.Equal(t, "old", readAll(t, res))
			r.assertKept("", request(t, "GET", page))
			r.fill(ok("new"), request(t, "GET", page))
			r.assertKept("new", request(t, "GET", page))
		})
	}
}
