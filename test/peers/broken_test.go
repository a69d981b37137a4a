package peers

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// fault is what a connection does to the server's bytes from some position on.
type fault string

const (
	truncate fault = "truncate" // end the connection
	reset    fault = "reset"    // end it by RST
	stall    fault = "stall"    // deliver nothing more
	garble   fault = "garble"   // change one byte
)

const page = "0123456789abcdef"

// TestBrokenConnections lets the connection to a real server break at every
// position of its answer, in every way. However it breaks, the request ends by
// its deadline, the breaker has exactly one verdict, and it is the caller's: a
// success if he got the whole page, else a failure. Nothing is left behind.
func TestBrokenConnections(t *testing.T) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(proto, func(t *testing.T) {
			defer goleak.VerifyNone(t)
			server := newPage()
			defer server.Close()
			length := answerLength(t, server, proto)
			for _, f := range []fault{truncate, reset, stall, garble} {
				t.Run(string(f), func(t *testing.T) {
					var cases sync.WaitGroup
					slots := make(chan struct{}, 32)
					for position := range length {
						slots <- struct{}{}
						cases.Go(func() {
							defer func() { <-slots }()
							testBroken(t, server, proto, f, position)
						})
					}
					cases.Wait()
				})
			}
		})
	}
}

func testBroken(t *testing.T, server *httptest.Server, proto string, f fault, position int) {
	link := newLink(t, server.Listener.Addr().String(), f, position)
	defer link.close()
	transport := httpbreaker.New(&httpbreaker.Config{Base: baseFor(proto)})
	defer transport.CloseIdleConnections()

	start := time.Now()
	whole, err := fetch(transport, link.address)
	assert.Less(t, time.Since(start), 10*time.Second, "%s at byte %d: hangs past its deadline", f, position)

	b, ok := transport.Breakers().Lookup(link.address)
	if !assert.True(t, ok) {
		return
	}
	s := b.Snapshot()
	want := breaker.Totals{Failures: 1}
	if whole {
		want = breaker.Totals{Successes: 1}
	}
	assert.Equal(t, want, s.Totals, "%s at byte %d: %v", f, position, err)
	assert.Zero(t, s.InFlight, "%s at byte %d", f, position)
}

// fetch reports whether the page came, whole: 200 and all of the body.
func fetch(rt http.RoundTripper, address string) (whole bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		return false, err
	}
	res, err := rt.RoundTrip(req)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	// A garbled status may be any: what is no failure to the breaker is none here.
	return err == nil && res.StatusCode < 500, err
}

func newPage() *httptest.Server {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(page)))
		io.WriteString(w, page)
	}))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	return s
}

func baseFor(proto string) *http.Transport {
	base := &http.Transport{Protocols: new(http.Protocols)}
	base.Protocols.SetHTTP1(proto == "HTTP/1.1")
	base.Protocols.SetUnencryptedHTTP2(proto == "HTTP/2.0")
	return base
}

// answerLength is how many bytes the server sends for one request.
func answerLength(t *testing.T, server *httptest.Server, proto string) int {
	link := newLink(t, server.Listener.Addr().String(), garble, -1)
	base := baseFor(proto)
	whole, err := fetch(base, link.address)
	require.NoError(t, err)
	require.True(t, whole)
	base.CloseIdleConnections()
	link.close()
	require.Greater(t, link.passed, len(page))
	return link.passed
}

// link passes connections on to a server, and breaks what comes back.
type link struct {
	address  string
	listener net.Listener
	server   string
	fault    fault
	position int
	passed   int // bytes from the server, on the first connection

	running sync.WaitGroup
	mu      sync.Mutex
	open    map[net.Conn]bool // nil once closed
}

func newLink(t *testing.T, server string, f fault, position int) *link {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &link{
		address: listener.Addr().String(), listener: listener,
		server: server, fault: f, position: position, open: map[net.Conn]bool{},
	}
	l.running.Go(l.accept)
	return l
}

func (l *link) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", l.server)
		if err != nil || !l.keep(client) || !l.keep(server) {
			client.Close()
			if server != nil {
				server.Close()
			}
			return
		}
		l.running.Go(func() { io.Copy(server, client); server.(*net.TCPConn).CloseWrite() })
		l.running.Go(func() { l.pass(client, server) })
	}
}

// pass passes the server's bytes on, up to the fault.
func (l *link) pass(client, server net.Conn) {
	defer server.Close()
	buf := make([]byte, 4096)
	for passed := 0; ; {
		n, err := server.Read(buf)
		if at := l.position - passed; at >= 0 && at < n {
			switch l.fault {
			case garble:
				buf[at] ^= 0x55
			case stall:
				client.Write(buf[:at])
				io.Copy(io.Discard, server) // until close
				return
			case reset:
				client.Write(buf[:at])
				client.(*net.TCPConn).SetLinger(0)
				client.Close()
				return
			case truncate:
				client.Write(buf[:at])
				client.Close()
				return
			}
		}
		client.Write(buf[:n])
		passed += n
		l.mu.Lock()
		l.passed = max(l.passed, passed)
		l.mu.Unlock()
		if err != nil {
			client.Close()
			return
		}
	}
}

func (l *link) keep(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		return false
	}
	l.open[c] = true
	return true
}

func (l *link) close() {
	l.listener.Close()
	l.mu.Lock()
	for c := range l.open {
		c.Close()
	}
	l.open = nil
	l.mu.Unlock()
	l.running.Wait()
}
