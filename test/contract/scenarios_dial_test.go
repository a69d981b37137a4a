package contract_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

var dialScenarios = []scenario{
	{name: "dns no such name", want: breaker.Failure, setup: resolve("no-such.example.com", dnsCode(3))},
	{name: "dns server failure", want: breaker.Failure, setup: resolve("servfail.example.com", dnsCode(2))},
	{name: "dns refused", want: breaker.Failure, setup: resolve("refused.example.com", dnsCode(5))},
	{name: "dns no addresses", want: breaker.Failure, setup: resolve("nodata.example.com", dnsCode(0))},
	{name: "dns silent, dialer gives up", want: breaker.Failure, setup: resolve("silent.example.com", dnsSilent)},
	{name: "dns silent, caller gives up", want: breaker.Failure, setup: func(t *testing.T) exchange {
		return resolve("silent.example.com", dnsSilent)(t).within()
	}},
	{name: "dns server down", want: breaker.Failure, setup: resolve("down.example.com", func(t *testing.T) dialFunc {
		addr := refusing(t)
		return func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", addr)
		}
	})},
	{name: "dns label too long", want: breaker.Failure, setup: resolve(strings.Repeat("a", 70)+".example.com", dnsCode(0))},
	{name: "dns onion name", want: breaker.Ignored, setup: resolve("xyz.onion", dnsCode(0))},
	{name: "connection refused", want: breaker.Failure, setup: func(t *testing.T) exchange {
		return get(t, "http://"+refusing(t))
	}},
	{name: "connection refused, localhost", want: breaker.Failure, setup: func(t *testing.T) exchange {
		_, port, _ := net.SplitHostPort(refusing(t))
		return get(t, "http://localhost:"+port)
	}},
	{name: "unix socket missing", want: breaker.Failure, setup: func(t *testing.T) exchange {
		return get(t, "http://daemon", dialWith(func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(t.TempDir(), "no.sock"))
		}))
	}},
	{name: "dial hook refuses", want: breaker.Failure, setup: func(t *testing.T) exchange {
		return get(t, "http://example.com", dialWith(func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("address not allowed")
		}))
	}},
	{name: "dial control refuses", want: breaker.Failure, setup: func(t *testing.T) exchange {
		return get(t, "http://"+refusing(t), dialWith((&net.Dialer{
			Control: func(_, _ string, _ syscall.RawConn) error { return errors.New("address not allowed") },
		}).DialContext))
	}},
	{name: "port out of range", want: breaker.Ignored, setup: func(t *testing.T) exchange {
		return get(t, "http://127.0.0.1:99999")
	}},
	{name: "dial times out", want: breaker.Failure, setup: func(t *testing.T) exchange {
		return get(t, "http://"+refusing(t), dialWith(blackHole(short)))
	}},
	{name: "caller gives up dialling", want: breaker.Failure, setup: func(t *testing.T) exchange {
		return get(t, "http://"+refusing(t), dialWith(blackHole(10*short))).within()
	}},
	{name: "local address not available", want: breaker.Ignored, setup: func(t *testing.T) exchange {
		local := &net.TCPAddr{IP: net.ParseIP("192.0.2.1")} // RFC 5737: nobody's
		return get(t, "http://"+refusing(t), dialWith((&net.Dialer{LocalAddr: local}).DialContext))
	}},
	{name: "local port in use", want: breaker.Ignored, setup: func(t *testing.T) exchange {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { listener.Close() })
		return get(t, "http://"+refusing(t), dialWith((&net.Dialer{LocalAddr: listener.Addr()}).DialContext))
	}},
	{name: "no free connection in the pool", want: breaker.Failure, setup: func(t *testing.T) exchange {
		x := get(t, "http://"+serveRaw(t, answer("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n", hold)),
			func(base *http.Transport) { base.MaxConnsPerHost = 1 })
		res, err := x.base.RoundTrip(x.req)
		require.NoError(t, err)
		t.Cleanup(func() { res.Body.Close() })
		return x.within()
	}},
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

func dialWith(dial dialFunc) func(*http.Transport) {
	return func(base *http.Transport) { base.DialContext = dial }
}

// blackHole dials like to a host that answers nothing.
func blackHole(timeout time.Duration) dialFunc {
	return (&net.Dialer{Timeout: timeout, ControlContext: func(ctx context.Context, _, _ string, _ syscall.RawConn) error {
		<-ctx.Done()
		return nil
	}}).DialContext
}

