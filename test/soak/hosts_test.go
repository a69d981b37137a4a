//go:build unix

package soak

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A host is a server that can be made unwell, and well again.
type host interface {
	url() string
	set(mode)
	close()
}

type mode int32

const (
	well mode = iota
	fails
	hangs
	drips
	resets
	refuses
	modes
)

// ownHost is a server of net/http.
type ownHost struct {
	addr   string
	mode   atomic.Int32
	mu     sync.Mutex
	server *http.Server // nil while it refuses
}

func newOwnHost(t *testing.T) *ownHost {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &ownHost{addr: l.Addr().String()}
	h.serve(l)
	return h
}

func (h *ownHost) serve(l net.Listener) {
	h.server = &http.Server{Handler: h}
	go h.server.Serve(l)
}

func (h *ownHost) url() string { return "http://" + h.addr }

func (h *ownHost) set(m mode) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mode.Store(int32(m))
	switch {
	case m == refuses && h.server != nil:
		h.server.Close()
		h.server = nil
	case m != refuses && h.server == nil:
		if l, err := net.Listen("tcp", h.addr); err == nil { // else it refuses until the next time
			h.serve(l)
		}
	}
}

func (h *ownHost) close() { h.set(refuses) }

func (h *ownHost) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	switch mode(h.mode.Load()) {
	case fails:
		w.WriteHeader(http.StatusInternalServerError)
	case hangs:
		_, _ = io.Copy(io.Discard, req.Body)
		<-req.Context().Done()
	case drips:
		for range 100 {
			if _, err := io.WriteString(w, "drip"); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
			select {
			case <-req.Context().Done():
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	case resets:
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = conn.(*net.TCPConn).SetLinger(0) // RST
			conn.Close()
		}
	default:
		_, _ = io.Copy(io.Discard, req.Body)
		_, _ = io.WriteString(w, "well")
	}
}

// nginxHost is a server of a real nginx, which all such hosts share: stopping and killing
// it makes all of them unwell at once.
type nginxHost struct {
	nginx *nginx
	addr  string
}

func (h *nginxHost) url() string { return "http://" + h.addr }
func (h *nginxHost) set(m mode)  { h.nginx.set(m) }
func (h *nginxHost) close()      { h.nginx.set(refuses) }

type nginx struct {
	config string
	mu     sync.Mutex
	cmd    *exec.Cmd // nil while it refuses
}

// newNginx starts nginx for n hosts, or returns none if there is no nginx.
func newNginx(t *testing.T, n int) (hosts []host) {
	path, err := exec.LookPath("nginx")
	if err != nil {
		if path = "/usr/sbin/nginx"; !exists(path) {
			if os.Getenv("CI") == "true" {
				t.Fatal("no nginx: install Debian's nginx-light")
			}
			t.Log("without nginx: install Debian's nginx-light")
			return nil
		}
	}
	dir := t.TempDir()
	s := &nginx{config: filepath.Join(dir, "nginx.conf")}
	var servers strings.Builder
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().String()
		l.Close()
		fmt.Fprintf(&servers, "server { listen %s; location / { return 200 well; } }\n", addr)
		hosts = append(hosts, &nginxHost{s, addr})
	}
	config := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log stderr crit;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/1; proxy_temp_path %[1]s/2; fastcgi_temp_path %[1]s/3; uwsgi_temp_path %[1]s/4; scgi_temp_path %[1]s/5;
	%[2]s}
`, dir, servers.String())
	if err := os.WriteFile(s.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s.cmd = exec.Command(path, "-c", s.config, "-p", dir)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return hosts
}

func (s *nginx) set(m mode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m == refuses && s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		return
	}
	if m != refuses && s.cmd.ProcessState != nil {
		s.cmd = exec.Command(s.cmd.Path, s.cmd.Args[1:]...)
		if s.cmd.Start() != nil {
			return
		}
	}
	if s.cmd.ProcessState != nil {
		return
	}
	if m == hangs {
		_ = s.cmd.Process.Signal(syscall.SIGSTOP)
	} else {
		_ = s.cmd.Process.Signal(syscall.SIGCONT)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
