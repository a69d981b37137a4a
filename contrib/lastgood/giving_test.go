package lastgood_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/lastgood"
)

// Each answer is asked for again after some time, when the host is down.
func TestHowLongAnAnswerIsGiven(t *testing.T) {
	alice := func(*http.Request) string { return "alice" }
	const never = -1 * time.Second
	for _, test := range []struct {
		name     string
		section  string // of RFC 9111 unless it says otherwise
		says     []string
		asks     []string
		maxStale time.Duration
		user     func(*http.Request) string
		until    time.Duration // the last second at which it is given
	}{
		{name: "nobody says anything", section: "4.2.4", until: 0},
		{name: "MaxStale", section: "4.2.4", maxStale: 100 * time.Second, until: 100 * time.Second},
		{name: "max-age", section: "4.2.1", says: []string{"Cache-Control: max-age=60"}, until: 60 * time.Second},
		{name: "max-age and MaxStale", section: "4.2.4", says: []string{"Cache-Control: max-age=60"}, maxStale: 100 * time.Second, until: 160 * time.Second},
		{name: "max-age twice", section: "4.2.1", says: []string{"Cache-Control: max-age=60", "Cache-Control: max-age=30"}, until: 30 * time.Second},
		{name: "Expires", section: "5.3", says: []string{"Expires: " + at(40)}, until: 40 * time.Second},
		{name: "Expires and max-age", section: "5.3", says: []string{"Cache-Control: max-age=60", "Expires: " + at(40)}, until: 60 * time.Second},
		{name: "Expires before Date", section: "4.2.1", says: []string{"Expires: " + at(-40)}, maxStale: 10 * time.Second, until: 10 * time.Second},
		{name: "Expires: 0", section: "5.3", says: []string{"Expires: 0"}, maxStale: 10 * time.Second, until: 10 * time.Second},
		{name: "Expires twice", section: "4.2.1", says: []string{"Expires: " + at(40), "Expires: " + at(80)}, maxStale: 10 * time.Second, until: 10 * time.Second},
		{name: "Expires without Date", section: "RFC 9110 6.6.1", says: []string{"Expires: " + at(40), "Date: absent"}, until: 40 * time.Second},

		{name: "Age", section: "4.2.3", says: []string{"Cache-Control: max-age=60", "Age: 20"}, until: 40 * time.Second},
		{name: "Age that counts as stale", section: "4.2.3", says: []string{"Age: 20"}, maxStale: 100 * time.Second, until: 80 * time.Second},
		{name: "Age as a list", section: "5.1", says: []string{"Cache-Control: max-age=60", "Age: 20, 50"}, until: 40 * time.Second},
		{name: "Age twice", section: "5.1", says: []string{"Cache-Control: max-age=60", "Age: 20", "Age: 50"}, until: 40 * time.Second},
		{name: "Age that is none", section: "5.1", says: []string{"Cache-Control: max-age=60", "Age: -20"}, until: 60 * time.Second},
		{name: "Age beyond all numbers", section: "1.2.2", says: []string{"Cache-Control: max-age=60", "Age: 99999999999999999999"}, maxStale: time.Hour, until: never},
		{name: "old Date", section: "4.2.3", says: []string{"Cache-Control: max-age=60", "Date: " + at(-20)}, until: 40 * time.Second},
		{name: "old Date and more Age", section: "4.2.3", says: []string{"Cache-Control: max-age=60", "Date: " + at(-20), "Age: 30"}, until: 30 * time.Second},
		{name: "Date of the year 1", section: "4.2.3", says: []string{"Date: Mon, 01 Jan 0001 00:00:00 GMT"}, maxStale: time.Hour, until: never},
		{name: "Date in the future", section: "4.2.3", says: []string{"Cache-Control: max-age=60", "Date: " + at(20)}, until: 60 * time.Second},
		{name: "Date that is none", section: "RFC 9110 6.6.1", says: []string{"Cache-Control: max-age=60", "Date: today"}, until: 60 * time.Second},

		{name: "stale-if-error", section: "RFC 5861 4", says: []string{"Cache-Control: max-age=60, stale-if-error=30"}, until: 90 * time.Second},
		{name: "stale-if-error and nothing else", section: "RFC 5861 4", says: []string{"Cache-Control: stale-if-error=30"}, until: 30 * time.Second},
		{name: "stale-if-error below MaxStale", section: "RFC 5861 4", says: []string{"Cache-Control: stale-if-error=30"}, maxStale: time.Hour, until: 30 * time.Second},
		{name: "stale-if-error above MaxStale", section: "RFC 5861 4", says: []string{"Cache-Control: stale-if-error=60"}, maxStale: 30 * time.Second, until: 60 * time.Second},
		{name: "stale-if-error twice", section: "4.2.1", says: []string{"Cache-Control: stale-if-error=60, stale-if-error=30"}, until: 30 * time.Second},
		{name: "stale-if-error in the request", section: "RFC 5861 4", asks: []string{"Cache-Control: stale-if-error=30"}, until: 30 * time.Second},
		{name: "stale-if-error in both", section: "RFC 5861 4", says: []string{"Cache-Control: stale-if-error=60"}, asks: []string{"Cache-Control: stale-if-error=30"}, until: 30 * time.Second},
		{name: "more of it in the request", section: "RFC 5861 4", says: []string{"Cache-Control: stale-if-error=30"}, asks: []string{"Cache-Control: stale-if-error=60"}, until: 30 * time.Second},
		{name: "less than MaxStale in the request", section: "RFC 5861 4", asks: []string{"Cache-Control: stale-if-error=30"}, maxStale: time.Hour, until: 30 * time.Second},
		{name: "stale-while-revalidate", section: "RFC 5861 3", says: []string{"Cache-Control: max-age=60, stale-while-revalidate=30"}, until: 60 * time.Second},

		{name: "must-revalidate", section: "5.2.2.2", says: []string{"Cache-Control: max-age=60, must-revalidate, stale-if-error=30"}, maxStale: time.Hour, until: 59 * time.Second},
		{name: "must-revalidate and a patient request", section: "5.2.2.2", says: []string{"Cache-Control: max-age=60, must-revalidate"}, asks: []string{"Cache-Control: max-stale, stale-if-error=9"}, until: 59 * time.Second},
		{name: "must-revalidate and a name", section: "5.2.2.2", says: []string{"Cache-Control: max-age=60, must-revalidate"}, user: alice, maxStale: time.Hour, until: 59 * time.Second},
		{name: "proxy-revalidate", section: "5.2.2.8", says: []string{"Cache-Control: max-age=60, proxy-revalidate"}, maxStale: time.Hour, until: 59 * time.Second},
		{name: "proxy-revalidate and a name", section: "5.2.2.8", says: []string{"Cache-Control: max-age=60, proxy-revalidate"}, user: alice, maxStale: 30 * time.Second, until: 90 * time.Second},
		{name: "s-maxage", section: "5.2.2.10", says: []string{"Cache-Control: max-age=60, s-maxage=30, stale-if-error=99"}, maxStale: time.Hour, until: 29 * time.Second},
		{name: "s-maxage and a name", section: "5.2.2.10", says: []string{"Cache-Control: max-age=60, s-maxage=30, stale-if-error=10"}, user: alice, until: 70 * time.Second},

		{name: "max-age in the request", section: "5.2.1.1", says: []string{"Cache-Control: max-age=60"}, asks: []string{"Cache-Control: max-age=30"}, until: 30 * time.Second},
		{name: "max-age of a stale answer in the request", section: "5.2.1.1", says: []string{"Cache-Control: max-age=60"}, asks: []string{"Cache-Control: max-age=99"}, maxStale: time.Hour, until: 59 * time.Second},
		{name: "max-age and max-stale in the request", section: "5.2.1.1", says: []string{"Cache-Control: max-age=60"}, asks: []string{"Cache-Control: max-age=99, max-stale=20"}, until: 80 * time.Second},
		{name: "max-stale", section: "5.2.1.2", says: []string{"Cache-Control: max-age=60"}, asks: []string{"Cache-Control: max-stale=20"}, until: 80 * time.Second},
		{name: "max-stale of any time", section: "5.2.1.2", asks: []string{"Cache-Control: max-stale"}, says: []string{"Cache-Control: stale-if-error=30"}, until: 30 * time.Second},
		{name: "max-stale and stale-if-error in the request", section: "RFC 5861 4", asks: []string{"Cache-Control: max-stale=20, stale-if-error=30"}, until: 30 * time.Second},
		{name: "min-fresh", section: "5.2.1.3", says: []string{"Cache-Control: max-age=60"}, asks: []string{"Cache-Control: min-fresh=20"}, maxStale: time.Hour, until: 40 * time.Second},
		{name: "min-fresh twice", section: "5.2.1.3", says: []string{"Cache-Control: max-age=60"}, asks: []string{"Cache-Control: min-fresh=20, min-fresh=50"}, until: 10 * time.Second},
		{name: "no-cache in the request", section: "5.2.1.4", says: []string{"Cache-Control: max-age=60"}, asks: []string{"Cache-Control: no-cache, stale-if-error=60"}, until: never},
		{name: "Pragma in the request", section: "5.4", says: []string{"Cache-Control: max-age=60"}, asks: []string{"Pragma: no-cache"}, until: never},
		{name: "no-store in the request", section: "5.2.1.5", says: []string{"Cache-Control: max-age=60"}, asks: []string{"Cache-Control: no-store"}, until: never},
		{name: "only-if-cached", section: "5.2.1.7", says: []string{"Cache-Control: max-age=60"}, asks: []string{"Cache-Control: only-if-cached"}, until: 60 * time.Second},
		{name: "no-transform in the request", section: "5.2.1.6", says: []string{"Cache-Control: max-age=60"}, asks: []string{"Cache-Control: no-transform"}, until: 60 * time.Second},

		{name: "Range", section: "RFC 9110 14.2", says: []string{"Cache-Control: max-age=60"}, asks: []string{"Range: bytes=0-1"}, until: never},
		{name: "If-None-Match", section: "4.3.2", says: []string{"Cache-Control: max-age=60"}, asks: []string{`If-None-Match: "1"`}, until: never},
		{name: "If-Modified-Since", section: "4.3.2", says: []string{"Cache-Control: max-age=60"}, asks: []string{"If-Modified-Since: " + at(0)}, until: never},
		{name: "Cookie", section: "7.3", says: []string{"Cache-Control: max-age=60"}, asks: []string{"Cookie: session=1"}, until: never},
		{name: "Authorization", section: "3.5", says: []string{"Cache-Control: max-age=60, public"}, asks: []string{"Authorization: Bearer alice"}, until: never},
	} {
		t.Run(test.name+", section "+test.section, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, &lastgood.Options{MaxStale: test.maxStale, User: test.user})
				r.fill(ok("good", test.says...), request(t, "GET", page))
				last := never
				for range 200 {
					if r.get(page, test.asks...).from == "kept" {
						require.Equal(t, last+time.Second, sinceStart(), "it is given without a break")
						last = sinceStart()
					}
					time.Sleep(time.Second)
				}
				assert.Equal(t, test.until, last)
			})
		})
	}
}

