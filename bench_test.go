package httpbreaker_test

import (
	"io"
	"net/http"
	"runtime"
	"testing"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/internal/rig"
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

// roundTrips are what a round trip may allocate.
func roundTrips() []roundTrip {
	header := http.Header{"Content-Type": {"application/json"}}
	noBody := http.Response{StatusCode: 204, Header: header, Body: http.NoBody}
	withBody := http.Response{StatusCode: 200, Header: header, ContentLength: 100}
	return []roundTrip{
		{"no-body", "https://api.example.com/v1", httpbreaker.Config{}, noBody, 0, 0},
		{"no-port", "http://api.example.com/v1", httpbreaker.Config{}, noBody, 0, 0},
		{"headers-only", "https://api.example.com/v1", httpbreaker.Config{HeadersOnly: true}, withBody, 0, 0},
		{"watched-body", "https://api.example.com/v1", httpbreaker.Config{}, withBody, 1, 96},
		{"own-classifier", "https://api.example.com/v1", httpbreaker.Config{Classify: httpbreaker.DeadlinesOver(nil, 1)}, withBody, 1, 128},
	}
}

type roundTrip struct {
	name     string
	url      string
	cfg      httpbreaker.Config
	response http.Response
	allocs   float64
	bytes    uint64
}

// prepare returns a function that makes the round trip.
func (r roundTrip) prepare(t testing.TB) func() {
	r.cfg.Base = &constantBase{res: r.response}
	rt := httpbreaker.New(&r.cfg)
	req := rig.NewRequest(t, "GET", r.url, nil)
	buf := make([]byte, 512)
	return func() {
		res, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = res.Body.Read(buf)
		_ = res.Body.Close()
	}
}

func TestRoundTripAllocations(t *testing.T) {
	for _, r := range roundTrips() {
		if got := testing.AllocsPerRun(100, r.prepare(t)); got > r.allocs {
			t.Errorf("%s: %v allocations; want at most %v", r.name, got, r.allocs)
		}
		if got := bytesPerRun(1000, r.prepare(t)); got > r.bytes {
			t.Errorf("%s: %d bytes; want at most %d", r.name, got, r.bytes)
		}
	}
}

// README.md has the figure.
func TestUploadAllocations(t *testing.T) {
	base := &constantBase{res: http.Response{StatusCode: 204, Body: http.NoBody}}
	rt := httpbreaker.New(&httpbreaker.Config{Base: rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
		_, _ = req.Body.Read(nil)
		_ = req.Body.Close()
		return base.RoundTrip(req)
	})})
	req := rig.NewRequest(t, "POST", "https://api.example.com/v1", &constantBody{})
	if got := testing.AllocsPerRun(100, func() { _, _ = rt.RoundTrip(req) }); got > 4 {
		t.Errorf("%v allocations; want at most 4", got)
	}
}

// bytesPerRun is testing.AllocsPerRun for bytes.
func bytesPerRun(runs uint64, f func()) uint64 {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	f()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		f()
	}
	runtime.ReadMemStats(&after)
	return (after.TotalAlloc - before.TotalAlloc) / runs
}

func BenchmarkRoundTrip(b *testing.B) {
	for _, r := range roundTrips() {
		b.Run(r.name, func(b *testing.B) {
			send := r.prepare(b)
			b.ReportAllocs()
			for b.Loop() {
				send()
			}
		})
	}
}
