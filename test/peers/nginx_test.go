package peers

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// TestNginx takes a real server through what happens to one in its life: a
// reload does no harm, and when it is killed or stops answering it is cut off,
// and comes back by itself once it runs again.
func TestNginx(t *testing.T) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(proto, func(t *testing.T) {
			defer goleak.VerifyNone(t)
			s := newNginx(t)
			s.start()
			s.ready()
			c := newClient(t, s, proto)
			defer c.transport.CloseIdleConnections()

			c.until("it answers", func(r result) bool { return r.err == nil })
			require.Equal(t, proto, c.last.proto)

			s.configure(2)
			s.signal(syscall.SIGHUP)
			c.until("the new configuration answers", func(r result) bool { return r.generation == "2" })
			require.Zero(t, c.circuit().Snapshot().Totals.Opened, "a reload has opened the circuit")

			s.kill()
			c.until("it is cut off after SIGKILL", func(r result) bool { return r.rejected })
			s.start()
			c.until("it is back after SIGKILL", func(r result) bool { return r.err == nil })
			require.Equal(t, breaker.Closed, c.circuit().State())

			s.signalAll(syscall.SIGSTOP)
			c.until("it is cut off after SIGSTOP", func(r result) bool { return r.rejected })
			s.signalAll(syscall.SIGCONT)
			c.until("it is back after SIGCONT", func(r result) bool { return r.err == nil })
			require.Equal(t, breaker.Closed, c.circuit().State())

			require.Zero(t, c.circuit().Snapshot().InFlight)
			require.EqualValues(t, 2, c.transitions["closed → open"])
		})
	}
}

const deadline = 400 * time.Millisecond

type client struct {
	t           *testing.T
	transport   *httpbreaker.Transport
	url, key    string
	last        result
	transitions map[string]int
}

type result struct {
	err               error
	rejected          bool
	proto, generation string
}

func newClient(t *testing.T, s *nginx, proto string) *client {
	c := &client{t: t, url: s.url(), key: strings.TrimPrefix(s.url(), "https://"), transitions: map[string]int{}}
	base := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.roots}, Protocols: new(http.Protocols)}
	base.Protocols.SetHTTP1(proto == "HTTP/1.1")
	base.Protocols.SetHTTP2(proto == "HTTP/2.0")
	c.transport = httpbreaker.New(&httpbreaker.Config{
		Base: base,
		Breakers: breaker.NewSet(breaker.Options{
			Config: breaker.Config{SlowStart: -1, ConsecutiveSpan: 100 * time.Millisecond, OpenFor: 200 * time.Millisecond, MaxOpenFor: 400 * time.Millisecond},
			Hooks: []breaker.Hooks{{StateChanged: func(tr breaker.Transition) {
				c.transitions[fmt.Sprintf("%s → %s", tr.From, tr.To)]++ // in order, never concurrently
			}}},
		}),
	})
	return c
}

func (c *client) circuit() *breaker.Breaker { return c.transport.Breakers().Get(c.key) }

// until makes a request every few milliseconds until one ends as wanted. None
// may take longer than its deadline, but for what a loaded machine adds.
func (c *client) until(what string, wanted func(result) bool) {
	c.t.Helper()
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for began := time.Now(); time.Since(began) < 20*time.Second; <-pace.C {
		start := time.Now()
		c.last = c.get()
		require.Less(c.t, time.Since(start), deadline+5*time.Second, "a request hangs past its deadline")
		if wanted(c.last) {
			return
		}
	}
	c.t.Fatalf("waiting until %s; last: %+v; %+v", what, c.last, c.circuit().Snapshot())
}

func (c *client) get() (r result) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url, nil)
	require.NoError(c.t, err)
	res, err := c.transport.RoundTrip(req)
	if err != nil {
		_, r.rejected = err.(*httpbreaker.OpenError)
		r.err = err
		return r
	}
	defer res.Body.Close()
	_, r.err = io.Copy(io.Discard, res.Body)
	r.proto, r.generation = res.Proto, res.Header.Get("Generation")
	return r
}

// nginx is a server of its own on a port of loopback.
type nginx struct {
	t       *testing.T
	dir     string
	address string
	roots   *x509.CertPool
	cmd     *exec.Cmd
}

func newNginx(t *testing.T) *nginx {
	if _, err := exec.LookPath("nginx"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("nginx is missing: install Debian's nginx-light")
		}
		t.Skip("install nginx to run this test: Debian's nginx-light")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &nginx{t: t, dir: t.TempDir(), address: l.Addr().String()}
	require.NoError(t, l.Close())
	s.certify()
	s.configure(1)
	t.Cleanup(s.kill)
	return s
}

func (s *nginx) url() string { return "https://" + s.address }

func (s *nginx) configure(generation int) {
	// Two workers, so that more than one process has to go. root owns them where
	// the test runs as root, as they must read the directory.
	conf := fmt.Sprintf(`
		%s
		daemon off;
		worker_processes 2;
		pid %[2]s/pid;
		error_log %[2]s/error.log;
		events { worker_connections 64; }
		http {
			access_log off;
			client_body_temp_path %[2]s/t1; proxy_temp_path %[2]s/t2; fastcgi_temp_path %[2]s/t3;
			uwsgi_temp_path %[2]s/t4; scgi_temp_path %[2]s/t5;
			server {
				listen %[3]s ssl http2;
				ssl_certificate %[2]s/cert.pem;
				ssl_certificate_key %[2]s/key.pem;
				add_header Generation %[4]d;
				location / { return 200 "hello\n"; }
			}
		}`, userDirective(), s.dir, s.address, generation)
	require.NoError(s.t, os.WriteFile(filepath.Join(s.dir, "nginx.conf"), []byte(conf), 0o600))
}

func userDirective() string {
	if os.Geteuid() == 0 {
		return "user root;"
	}
	return ""
}

func (s *nginx) start() {
	s.cmd = exec.Command("nginx", "-p", s.dir, "-c", filepath.Join(s.dir, "nginx.conf"))
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.cmd.Stderr = os.Stderr
	require.NoError(s.t, s.cmd.Start())
}

// ready waits until the port is open, without the breaker's knowing.
func (s *nginx) ready() {
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for began := time.Now(); time.Since(began) < 20*time.Second; <-pace.C {
		if c, err := net.Dial("tcp", s.address); err == nil {
			c.Close()
			return
		}
	}
	s.t.Fatal("nginx does not start")
}

// signal is for the master process, which passes on what concerns the workers.
func (s *nginx) signal(sig syscall.Signal) { require.NoError(s.t, s.cmd.Process.Signal(sig)) }

func (s *nginx) signalAll(sig syscall.Signal) {
	require.NoError(s.t, syscall.Kill(-s.cmd.Process.Pid, sig))
}

func (s *nginx) kill() {
	if s.cmd != nil {
		s.signalAll(syscall.SIGKILL)
		_ = s.cmd.Wait() // it says "killed"
		s.cmd = nil
	}
}

// certify makes a certificate for the address.
func (s *nginx) certify() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(s.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:         true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(s.t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(s.t, err)
	write := func(name, kind string, der []byte) []byte {
		text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
		require.NoError(s.t, os.WriteFile(filepath.Join(s.dir, name), text, 0o600))
		return text
	}
	s.roots = x509.NewCertPool()
	s.roots.AppendCertsFromPEM(write("cert.pem", "CERTIFICATE", cert))
	write("key.pem", "PRIVATE KEY", secret)
}