// start is when the time of a synctest bubble begins.
var start = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func sinceStart() time.Duration { return time.Since(start) }

func at(seconds int) string {
	return start.Add(time.Duration(seconds) * time.Second).Format(http.TimeFormat)
}

// The time that an answer took to come may have passed after it was made (section 4.2.3).
func TestDelayCountsAsAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, &lastgood.Options{MaxStale: time.Hour})
		r.fill(func(req *http.Request) (*http.Response, error) {
			time.Sleep(7 * time.Second)
			return ok("good", "Age: 3")(req)
		}, request(t, "GET", page))
		time.Sleep(2500 * time.Millisecond)
		assert.Equal(t, "12", r.get(page).res.Header.Get("Age"))
	})
}

func TestHeaderOfAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.fill(ok("good", "Cache-Control: max-age=60", "Content-Type: text/plain", `Etag: "1"`, "Age: 5", "X-Two: a", "X-Two: b", "Date: absent",
			"Connection: close, x-hop", "X-Hop: 1", "Keep-Alive: timeout=5", "Proxy-Connection: close", "Te: trailers", "Trailer: X-Sum",
			"Transfer-Encoding: chunked", "Upgrade: h2c", "Proxy-Authenticate: Basic", "Proxy-Authentication-Info: x", "Proxy-Authorization: x",
			`Alt-Svc: h3=":443"`, "Content-Length: 999", "Warning: 299 - careful"), request(t, "GET", page))
		time.Sleep(10 * time.Second)
		got := r.get(page).res
		assert.Equal(t, header("Cache-Control: max-age=60", "Content-Type: text/plain", `Etag: "1"`, "X-Two: a", "X-Two: b",
			"Date: "+at(0), "Age: 15", "Content-Length: 4", "Warning: 299 - careful",
			"Proxy-Status: httpbreaker; error=destination_unavailable; details=\"request failed\""), got.Header)
		assert.Equal(t, "200 OK", got.Status)
		assert.Equal(t, "HTTP/1.1", got.Proto)
		assert.EqualValues(t, 4, got.ContentLength)
		assert.Empty(t, got.TransferEncoding)

		got.Header["X-Two"][0] = "changed" // by one client
		assert.Equal(t, "a", r.get(page).res.Header.Get("X-Two"))
	})
}

