package contract_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/internal/rig"
)

// A scenario is one way in which a request can end, on a real connection, and
// what that says about the peer.
type scenario struct {
	name string
	want breaker.Outcome
	// upload: the request's body is at fault, which only a Transport can know.
	upload bool
	setup  func(t *testing.T) exchange
}

// An exchange is one request, what is to send it, and the peer that waits for it.
type exchange struct {
	base http.RoundTripper
	req  *http.Request
	// header, unless nil, is called between the response's header and its body.
	header func()
	// deadline, unless zero, begins with the request.
	deadline time.Duration
	cause    error // of the deadline's end
}

func allScenarios() []scenario {
	return slices.Concat(dialScenarios, tlsScenarios, proxyScenarios, http1Scenarios, uploadScenarios,
		requestScenarios, cancelScenarios, bodyScenarios, http2Scenarios)
}

// TestScenarios drives each scenario through a bare http.Transport, where only
// DefaultClassifier judges, and through a Transport, which must come to the same
// verdict and to one only.
func TestScenarios(t *testing.T) {
	for _, s := range allScenarios() {
		if !s.upload {
			t.Run(s.name+"/classifier", func(t *testing.T) {
				t.Parallel()
				got, result := judge(s.setup(t))
				require.Equal(t, s.want, got, "err: %v", result.Err)
			})
		}
		t.Run(s.name+"/transport", func(t *testing.T) {
			t.Parallel()
			x := s.setup(t)
			rt := httpbreaker.New(&httpbreaker.Config{Base: x.base})
			err := x.run(rt)
			got := rig.VerdictsOf(rt)
			switch s.want {
			case breaker.Success:
				require.Equal(t, rig.Verdicts{Success: 1}, got, "err: %v", err)
			case breaker.Failure:
				require.Equal(t, rig.Verdicts{Failure: 1}, got, "err: %v", err)
			default: // some are refused before a circuit is asked
				require.LessOrEqual(t, got.Ignored, uint64(1))
				require.Equal(t, rig.Verdicts{Ignored: got.Ignored}, got, "err: %v", err)
			}
			require.Zero(t, rig.InFlight(rt))
		})
	}
}

// judge makes the exchange and judges it as a Transport does, except that it tracks no upload.
func judge(x exchange) (breaker.Outcome, httpbreaker.Result) {
	x, cancel := x.begin()
	defer cancel()
	res, err := x.base.RoundTrip(x.req)
	result := httpbreaker.Result{Request: x.req, Response: res, Err: err}
	o := httpbreaker.DefaultClassifier(result)
	if err != nil {
		return o, result
	}
	if err = x.read(res); o == breaker.Success && err != nil {
		result.Err = err
		o = httpbreaker.DefaultClassifier(result)
	}
	return o, result
}

// run makes the exchange through rt, to the end of the body.
func (x exchange) run(rt http.RoundTripper) error {
	x, cancel := x.begin()
	defer cancel()
	res, err := rt.RoundTrip(x.req)
	if err != nil {
		return err
	}
	return x.read(res)
}

// begin begins the deadline. On a busy machine it could be over before the request is made
// if it had begun with the peer.
func (x exchange) begin() (exchange, context.CancelFunc) {
	if x.deadline == 0 {
		return x, func() {}
	}
	ctx, cancel := context.WithTimeoutCause(x.req.Context(), x.deadline, x.cause)
	x.req = x.req.WithContext(ctx)
	return x, cancel
}

func (x exchange) read(res *http.Response) error {
	defer res.Body.Close()
	if x.header != nil {
		x.header()
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		return nil
	}
	_, err := io.Copy(io.Discard, res.Body)
	return err
}

// newBase returns an http.Transport that ends with the test.
func newBase(t *testing.T, edits ...func(*http.Transport)) *http.Transport {
	base := new(http.Transport)
	for _, edit := range edits {
		edit(base)
	}
	t.Cleanup(base.CloseIdleConnections)
	return base
}

// patience bounds every scenario: none should come near it.
const patience = 20 * time.Second

// short is the deadline of a caller who does not wait for long.
const short = 50 * time.Millisecond

func newRequestCtx(t *testing.T, ctx context.Context, method, url string, body io.Reader) *http.Request {
	if ctx == nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.Background(), patience)
		t.Cleanup(cancel)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	require.NoError(t, err)
	return req
}

// get returns an exchange that gets url with a base made by edits.
func get(t *testing.T, url string, edits ...func(*http.Transport)) exchange {
	return exchange{base: newBase(t, edits...), req: newRequestCtx(t, nil, "GET", url, nil)}
}

// within gives the exchange's request a short deadline.
func (x exchange) within() exchange {
	x.deadline = short
	return x
}

// A script is what a peer does with one connection, which is closed at its end.
type script func(net.Conn)

// serveRaw runs script for each connection to the address that it returns.
func serveRaw(t *testing.T, run script) (addr string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		conns  []net.Conn
		closed bool
	)
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			late := closed
			mu.Unlock()
			if late {
				conn.Close()
				return
			}
			wg.Go(func() {
				defer conn.Close()
				run(conn)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		mu.Lock()
		closed = true
		for _, conn := range conns {
			conn.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return listener.Addr().String()
}

// refusing returns a loopback address where nobody listens.
func refusing(t *testing.T) (addr string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

// answer reads a request's header, sends text and ends as told.
func answer(text string, end script) script {
	return func(conn net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			io.WriteString(conn, text)
			end(conn)
		}
	}
}

// fin is the end of a script by an orderly close.
func fin(net.Conn) {}

// reset is the end of a script by a TCP reset.
func reset(conn net.Conn) { conn.(*net.TCPConn).SetLinger(0) }

// hold is the end of a script that waits until the client goes away.
func hold(conn net.Conn) { io.Copy(io.Discard, conn) }
