//go:build unix

package breakerredis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// startCluster starts three masters with a third of the slots each. It does what
// redis-cli --cluster create does, which needs ten seconds.
func startCluster(t *testing.T) []*server {
	var nodes []*server
	for i := range 3 {
		s := &server{t: t, addr: clusterAddr(t), dir: t.TempDir(), args: []string{
			"--cluster-enabled", "yes", "--cluster-require-full-coverage", "no", "--cluster-node-timeout", "5000",
		}}
		s.start()
		t.Cleanup(s.kill)
		s.do("CLUSTER", "SET-CONFIG-EPOCH", i+1)
		s.do("CLUSTER", "ADDSLOTSRANGE", 16384*i/3, 16384*(i+1)/3-1)
		nodes = append(nodes, s)
	}
	var met time.Time
	within(t, 10*time.Second, "the cluster is up", func() bool {
		if time.Since(met) > 5*time.Second { // an introduction may time out
			met = time.Now()
			for _, s := range nodes[1:] {
				nodes[0].do("CLUSTER", "MEET", "127.0.0.1", s.port())
			}
		}
		for _, s := range nodes {
			info := fmt.Sprint(s.do("CLUSTER", "INFO"))
			if !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:3") {
				time.Sleep(100 * time.Millisecond)
				return false
			}
		}
		return true
	})
	return nodes
}

// clusterAddr is a free port whose bus port, 10,000 above it, is free as well.
func clusterAddr(t *testing.T) string {
	for port := 20_000 + os.Getpid()%10_000; port < 45_000; port++ {
		a, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		b, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+10_000))
		a.Close()
		if err == nil {
			b.Close()
			return a.Addr().String()
		}
	}
	t.Fatal("no free port for a cluster")
	return ""
}

func TestAClusterThatLosesTheNodeOfTheFleet(t *testing.T) {
	t.Parallel()
	servers := startCluster(t)
	var addrs []string
	for _, s := range servers {
		addrs = append(addrs, s.addr)
	}
	n := startNodes(t, func() redis.UniversalClient {
		return redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs})
	})
	n.reachable(true)
	n.listening()
	n.share()
	n.setModes()

	slot := servers[0].do("CLUSTER", "KEYSLOT", "hb1:{test}:v").(int64)
	owner := servers[slot*3/16384]
	owner.kill()
	n.alone()
	owner.start()
	within(t, 10*time.Second, "the cluster is up again", func() bool {
		return strings.Contains(fmt.Sprint(owner.do("CLUSTER", "INFO")), "cluster_state:ok")
	})
	n.reachable(true)
	n.listening()
	n.share()
}

func TestASentinelThatFailsOver(t *testing.T) {
	t.Parallel()
	master, replica := startServer(t), startServer(t)
	replica.do("REPLICAOF", "127.0.0.1", master.port())
	sentinel := &server{t: t, addr: freeAddr(t), dir: t.TempDir()}
	config := filepath.Join(sentinel.dir, "sentinel.conf")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `
port %s
dir %s
sentinel monitor main 127.0.0.1 %s 1
sentinel down-after-milliseconds main 500
sentinel failover-timeout main 3000
`, sentinel.port(), sentinel.dir, master.port()), 0o600))
	sentinel.run("redis-server", "redis-server", config, "--sentinel")
	t.Cleanup(sentinel.kill)
	within(t, 15*time.Second, "the sentinel knows the replica", func() bool {
		return len(sentinel.do("SENTINEL", "REPLICAS", "main").([]any)) == 1
	})

	var clients []*redis.Client
	n := startNodesKeeping(t, func() redis.UniversalClient {
		c := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "main", SentinelAddrs: []string{sentinel.addr}})
		clients = append(clients, c)
		return c
	})
	n.reachable(true)
	n.listening()
	n.share()
	master.kill()
	within(t, 20*time.Second, "the sentinel fails over", func() bool {
		return strings.Contains(fmt.Sprint(replica.do("INFO", "replication")), "role:master")
	})
	n.reachable(true) // a new connection takes four exchanges, and on a busy machine some tries
	n.listening()
	n.share()
	for _, c := range clients {
		require.NoError(t, c.Close())
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	certFile, keyFile := certificate(t)
	s := startServer(t)
	secure := freeAddr(t)
	_, port, _ := net.SplitHostPort(secure)
	s.do("CONFIG", "SET", "tls-cert-file", certFile, "tls-key-file", keyFile, "tls-ca-cert-file", certFile,
		"tls-auth-clients", "no", "tls-port", port)
	pool := x509.NewCertPool()
	pem, err := os.ReadFile(certFile)
	require.NoError(t, err)
	require.True(t, pool.AppendCertsFromPEM(pem))
	p := startProxy(t, secure)
	n := startNodes(t, func() redis.UniversalClient {
		return redis.NewClient(&redis.Options{Addr: p.addr(), TLSConfig: &tls.Config{RootCAs: pool}})
	})
	n.listening()
	n.share()
	p.cut()
	p.set(func(p *proxy) { p.mute = true }) // Close meets handshakes that go nowhere
	n.alone()
}

// A Dialer of the user's own is used, and ended by Close.
func TestADialerThatHangs(t *testing.T) {
	t.Parallel()
	dialed := make(chan struct{}, 1)
	n := startNodes(t, func() redis.UniversalClient {
		return redis.NewClient(&redis.Options{Dialer: func(ctx context.Context, _, _ string) (net.Conn, error) {
			select {
			case dialed <- struct{}{}:
			default:
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}})
	})
	n.reachable(false)
	n.alone()
	assert.Len(t, dialed, 1)
}