func TestHEADIsAnsweredWithoutBody(t *testing.T) {
	r := newRig(t, &lastgood.Options{MaxStale: time.Hour})
	r.fill(ok("good"), request(t, "GET", page))
	got := r.do(request(t, "HEAD", page))
	assert.Equal(t, "kept", got.from)
	assert.Equal(t, "", got.body)
	assert.EqualValues(t, 4, got.res.ContentLength)
}

// The header is changed by the caller's own layers once it has it.
func TestAnswerIsKeptAsItCame(t *testing.T) {
	r := newRig(t, &lastgood.Options{MaxStale: time.Hour})
	r.answer = ok("good", "X-Host: host")
	res, err := r.breaker.RoundTrip(request(t, "GET", page))
	require.NoError(t, err)
	res.Header["X-Host"][0], res.ContentLength = "proxy", 99
	res.Header.Set("Set-Cookie", "session=1")
	require.Len(t, readAll(t, res), 4)
	r.answer = nil
	assert.Equal(t, "host", r.get(page).res.Header.Get("X-Host"))
	assert.Empty(t, r.get(page).res.Header.Get("Set-Cookie"))
}

// RFC 5861 section 4: an error is what would be a 500, 502, 503 or 504.
func TestWhichResponsesAreReplaced(t *testing.T) {
	for code, replaced := range map[int]bool{
		500: true, 502: true, 503: true, 504: true, 520: true, 599: true,
		400: false, 401: false, 403: false, 404: false, 429: false, 501: false, 505: false, 507: false, 511: false,
	} {
		c := lastgood.New(&lastgood.Options{MaxStale: time.Hour})
		broken := false
		rt := httpbreaker.New(&httpbreaker.Config{
			Base: c.Transport(roundTripper(func(req *http.Request) (*http.Response, error) {
				if broken {
					return status(code, "error")(req)
				}
				return ok("good")(req)
			})),
			Fallback: c.Fallback, FallbackOnFailure: true,
			Classify: httpbreaker.Statuses(nil, breaker.Failure, code),
		})
		res, err := rt.RoundTrip(request(t, "GET", page))
		require.NoError(t, err)
		readAll(t, res)
		broken = true
		res, err = rt.RoundTrip(request(t, "GET", page))
		require.NoError(t, err)
		assert.Equal(t, replaced, httpbreaker.IsFallback(res), code)
		readAll(t, res)
	}
}

