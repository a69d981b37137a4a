package httpbreaker_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/seed-0b728cf8/httpbreaker"
)

// A constantBase answers every request with a response that costs nothing, so that
// what is left is the cost of the Transport.
type constantBase struct {
	res  http.Response
	body constantBody
}

func (b *constantBase) RoundTrip(req *http.Request) (*http.Response, error) {
	b.res.Request = req
	if b.res.ContentLength != 0 {
		b.res.Body = &b.body
	}
	return &b.res, nil
}

type constantBody struct{}

func (*constantBody) Read([]byte) (int, error) { return 0, io.EOF }
func (*constantBody) Close() error             { return nil }

func BenchmarkRoundTrip(b *testing.B) {
	header := http.Header{"Content-Type": {"application/json"}}
	noBody := http.Response{StatusCode: 204, Header: header, Body: http.NoBody}
	withBody := http.Response{StatusCode: 200, Header: header, ContentLength: 100}
	for _, bm := range []struct {
		name     string
		url      string
		cfg      httpbreaker.Config
		response http.Response
		allocs   float64
	}{
		{"no body", "https://api.example.com/v1", httpbreaker.Config{}, noBody, 0},
		{"no body, no port", "http://api.example.com/v1", httpbreaker.Config{}, noBody, 0},
		{"headers only", "https://api.example.com/v1", httpbreaker.Config{HeadersOnly: true}, withBody, 0},
		{"watched body", "https://api.example.com/v1", httpbreaker.Config{}, withBody, 1},
	} {
		b.Run(strings.ReplaceAll(bm.name, " ", "-"), func(b *testing.B) {
			bm.cfg.Base = &constantBase{res: bm.response}
			t := httpbreaker.New(&bm.cfg)
			req, err := http.NewRequest("GET", bm.url, nil)
			if err != nil {
				b.Fatal(err)
			}
			buf := make([]byte, 512)
			roundTrip := func() {
				res, err := t.RoundTrip(req)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = res.Body.Read(buf)
				_ = res.Body.Close()
			}
			if got := testing.AllocsPerRun(100, roundTrip); got > bm.allocs {
				b.Errorf("%v allocations per round trip; want at most %v", got, bm.allocs)
			}
			b.ReportAllocs()
			for b.Loop() {
				roundTrip()
			}
		})
	}
}
