//go:build unix

package breakerredis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// program returns the path of an installed program that a test needs.
func program(t *testing.T, name, pkg string) string {
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	message := name + " is not installed; it is in Debian's package " + pkg
	if os.Getenv("CI") == "true" {
		t.Fatal(message)
	}
	t.Skip(message)
	return ""
}

// server is a redis-server of a test's own.
type server struct {
	t    *testing.T
	addr string
	args []string
	dir  string
	cmd  *exec.Cmd
	log  bytes.Buffer
}

// startServer starts a Redis on a free port, with these arguments.
func startServer(t *testing.T, args ...string) *server {
	s := &server{t: t, addr: freeAddr(t), dir: t.TempDir(), args: args}
	s.start()
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Log(s.log.String())
		}
	})
	return s
}

func freeAddr(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func (s *server) port() string {
	_, port, _ := net.SplitHostPort(s.addr)
	return port
}

func (s *server) start() {
	args := append([]string{"--port", s.port(), "--bind", "127.0.0.1", "--save", "", "--dir", s.dir}, s.args...)
	s.run("redis-server", "redis-server", args...)
}

func (s *server) run(name, pkg string, args ...string) {
	s.cmd = exec.Command(program(s.t, name, pkg), args...)
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	require.NoError(s.t, s.cmd.Start())
	within(s.t, 10*time.Second, "the server listens", func() bool {
		c, err := net.Dial("tcp", s.addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func (s *server) kill() {
	if s.cmd.Process != nil {
		_ = s.cmd.Process.Signal(syscall.SIGCONT)
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	}
}

func (s *server) signal(sig syscall.Signal) { require.NoError(s.t, s.cmd.Process.Signal(sig)) }

// do runs one command, on a connection of its own.
func (s *server) do(args ...any) any {
	c := redis.NewClient(&redis.Options{Addr: s.addr, Protocol: 2})
	defer c.Close()
	reply, err := c.Do(context.Background(), args...).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		s.t.Fatalf("%v: %v", args, err)
	}
	return reply
}

// within waits until it is so. On a machine that has more to do it takes longer.
func within(t *testing.T, limit time.Duration, what string, so func() bool) {
	t.Helper()
	end := time.Now().Add(3 * limit)
	for !so() {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", limit, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// goroutines returns how many there are that were started, directly or not, by
// what ran with this label.
func goroutines(label string) (n int) {
	var text bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&text, 1)
	for block := range strings.SplitSeq(text.String(), "\n\n") {
		if strings.Contains(block, fmt.Sprintf("%q:%q", "test", label)) {
			var count int
			_, _ = fmt.Sscanf(strings.TrimSpace(block), "%d @", &count)
			n += count
		}
	}
	return n
}

// labelled runs something whose goroutines goroutines counts.
func labelled(label string, what func()) {
	pprof.Do(context.Background(), pprof.Labels("test", label), func(context.Context) { what() })
}

// proxy stands between a client and its server.
type proxy struct {
	listener net.Listener
	to       string

	mu      sync.Mutex
	delay   time.Duration
	trickle bool // one byte at a time
	mute    bool // takes and gives nothing
	conns   map[net.Conn]bool
}

func startProxy(t *testing.T, to string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{listener: l, to: to, conns: map[net.Conn]bool{}}
	go p.accept()
	t.Cleanup(func() {
		l.Close()
		p.cut()
	})
	return p
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.to)
		if err != nil {
			client.Close()
			continue
		}
		p.mu.Lock()
		p.conns[client], p.conns[server] = true, true
		p.mu.Unlock()
		go p.copy(server, client)
		go p.copy(client, server)
	}
}

func (p *proxy) copy(to, from net.Conn) {
	defer p.close(to, from)
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		p.mu.Lock()
		delay, trickle := p.delay, p.trickle
		for p.mute {
			p.mu.Unlock()
			time.Sleep(10 * time.Millisecond)
			p.mu.Lock()
			if !p.conns[to] {
				p.mu.Unlock()
				return
			}
		}
		p.mu.Unlock()
		time.Sleep(delay)
		size := n
		if trickle {
			size = 1
		}
		for at := 0; at < n; at += size {
			if _, err := to.Write(buffer[at:min(n, at+size)]); err != nil {
				return
			}
			if trickle {
				time.Sleep(20 * time.Millisecond)
			}
		}
	}
}

func (p *proxy) close(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		c.Close()
		delete(p.conns, c)
	}
}

// cut closes every connection.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
		delete(p.conns, c)
	}
}

func (p *proxy) set(change func(p *proxy)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

// certificate makes one for 127.0.0.1, in files for a server, with its pool for
// a client.
func certificate(t *testing.T) (certFile, keyFile string) {
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certPEM, keyPEM := selfSigned(t)
	require.NoError(t, os.WriteFile(certFile, certPEM, 0o600))
	require.NoError(t, os.WriteFile(keyFile, keyPEM, 0o600))
	return certFile, keyFile
}