// resolve returns the set-up of a request to a name for which a name server is
// asked that dial reaches.
func resolve(name string, dial func(*testing.T) dialFunc) func(*testing.T) exchange {
	return func(t *testing.T) exchange {
		resolver := &net.Resolver{PreferGo: true, Dial: dial(t)}
		return get(t, "http://"+name, dialWith((&net.Dialer{Resolver: resolver, Timeout: 10 * short}).DialContext))
	}
}

// dnsCode is a name server that answers everything with a response code and no
// records.
func dnsCode(code byte) func(*testing.T) dialFunc {
	return func(t *testing.T) dialFunc {
		return nameServer(t, func(query []byte) []byte {
			end := 12
			for end < len(query) && query[end] != 0 {
				end += int(query[end]) + 1
			}
			reply := append([]byte(nil), query[:end+5]...)
			reply[2], reply[3] = 0x81, 0x80|code            // a response, recursion available
			copy(reply[4:], []byte{0, 1, 0, 0, 0, 0, 0, 0}) // one question, nothing else
			return reply
		})
	}
}

func dnsSilent(t *testing.T) dialFunc {
	return nameServer(t, func([]byte) []byte { return nil })
}

func nameServer(t *testing.T, reply func(query []byte) []byte) dialFunc {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	go func() {
		query := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFrom(query)
			if err != nil {
				return
			}
			if answer := reply(query[:n]); answer != nil {
				conn.WriteTo(answer, from)
			}
		}
	}()
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}
}

var tlsScenarios = []scenario{
	{name: "https to a plain port", want: breaker.Failure, setup: func(t *testing.T) exchange {
		return get(t, "https://"+serveRaw(t, func(conn net.Conn) {
			io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
			hold(conn)
		}))
	}},
	{name: "http to a tls port", want: breaker.Success, setup: func(t *testing.T) exchange {
		x := tlsExchange(nil, nil)(t)
		x.req.URL.Scheme = "http"
		return x
	}},
	{name: "tls works", want: breaker.Success, setup: tlsExchange(nil, nil)},
	{name: "tls unknown authority", want: breaker.Failure, setup: tlsExchange(nil, func(c *tls.Config) { c.RootCAs = x509.NewCertPool() })},
	{name: "tls other host's certificate", want: breaker.Failure, setup: tlsExchange(nil, func(c *tls.Config) { c.ServerName = "other.test" })},
	{name: "tls version too old", want: breaker.Failure, setup: tlsExchange(
		func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 })},
	{name: "tls expired certificate", want: breaker.Failure, setup: tlsExchange(
		func(c *tls.Config) { c.Certificates = []tls.Certificate{expired} },
		func(c *tls.Config) { c.RootCAs.AddCert(expired.Leaf) })},
	{name: "tls 1.3 client certificate wanted", want: breaker.Failure, setup: tlsExchange(
		func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert }, nil)},
	{name: "tls 1.2 client certificate wanted", want: breaker.Failure, setup: tlsExchange(
		func(c *tls.Config) { c.ClientAuth, c.MaxVersion = tls.RequireAnyClientCert, tls.VersionTLS12 }, nil)},
	{name: "tls internal error", want: breaker.Failure, setup: tlsExchange(func(c *tls.Config) {
		c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, errors.New("no") }
	}, nil)},
	{name: "tls garbage", want: breaker.Failure, setup: handshake(func(conn net.Conn) {
		io.WriteString(conn, strings.Repeat("garbage", 10))
		hold(conn)
	})},
	{name: "tls closed", want: breaker.Failure, setup: handshake(fin)},
	{name: "tls reset", want: breaker.Failure, setup: handshake(reset)},
	{name: "tls handshake times out", want: breaker.Failure, setup: func(t *testing.T) exchange {
		return get(t, "https://"+serveRaw(t, hold), func(base *http.Transport) { base.TLSHandshakeTimeout = short })
	}},
	{name: "caller gives up the tls handshake", want: breaker.Failure, setup: func(t *testing.T) exchange {
		return get(t, "https://"+serveRaw(t, hold)).within()
	}},
}

