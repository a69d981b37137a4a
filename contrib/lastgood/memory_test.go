package lastgood

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
)

type baseFunc func(*http.Request) (*http.Response, error)

func (f baseFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// answering returns a base whose answers have size bytes.
func answering(size int) baseFunc {
	return func(req *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Request: req,
			Header: http.Header{"Date": {time.Now().UTC().Format(http.TimeFormat)}, "Content-Type": {"text/plain"}},
			Body:   io.NopCloser(bytes.NewReader(make([]byte, size))), ContentLength: int64(size),
		}, nil
	}
}

func TestMemoryIsBounded(t *testing.T) {
	const most = 4 << 20
	long := strings.Repeat("x", 500)
	for _, test := range []struct {
		size   int
		header []string
	}{
		{0, nil}, {1000, nil}, {100_000, nil},
		{1, []string{"X-A", "X-B", "X-C", "X-D"}},
		{1, []string{"X-" + long, "X-B" + long}},
		{1, []string{"Vary"}},
	} {
		size := test.size
		t.Run(fmt.Sprintf("%d bytes and %d fields", size, len(test.header)), func(t *testing.T) {
			var before, after runtime.MemStats
			c := New(&Options{MaxBytes: most})
			rt := c.Transport(baseFunc(func(req *http.Request) (*http.Response, error) {
				res, err := answering(size)(req)
				for _, name := range test.header { // values of their own, as from a connection
					res.Header[strings.Clone(name)] = []string{strings.Repeat("x", 200), strings.Repeat("y", 200)}
				}
				return res, err
			}))
			runtime.GC()
			runtime.ReadMemStats(&before)
			for i := range max(200, 2*most/(size+512)) {
				res, err := rt.RoundTrip(httptest.NewRequest("GET", fmt.Sprintf("http://host.example/%d", i), nil))
				require.NoError(t, err)
				_, err = io.Copy(io.Discard, res.Body)
				require.NoError(t, err)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			taken := int64(after.HeapAlloc) - int64(before.HeapAlloc)
			t.Logf("%d answers take %d bytes", c.answers.EstimatedSize(), taken)
			assert.Less(t, taken, int64(most))
			assert.Greater(t, taken, int64(most/2), "it makes use of what it may")
			assert.Zero(t, c.filling.Load())
			runtime.KeepAlive(c)
		})
	}
}

// Answers that are being received have a bound of their own, and those that find no room are
// handed on.
func TestAnswersUnderWayAreBounded(t *testing.T) {
	c := New(&Options{MaxBytes: 40_000, MaxAnswer: 6_000, MaxStale: time.Hour})
	rt := c.Transport(answering(5_000))
	var open []*http.Response
	for i := range 10 {
		res, err := rt.RoundTrip(httptest.NewRequest("GET", fmt.Sprintf("http://host.example/%d", i), nil))
		require.NoError(t, err)
		_, err = io.CopyN(io.Discard, res.Body, 1)
		require.NoError(t, err)
		open = append(open, res)
		assert.LessOrEqual(t, c.filling.Load(), int64(10_000))
	}
	kept := 0
	for i, res := range open {
		n, err := io.Copy(io.Discard, res.Body)
		require.NoError(t, err)
		require.EqualValues(t, 4_999, n)
		again, err := c.Fallback(httpbreaker.Result{Request: httptest.NewRequest("GET", fmt.Sprintf("http://host.example/%d", i), nil)})
		require.NoError(t, err)
		if again != nil {
			kept++
		}
	}
	assert.Equal(t, 2, kept)
	assert.Zero(t, c.filling.Load())
}

// However an answer of unknown length grows, all its memory counts.
func TestAnswerOfUnknownLengthIsCounted(t *testing.T) {
	c := New(&Options{MaxBytes: 4 << 20})
	rt := c.Transport(baseFunc(func(req *http.Request) (*http.Response, error) {
		res, err := answering(500_000)(req)
		res.ContentLength, res.TransferEncoding = -1, []string{"chunked"}
		return res, err
	}))
	res, err := rt.RoundTrip(httptest.NewRequest("GET", "http://host.example/", nil))
	require.NoError(t, err)
	b := res.Body.(*body)
	for range 100 {
		_, err = io.CopyN(io.Discard, b, 5_000)
		require.NoError(t, err)
		require.EqualValues(t, cap(b.copied), c.filling.Load())
		require.LessOrEqual(t, cap(b.copied), max(5_000, 2*len(b.copied)))
	}
	_, err = io.Copy(io.Discard, b)
	require.NoError(t, err)
	assert.Zero(t, c.filling.Load())
	kept := c.find(&request{key: keyOf("", "", res.Request.URL)})
	require.NotNil(t, kept)
	assert.LessOrEqual(t, cap(kept.body), 500_000*9/8)
}

// Header and body together count, to the byte.
func TestLargestAnswerThatIsKept(t *testing.T) {
	const most = 2_000
	kept := func(size int, declared bool) *answer {
		c := New(&Options{MaxAnswer: most})
		res, err := c.Transport(baseFunc(func(req *http.Request) (*http.Response, error) {
			res, err := answering(size)(req)
			res.Body = io.NopCloser(iotest.DataErrReader(res.Body)) // its end comes with its last byte
			if !declared {
				res.ContentLength, res.TransferEncoding = -1, []string{"chunked"}
			}
			return res, err
		})).RoundTrip(httptest.NewRequest("GET", "http://host.example/", nil))
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, iotest.OneByteReader(res.Body))
		require.NoError(t, err)
		return c.find(&request{key: keyOf("", "", res.Request.URL)})
	}
	for _, declared := range []bool{true, false} {
		largest := most - int(kept(0, declared).size())
		a := kept(largest, declared)
		require.NotNil(t, a)
		assert.Len(t, a.body, largest)
		assert.EqualValues(t, most, a.size())
		assert.Nil(t, kept(largest+1, declared))
	}
}

func TestAnswerThatCanNeverBeGivenIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // no time passes
		c := New(nil)
		res, err := c.Transport(baseFunc(func(req *http.Request) (*http.Response, error) {
			res, err := answering(1)(req)
			res.Header.Set("Cache-Control", "max-age=0, must-revalidate")
			return res, err
		})).RoundTrip(httptest.NewRequest("GET", "http://host.example/", nil))
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, res.Body)
		require.NoError(t, err)
		assert.Zero(t, c.answers.EstimatedSize())
	})
}

// All variants of one URL together are an entry of the store.
func TestVariantsOfOneURLAreBounded(t *testing.T) {
	c := New(&Options{MaxBytes: 40_000, MaxAnswer: 4_000})
	rt := c.Transport(answering(3_000))
	for i := range 16 {
		req := httptest.NewRequest("GET", "http://host.example/", nil)
		req.Header.Set("X-Api-Key", fmt.Sprint(i))
		res, err := rt.RoundTrip(req)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, res.Body)
		require.NoError(t, err)
		kept, _ := c.answers.GetIfPresent(keyOf("", req.Host, req.URL))
		require.NotEmpty(t, kept)
		require.LessOrEqual(t, sizeOf(kept), int64(10_000))
	}
}

func TestBadOptions(t *testing.T) {
	for want, opts := range map[string]Options{
		"lastgood: Options.MaxBytes = -1; want >= 0":                                                              {MaxBytes: -1},
		"lastgood: Options.MaxStale = -1s; want >= 0":                                                             {MaxStale: -time.Second},
		"lastgood: Options.MaxAnswer = -1; want 0 to 16777216, a quarter of MaxBytes and at most 1 GiB":           {MaxAnswer: -1},
		"lastgood: Options.MaxAnswer = 26; want 0 to 25, a quarter of MaxBytes and at most 1 GiB":                 {MaxBytes: 100, MaxAnswer: 26},
		"lastgood: Options.MaxAnswer = 1073741825; want 0 to 1073741824, a quarter of MaxBytes and at most 1 GiB": {MaxBytes: 1 << 40, MaxAnswer: 1<<30 + 1},
	} {
		assert.PanicsWithValue(t, want, func() { New(&opts) })
	}
	assert.NotPanics(t, func() { New(&Options{MaxBytes: 100, MaxAnswer: 25}) })
	opts := Options{MaxBytes: 1000}
	c := New(&opts)
	assert.EqualValues(t, 250, c.opts.MaxAnswer)
	assert.Zero(t, opts.MaxAnswer, "the caller's Options are left alone")
}

// Users read and write the same URLs at a time, and none ever gets what is another's.
func TestManyUsersAtATime(t *testing.T) {
	for _, named := range []bool{true, false} {
		opts := &Options{MaxBytes: 200_000, MaxStale: time.Hour}
		if named {
			opts.User = func(req *http.Request) string { return req.Header.Get("X-Api-Key") }
		}
		c := New(opts)
		rt := c.Transport(baseFunc(func(req *http.Request) (*http.Response, error) {
			res, err := answering(0)(req)
			text := req.URL.Path + " for " + req.Header.Get("X-Api-Key")
			res.Body, res.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
			return res, err
		}))
		var wg sync.WaitGroup
		for user := range 8 {
			wg.Go(func() {
				given := 0
				for i := range 600 {
					path := fmt.Sprintf("/%d", i%20)
					req := httptest.NewRequest("GET", "http://host.example"+path, nil)
					req.Header.Set("X-Api-Key", fmt.Sprint(user))
					var res *http.Response
					var err error
					switch i % 3 {
					case 0:
						res, err = rt.RoundTrip(req)
					case 1:
						res, err = c.Fallback(httpbreaker.Result{Request: req})
					case 2:
						req.Method = []string{"GET", "PUT"}[i/3%10/9]
						res, err = rt.RoundTrip(req)
					}
					if !assert.NoError(t, err) || res == nil {
						continue
					}
					text, err := io.ReadAll(res.Body)
					assert.NoError(t, err)
					assert.NoError(t, res.Body.Close())
					if i%3 == 1 {
						given++
					}
					if want := fmt.Sprintf("%s for %d", path, user); string(text) != want {
						t.Errorf("user %d got %q, want %q", user, text, want)
					}
				}
				assert.NotZero(t, given)
			})
		}
		wg.Wait()
		assert.Zero(t, c.filling.Load())
	}
}
