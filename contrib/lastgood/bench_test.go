package lastgood

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/seed-0b728cf8/httpbreaker"
)

func BenchmarkRoundTrip(b *testing.B) {
	base := answering(1_000)
	for name, rt := range map[string]http.RoundTripper{
		"bare": base, "kept": New(nil).Transport(base), "too large": New(&Options{MaxAnswer: 100}).Transport(base),
	} {
		b.Run(name, func(b *testing.B) {
			req := httptest.NewRequest("GET", "http://host.example/path?query", nil)
			b.ReportAllocs()
			for b.Loop() {
				res, err := rt.RoundTrip(req)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
		})
	}
}

func BenchmarkFallback(b *testing.B) {
	c := New(&Options{MaxStale: time.Hour})
	req := httptest.NewRequest("GET", "http://host.example/path?query", nil)
	res, err := c.Transport(answering(1_000)).RoundTrip(req)
	if err != nil {
		b.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	b.ReportAllocs()
	for b.Loop() {
		if res, _ := c.Fallback(httpbreaker.Result{Request: req}); res == nil {
			b.Fatal("there is no answer")
		}
	}
}
