//go:build unix

package breakerredis

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// Each test does something to a real server, lets the host go down and come back
// meanwhile, and asserts by startNodes that Allow has not waited, that Close took
// less than a second, and that no goroutine is left.

func TestAHealthyServer(t *testing.T) {
	t.Parallel()
	n := startNodes(t, single(startServer(t).addr))
	n.listening()
	n.share()
	n.share()
}

func TestAFrozenServer(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := startNodes(t, single(s.addr))
	n.listening()
	s.signal(syscall.SIGSTOP)
	n.alone()
	s.signal(syscall.SIGCONT)
	n.share()
	s.signal(syscall.SIGSTOP) // Close meets it frozen
	n.breakHost()
}

func TestAServerThatIsKilledAndStartedAgain(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := startNodes(t, single(s.addr))
	n.listening()
	s.kill()
	n.alone()
	s.start()
	n.reachable(true)
	n.listening()
	n.share() // the scripts are lost: NOSCRIPT
	s.kill()
	n.breakHost()
}

func TestAServerThatStartsLater(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.kill()
	n := startNodes(t, single(s.addr))
	n.reachable(false)
	n.alone()
	s.start()
	n.reachable(true)
	n.listening()
	n.share()
}

func TestAServerThatPausesItsClients(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := startNodes(t, single(s.addr))
	n.listening()
	s.do("CLIENT", "PAUSE", 1500)
	n.alone()
	n.reachable(true)
	n.share()
}

func TestAServerThatForgets(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := startNodes(t, single(s.addr))
	n.listening()
	n.breakHost()
	for range 5 {
		s.do("FLUSHALL")
		s.do("SCRIPT", "FLUSH")
		time.Sleep(200 * time.Millisecond)
	}
	within(t, 5*time.Second, "the fleet finds out again", func() bool {
		return n.quiet().state() == breaker.Open && len(s.do("KEYS", "hb1:{test}:i:*").([]any)) == 1
	})
	n.healHost()
}

func TestAFullServer(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--maxmemory-policy", "noeviction")
	n := startNodes(t, single(s.addr))
	n.listening()
	s.do("CONFIG", "SET", "maxmemory", "100kb")
	n.alone()
	n.toldOf("OOM")
	s.do("CONFIG", "SET", "maxmemory", "0")
	within(t, 8*time.Second, "it shares again", func() bool { return n.all[0].Status().Reachable })
	n.share()
}

func TestAServerThatEvicts(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--maxmemory-policy", "allkeys-random", "--maxmemory", "3mb")
	n := startNodes(t, single(s.addr))
	n.listening()
	client := single(s.addr)()
	defer client.Close()
	n.breakHost()
	for i := range 20_000 {
		_ = client.Set(context.Background(), fmt.Sprint(i), strings.Repeat("x", 1000), 0).Err()
	}
	assert.Contains(t, fmt.Sprint(s.do("INFO", "stats")), "evicted_keys:1")
	n.healHost()
}

func TestAUserWithoutChannels(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.do("ACL", "SETUSER", "checkout", "on", ">secret", "~hb1:{test}:*", "resetchannels", "+@all")
	n := startNodes(t, func() redis.UniversalClient {
		return redis.NewClient(&redis.Options{Addr: s.addr, Username: "checkout", Password: "secret"})
	})
	n.reachable(true)
	n.share()
	status := n.quiet().Status()
	assert.False(t, status.Listening)
	assert.Contains(t, status.ListenError, "NOPERM")
}

// The rights that the package comment lists are enough.
func TestTheDocumentedUser(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	rights := append([]any{"ACL", "SETUSER", "checkout", "on", ">secret", "resetchannels", "-@all"}, documentedRights(t)...)
	s.do(rights...)
	n := startNodes(t, func() redis.UniversalClient {
		return redis.NewClient(&redis.Options{Addr: s.addr, Username: "checkout", Password: "secret"})
	})
	n.reachable(true)
	n.listening()
	n.share()
	n.setModes()
	for _, entry := range s.do("ACL", "LOG").([]any) {
		t.Errorf("denied: %v", entry)
	}
}

func TestAWrongPassword(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--requirepass", "right")
	n := startNodes(t, func() redis.UniversalClient {
		return redis.NewClient(&redis.Options{Addr: s.addr, Password: "wrong"})
	})
	n.reachable(false)
	n.alone()
	n.toldOf("WRONGPASS")
}

func TestAReadOnlyReplica(t *testing.T) {
	t.Parallel()
	master, s := startServer(t), startServer(t)
	s.do("REPLICAOF", "127.0.0.1", master.port())
	n := startNodes(t, single(s.addr))
	n.alone()
	n.toldOf("READONLY")
	s.do("REPLICAOF", "NO", "ONE")
	within(t, 8*time.Second, "it shares again", func() bool { return n.all[0].Status().Reachable })
	n.share()
}

func TestAServerThatClosesConnections(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := startNodes(t, single(s.addr))
	n.listening()
	n.breakHost()
	for range 10 {
		s.do("CLIENT", "KILL", "TYPE", "pubsub")
		s.do("CLIENT", "KILL", "TYPE", "normal")
		time.Sleep(100 * time.Millisecond)
	}
	n.healHost()
	n.reachable(true)
	n.listening()
	n.share()
}

func TestASlowNetwork(t *testing.T) {
	t.Parallel()
	p := startProxy(t, startServer(t).addr)
	p.set(func(p *proxy) { p.delay = 20 * time.Millisecond })
	n := startNodes(t, single(p.addr()))
	n.listening()
	n.share()
}

func TestANetworkThatIsTooSlow(t *testing.T) {
	t.Parallel()
	p := startProxy(t, startServer(t).addr)
	n := startNodes(t, single(p.addr()))
	n.listening()
	p.set(func(p *proxy) { p.delay = time.Second })
	n.alone()
	p.set(func(p *proxy) { p.delay = 0 })
	n.reachable(true)
	p.set(func(p *proxy) { p.trickle = true })
	n.alone()
	p.set(func(p *proxy) { p.trickle = false })
	p.cut()
	n.reachable(true)
	n.listening()
	n.share()
}

func TestANetworkThatTakesAndGivesNothing(t *testing.T) {
	t.Parallel()
	p := startProxy(t, startServer(t).addr)
	n := startNodes(t, single(p.addr()))
	n.listening()
	p.set(func(p *proxy) { p.mute = true })
	n.alone()
	p.set(func(p *proxy) { p.mute = false })
	n.reachable(true)
	n.share()
	p.set(func(p *proxy) { p.mute = true })
	n.breakHost()
}

func TestModes(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := startNodes(t, single(s.addr))
	n.listening()
	n.setModes()
	s.signal(syscall.SIGSTOP)
	start := time.Now()
	err := n.all[0].SetMode(context.Background(), forceOpen(""))
	require.ErrorContains(t, err, "no confirmation that the mode was set")
	assert.Less(t, time.Since(start), time.Second)
	s.signal(syscall.SIGCONT)
	n.setMode(0, forceOpen("another"))
	within(t, 5*time.Second, "all nodes know of the other", func() bool { return len(n.quiet().Status().Modes) > 0 })
	assert.Len(t, n.quiet().Status().Modes, 1, "what came too late is refused")
}