func TestOpenCircuitIsAnsweredWithoutAskingTheHost(t *testing.T) {
	r := newRig(t, &lastgood.Options{MaxStale: time.Hour})
	r.fill(ok("good"), request(t, "GET", page))
	r.answer = func(*http.Request) (*http.Response, error) {
		t.Error("the host was asked")
		return nil, errDown
	}
	for _, b := range r.breaker.Breakers().All() {
		b.Trip(time.Hour, "test")
	}
	got := r.get(page)
	assert.Equal(t, "kept", got.from)
	assert.Contains(t, got.res.Header.Get("Proxy-Status"), "circuit open")
	_, err := r.breaker.RoundTrip(request(t, "GET", page+"/other"))
	assert.ErrorIs(t, err, httpbreaker.ErrOpen)
}

// A caller whose deadline has passed can still read what is given.
func TestAnswerAfterTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, &lastgood.Options{MaxStale: time.Hour})
		r.fill(ok("good"), request(t, "GET", page))
		r.answer = func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		got := r.do(request(t, "GET", page).WithContext(ctx))
		assert.Equal(t, "kept", got.from)
		assert.Equal(t, "good", got.body)

		client := &http.Client{Transport: r.breaker, Timeout: time.Second}
		res, err := client.Get(page)
		require.NoError(t, err)
		assert.True(t, httpbreaker.IsFallback(res))
		assert.Equal(t, "good", readAll(t, res))
	})
}

func TestFallbackByHand(t *testing.T) {
	c := lastgood.New(nil)
	for _, r := range []httpbreaker.Result{
		{}, {Request: &http.Request{}}, {Request: request(t, "GET", page)}, {Request: request(t, "POST", page)}, {Response: &http.Response{}},
	} {
		res, err := c.Fallback(r)
		assert.Nil(t, res)
		assert.NoError(t, err)
	}
}
