package lastgood

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-0b728cf8/httpbreaker"
)

// Whatever stands in the field, it is read or refused, and a directive that can be seen with the
// naked eye is not overlooked.
func FuzzCacheControl(f *testing.F) {
	for _, seed := range []string{
		"", ",", "no-store", "max-age=60, private", `private="x-name", no-cache`, `community="UCI\", no-store"`, "max-age=-1",
		"max-age=99999999999999999999", "s-maxage=1,s-maxage=2", "max-stale", "=", "a=\"", "\x00", "no-store\n", "max-age=60;no-store",
	} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		c, ok := controlOf(http.Header{"Cache-Control": {first, second}})
		if !ok {
			return
		}
		for _, l := range []limit{c.maxAge, c.sMaxAge, c.minFresh, c.maxStale, c.staleIfError} {
			if l.d < 0 || l.d > mostTime || !l.set && l.d != 0 {
				t.Fatalf("a time of %v", l.d)
			}
		}
		for _, line := range []string{first, second} {
			if strings.Contains(line, `"`) {
				continue
			}
			for element := range strings.SplitSeq(line, ",") {
				name, arg, _ := strings.Cut(strings.Trim(element, " \t"), "=")
				n, err := strconv.ParseInt(arg, 10, 32)
				switch name = strings.ToLower(name); {
				case name == "no-store" && !c.noStore, name == "no-cache" && !c.noCache, name == "private" && !c.private,
					name == "must-revalidate" && !c.mustRevalidate, name == "proxy-revalidate" && !c.proxyRevalidate,
					name == "max-age" && (!c.maxAge.set || err == nil && c.maxAge.d > time.Duration(n)*time.Second),
					name == "s-maxage" && !c.sMaxAge.set, name == "stale-if-error" && !c.staleIfError.set:
					t.Fatalf("%q and %q were read as %+v", first, second, c)
				}
			}
		}
	})
}

// Two requests, with an answer to the first: the second gets it only if nothing forbids it.
func FuzzExchange(f *testing.F) {
	for _, seed := range [][3]string{
		{"", "", ""},
		{"Accept: a", "Vary: Accept", "Accept: a"},
		{"X-Api-Key: a", "Cache-Control: max-age=60", "X-Api-Key: b"},
		{"Cookie: a", "Cache-Control: public", "Cookie: b"},
		{"", "Set-Cookie: a", ""},
		{"", "set-cookie: a\nCACHE-control: private", ""},
		{"", "Vary: " + strings.Repeat("Accept, ", 100), "Accept: a\naccept: b"},
		{"", "Age: -1\nAge: 99999999999\nDate: Mon, 01 Jan 0001 00:00:00 GMT\nExpires: Fri, 31 Dec 9999 23:59:59 GMT", "Cache-Control: max-stale"},
		{"", "Connection: x-a, Date\nX-A: 1\nTransfer-Encoding: chunked\nUpgrade: a", ""},
		{"", "Connection: date\nDate: Fri, 31 Dec 9999 23:59:59 GMT", ""},
		{"", "Content-Encoding: br\nContent-Range: x", "Accept-Encoding: br"},
		{"", "Cache-Control: max-age=1, s-maxage=2, must-revalidate, stale-if-error=3", "Cache-Control: min-fresh=1, max-age=0"},
	} {
		f.Add(seed[0], seed[1], seed[2], false)
		f.Add(seed[0], seed[1], seed[2], true)
	}
	f.Fuzz(func(t *testing.T, firstHeader, answerHeader, secondHeader string, named bool) {
		opts := &Options{MaxBytes: 100_000, MaxStale: time.Hour}
		if named {
			opts.User = func(*http.Request) string { return "alice" }
		}
		c := New(opts)
		first, second := fuzzedRequest(firstHeader), fuzzedRequest(secondHeader)
		answer := fuzzedHeader(answerHeader)
		rt := c.Transport(baseFunc(func(req *http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Header: answer, Request: req,
				Body: io.NopCloser(strings.NewReader("good")), ContentLength: 4,
			}, nil
		}))
		res, err := rt.RoundTrip(first)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(res.Body); string(body) != "good" || err != nil {
			t.Fatalf("the client got %q, %v", body, err)
		}
		if c.filling.Load() != 0 {
			t.Fatalf("%d bytes are being received", c.filling.Load())
		}
		given, err := c.Fallback(httpbreaker.Result{Request: second})
		if err != nil {
			t.Fatal(err)
		}
		if given == nil {
			return
		}
		if body, err := io.ReadAll(given.Body); string(body) != "good" || err != nil {
			t.Fatalf("the client was given %q, %v", body, err)
		}
		control := strings.ToLower(strings.Join(answer["Cache-Control"], ","))
		for _, word := range strings.FieldsFunc(control, func(c rune) bool { return c == ',' || c == ' ' || c == '\t' }) {
			if (word == "no-store" || word == "no-cache" || word == "private" && !named) && !strings.Contains(control, `"`) {
				t.Fatalf("given in spite of %q", control)
			}
		}
		if len(answer["Set-Cookie"]) > 0 {
			t.Fatal("given in spite of a cookie")
		}
		for _, header := range []http.Header{first.Header, second.Header} {
			if !named && (len(header["Cookie"]) > 0 || len(header["Authorization"]) > 0) {
				t.Fatalf("given in spite of credentials: %q", header)
			}
		}
		for name := range first.Header {
			if !named && !impersonal[name] && len(first.Header[name]) != len(second.Header[name]) {
				t.Fatalf("given to another user: %q, %q", first.Header, second.Header)
			}
		}
		for _, name := range []string{"Connection", "Transfer-Encoding", "Upgrade", "Keep-Alive", "Trailer", "Set-Cookie"} {
			if _, ok := given.Header[name]; ok {
				t.Fatalf("given with %s", name)
			}
		}
		age, err := strconv.ParseInt(given.Header.Get("Age"), 10, 64)
		if err != nil || age < 0 || age > 1<<31 {
			t.Fatalf("given with Age: %q", given.Header["Age"])
		}
		if _, ok := dateOf(given.Header); !ok {
			t.Fatalf("given with Date: %q", given.Header["Date"])
		}
	})
}

func fuzzedRequest(header string) *http.Request {
	req := httptest.NewRequest("GET", "http://host.example/", nil)
	req.Header = fuzzedHeader(header)
	return req
}

// fuzzedHeader reads lines as net/http would read them from a connection.
func fuzzedHeader(lines string) http.Header {
	text := strings.ReplaceAll(lines, "\n", "\r\n") + "\r\n\r\n"
	h, _ := textproto.NewReader(bufio.NewReader(bytes.NewReader([]byte(text)))).ReadMIMEHeader()
	if h == nil {
		h = make(textproto.MIMEHeader)
	}
	return http.Header(h)
}
