package compose

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// host is a real server that does what it is told, and remembers how often it was asked.
type host struct {
	*httptest.Server
	asked  atomic.Int64
	broken atomic.Bool
	auth   atomic.Value // the Authorization field of the last request
}

func newHost(t *testing.T) *host {
	h := new(host)
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		h.asked.Add(1)
		h.auth.Store(req.Header.Get("Authorization"))
		if h.broken.Load() {
			http.Error(w, "out of order", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = io.WriteString(w, "hello")
		_, _ = io.Copy(w, req.Body)
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *host) name() string { return strings.TrimPrefix(h.URL, "http://") }

// opensAfter makes circuits that open after n failures in a row, for an hour.
func opensAfter(n int) *breaker.Set {
	return breaker.NewSet(breaker.Options{Config: breaker.Config{
		SlowStart:           -1,
		ConsecutiveFailures: n, ConsecutiveSpan: -1, OpenFor: time.Hour, Jitter: -1,
	}})
}

// totals are those of one host's circuit.
func totals(circuits *breaker.Set, h *host) breaker.Totals {
	return circuits.Get(h.name()).Snapshot().Totals
}

// get asks client for url and reads all of the response.
func get(t *testing.T, client *http.Client, url string) (*http.Response, string, error) {
	t.Helper()
	res, err := client.Get(url)
	if err != nil {
		return nil, "", err
	}
	body, err := io.ReadAll(res.Body)
	require.NoError(t, res.Body.Close())
	return res, string(body), err
}

// base is what stands in the place of http.DefaultTransport.
func base(t *testing.T) *http.Transport {
	rt := new(http.Transport)
	t.Cleanup(rt.CloseIdleConnections)
	return rt
}

// roundTripper makes a function an http.RoundTripper.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// cache keeps responses with a max-age, for ever.
type cache struct {
	base http.RoundTripper
	kept sync.Map // URL → body
}

func (c *cache) RoundTrip(req *http.Request) (*http.Response, error) {
	key := req.URL.String()
	if body, ok := c.kept.Load(key); ok {
		return &http.Response{
			StatusCode: http.StatusOK, Header: http.Header{"X-From": {"cache"}},
			Body: io.NopCloser(strings.NewReader(body.(string))), Request: req,
		}, nil
	}
	res, err := c.base.RoundTrip(req)
	if err == nil && strings.Contains(res.Header.Get("Cache-Control"), "max-age") {
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			return nil, err
		}
		c.kept.Store(key, string(body))
		res.Body = io.NopCloser(strings.NewReader(string(body)))
	}
	return res, err
}

// hedge asks once more if there is no answer when after fires, or an error before that.
// It takes the first answer and cancels the other request. It is for requests without
// a body.
type hedge struct {
	base   http.RoundTripper
	after  <-chan struct{}
	second *url.URL // where to ask then; nil: the same host
	legs   sync.WaitGroup
}

func (h *hedge) RoundTrip(req *http.Request) (*http.Response, error) {
	type answer struct {
		leg int
		res *http.Response
		err error
	}
	answers := make(chan answer, 2)
	var cancel [2]context.CancelFunc
	ask := func(leg int) {
		var ctx context.Context
		ctx, cancel[leg] = context.WithCancel(req.Context())
		again := req.Clone(ctx)
		if leg == 1 && h.second != nil {
			again.URL.Host, again.Host = h.second.Host, ""
		}
		h.legs.Go(func() {
			res, err := h.base.RoundTrip(again)
			answers <- answer{leg, res, err}
		})
	}

	ask(0)
	asking := 1
	select {
	case a := <-answers:
		if a.err == nil {
			return a.res, nil
		}
		asking--
	case <-h.after:
	}
	ask(1)
	asking++
	for {
		a := <-answers
		asking--
		if a.err != nil && asking > 0 {
			continue
		}
		cancel[1-a.leg]()
		if asking > 0 {
			h.legs.Go(func() {
				if loser := <-answers; loser.res != nil {
					loser.res.Body.Close()
				}
			})
		}
		return a.res, a.err
	}
}