// tlsExchange returns the set-up of a request to a real server, with the TLS
// configurations of both sides edited.
func tlsExchange(server, client func(*tls.Config)) func(*testing.T) exchange {
	return func(t *testing.T) exchange {
		srv := httptest.NewUnstartedServer(http.NotFoundHandler())
		srv.Config.ErrorLog = log.New(io.Discard, "", 0)
		srv.TLS = new(tls.Config)
		if server != nil {
			server(srv.TLS)
		}
		srv.StartTLS()
		t.Cleanup(srv.Close)
		config := &tls.Config{RootCAs: x509.NewCertPool()}
		config.RootCAs.AddCert(srv.Certificate())
		if client != nil {
			client(config)
		}
		return get(t, srv.URL, func(base *http.Transport) { base.TLSClientConfig = config })
	}
}

// handshake returns the set-up of a request to a peer that reads the first
// flight of the handshake and then does something else.
func handshake(then script) func(*testing.T) exchange {
	return func(t *testing.T) exchange {
		return get(t, "https://"+serveRaw(t, func(conn net.Conn) {
			conn.Read(make([]byte, 16<<10))
			then(conn)
		}))
	}
}

// expired is a certificate for 127.0.0.1 that was valid long ago.
var expired = func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1e9, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}()

var proxyScenarios = []scenario{
	{name: "proxy down, http", want: breaker.Failure, setup: func(t *testing.T) exchange {
		return get(t, "http://target.test", proxyAt("http://"+refusing(t)))
	}},
	{name: "proxy down, https", want: breaker.Failure, setup: func(t *testing.T) exchange {
		return get(t, "https://target.test", proxyAt("http://"+refusing(t)))
	}},
	{name: "proxy wants authentication", want: breaker.Failure, setup: connect("407 Proxy Authentication Required")},
	{name: "proxy answers 502", want: breaker.Failure, setup: connect("502 Bad Gateway")},
	{name: "proxy answers 503", want: breaker.Failure, setup: connect("503 Service Unavailable")},
	{name: "proxy answers 299", want: breaker.Failure, setup: connect("299")},
	{name: "proxy closes", want: breaker.Failure, setup: func(t *testing.T) exchange {
		return get(t, "https://target.test", proxyAt("http://"+serveRaw(t, answer("", fin))))
	}},
	{name: "proxy answers 502, http", want: breaker.Failure, setup: func(t *testing.T) exchange {
		proxy := serveRaw(t, answer("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", fin))
		return get(t, "http://target.test", proxyAt("http://"+proxy))
	}},
	{name: "socks target refuses", want: breaker.Failure, setup: func(t *testing.T) exchange {
		proxy := serveRaw(t, func(conn net.Conn) {
			io.ReadFull(conn, make([]byte, 3)) // version, one method, no authentication
			conn.Write([]byte{5, 0})
			conn.Read(make([]byte, 512))
			conn.Write([]byte{5, 5, 0, 1, 0, 0, 0, 0, 0, 0}) // connection refused
		})
		return get(t, "http://target.test", proxyAt("socks5://"+proxy))
	}},
	{name: "socks proxy down", want: breaker.Failure, setup: func(t *testing.T) exchange {
		return get(t, "http://target.test", proxyAt("socks5://"+refusing(t)))
	}},
	{name: "proxy function fails", want: breaker.Failure, setup: func(t *testing.T) exchange {
		return get(t, "http://target.test", func(base *http.Transport) {
			base.Proxy = func(*http.Request) (*url.URL, error) { return nil, errors.New("bad proxy configuration") }
		})
	}},
	{name: "proxy hook refuses", want: breaker.Failure, setup: func(t *testing.T) exchange {
		proxy := serveRaw(t, answer("HTTP/1.1 200 OK\r\n\r\n", hold))
		return get(t, "https://target.test", proxyAt("http://"+proxy), func(base *http.Transport) {
			base.OnProxyConnectResponse = func(context.Context, *url.URL, *http.Request, *http.Response) error {
				return errors.New("hook says no")
			}
		})
	}},
}

func proxyAt(rawURL string) func(*http.Transport) {
	return func(base *http.Transport) {
		u, err := url.Parse(rawURL)
		if err != nil {
			panic(err)
		}
		base.Proxy = http.ProxyURL(u)
	}
}

// connect returns the set-up of a request through a proxy that answers CONNECT
// with status.
func connect(status string) func(*testing.T) exchange {
	return func(t *testing.T) exchange {
		proxy := serveRaw(t, answer("HTTP/1.1 "+status+"\r\nContent-Length: 0\r\n\r\n", fin))
		return get(t, "https://target.test", proxyAt("http://"+proxy))
	}
}
