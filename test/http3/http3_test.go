package http3_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// serve runs an HTTP/3 server and returns its URL and a base transport that reaches it and
// waits for no handshake for longer than a third of a second.
func serve(t *testing.T, h http.Handler) (url string, base *http3.Transport) {
	t.Helper()
	like := httptest.NewTLSServer(nil) // for its certificate
	defer like.Close()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &http3.Server{Handler: h, TLSConfig: http3.ConfigureTLSConfig(&tls.Config{Certificates: like.TLS.Certificates})}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(conn) }()
	base = &http3.Transport{
		TLSClientConfig: like.Client().Transport.(*http.Transport).TLSClientConfig.Clone(),
		QUICConfig:      &quic.Config{HandshakeIdleTimeout: time.Second / 3},
	}
	t.Cleanup(func() {
		base.Close()
		s.Close()
		conn.Close()
		<-done
	})
	return "https://" + conn.LocalAddr().String(), base
}

func transport(base http.RoundTripper) *httpbreaker.Transport {
	return httpbreaker.New(&httpbreaker.Config{Base: base, Breakers: breaker.NewSet(breaker.Options{
		Config: breaker.Config{Failures: 3, ShedRate: -1, OpenFor: time.Hour, MaxOpenFor: time.Hour, ProbeShare: -1},
	})})
}

func request(t *testing.T, method, url string, body io.Reader) *http.Request {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	require.NoError(t, err)
	return req
}

// send makes the request and reads the response to the end.
func send(rt http.RoundTripper, req *http.Request) (*http.Response, string, error) {
	res, err := rt.RoundTrip(req)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res, string(body), err
}

type verdicts struct{ Success, Failure, Ignored uint64 }

func verdictsOf(rt *httpbreaker.Transport) (v verdicts) {
	for _, b := range rt.Breakers().All() {
		t := b.Snapshot().Totals
		v = verdicts{v.Success + t.Successes, v.Failure + t.Failures, v.Ignored + t.Ignored}
	}
	return v
}

func TestResponsesPassWithBodyAndTrailers(t *testing.T) {
	url, base := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(w, req.Body)
		w.Header().Set(http.TrailerPrefix+"X-Sum", "5")
	}))
	rt := transport(base)
	for _, body := range []io.Reader{strings.NewReader("hello"), io.MultiReader(strings.NewReader("hello"))} {
		req := request(t, "POST", url, body)
		res, got, err := send(rt, req)
		require.NoError(t, err)
		assert.Equal(t, "hello", got)
		assert.Equal(t, 3, res.ProtoMajor)
		assert.Equal(t, "5", res.Trailer.Get("X-Sum"))
		assert.Same(t, req, res.Request)
	}
	assert.Equal(t, verdicts{Success: 2}, verdictsOf(rt))
}

func TestStatusInTrailersIsJudged(t *testing.T) {
	url, base := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		_, _ = io.WriteString(w, "a message")
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "14")
	}))
	rt := transport(base)
	for range 3 {
		_, _, err := send(rt, request(t, "POST", url, nil))
		require.NoError(t, err)
	}
	_, _, err := send(rt, request(t, "POST", url, nil))
	assert.ErrorIs(t, err, httpbreaker.ErrOpen)
}

func TestHostsThatFailAreCutOff(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0") // takes packets and answers none
	require.NoError(t, err)
	defer silent.Close()
	closed, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())

	for name, h := range map[string]http.HandlerFunc{
		"answers 503":       func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"resets the stream": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"resets the stream in the body": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
		"is silent":        nil,
		"is not there":     nil,
		"has no good name": func(http.ResponseWriter, *http.Request) {},
	} {
		t.Run(name, func(t *testing.T) {
			url, base := serve(t, h)
			switch name {
			case "is silent":
				url = "https://" + silent.LocalAddr().String()
			case "is not there":
				url = "https://" + closed.LocalAddr().String()
			case "has no good name":
				base.TLSClientConfig.RootCAs = nil
			}
			rt := transport(base)
			for range 3 {
				_, _, err := send(rt, request(t, "GET", url, nil))
				require.NotErrorIs(t, err, httpbreaker.ErrOpen)
			}
			assert.Equal(t, verdicts{Failure: 3}, verdictsOf(rt))
			_, _, err := send(rt, request(t, "GET", url, nil))
			assert.ErrorIs(t, err, httpbreaker.ErrOpen)
		})
	}
}

func TestCallersFaultsAreIgnored(t *testing.T) {
	arrived := make(chan struct{}, 1)
	url, base := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		arrived <- struct{}{}
		_, _ = io.Copy(io.Discard, req.Body)
		<-req.Context().Done()
	}))
	for name, send := range map[string]func(rt http.RoundTripper) error{
		"cancelled": func(rt http.RoundTripper) error {
			ctx, cancel := context.WithCancel(t.Context())
			go func() { <-arrived; cancel() }()
			_, _, err := send(rt, request(t, "GET", url, nil).WithContext(ctx))
			return err
		},
		"body fails": func(rt http.RoundTripper) error {
			body := io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(errors.New("the disk is gone")))
			ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
			defer cancel()
			_, _, err := send(rt, request(t, "POST", url, body).WithContext(ctx))
			return err
		},
		"bad header": func(rt http.RoundTripper) error {
			req := request(t, "GET", url, nil)
			req.Header["Bad Name"] = []string{"x"}
			_, _, err := send(rt, req)
			return err
		},
		"http": func(rt http.RoundTripper) error {
			_, _, err := send(rt, request(t, "GET", strings.Replace(url, "https", "http", 1), nil))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			rt := transport(base)
			err := send(rt)
			require.Error(t, err)
			assert.Equal(t, verdicts{Ignored: 1}, verdictsOf(rt), "%v", err)
			for len(arrived) > 0 {
				<-arrived
			}
		})
	}
}

func TestDeadlineIsAFailure(t *testing.T) {
	url, base := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() }))
	rt := transport(base)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, _, err := send(rt, request(t, "GET", url, nil).WithContext(ctx))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Equal(t, verdicts{Failure: 1}, verdictsOf(rt))
}

func TestCloseIdleConnectionsReachesTheBase(t *testing.T) {
	url, base := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	var dialled atomic.Int32
	base.Dial = func(ctx context.Context, addr string, tlsCfg *tls.Config, cfg *quic.Config) (*quic.Conn, error) {
		dialled.Add(1)
		return quic.DialAddrEarly(ctx, addr, tlsCfg, cfg)
	}
	client := &http.Client{Transport: transport(base)}
	get := func() {
		res, err := client.Do(request(t, "GET", url, nil))
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
	}
	get()
	get()
	assert.EqualValues(t, 1, dialled.Load())
	client.CloseIdleConnections()
	get()
	assert.EqualValues(t, 2, dialled.Load())
}
