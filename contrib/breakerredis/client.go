package breakerredis

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"reflect"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// ownClient is a client whose Close ends everything that it does: also a dial
// that is going on, which go-redis runs in the background.
type ownClient struct {
	redis.UniversalClient
	cancel context.CancelFunc
}

func (c ownClient) Close() error {
	c.cancel()
	return c.UniversalClient.Close()
}

// clientLike returns a client to the same servers as client, with connections,
// timeouts and an end of its own. By default go-redis tries four times, up to 5s
// each, and heeds no context.
func clientLike(client redis.UniversalClient, opts Options) (ownClient, error) {
	ctx, cancel := context.WithCancel(context.Background())
	timeout := cmp.Or(opts.Timeout, 500*time.Millisecond)
	own := ownClient{cancel: cancel}
	switch c := client.(type) {
	case *redis.Client:
		o := *c.Options()
		o.Dialer = dialer(ctx, o.Dialer, o.TLSConfig, timeout)
		o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = timeout, timeout, timeout, timeout
		o.DialerRetries, o.MaxRetries, o.ContextTimeoutEnabled = 1, -1, true
		o.PoolSize, o.MinIdleConns, o.MaxActiveConns, o.MaxConcurrentDials = poolSize, 0, 0, poolSize
		o.ReadBufferSize, o.WriteBufferSize, o.PipelineReadBufferSize, o.PipelineWriteBufferSize = bufferSize, bufferSize, 0, 0
		o.DisableIdentity = true // one round trip and one right less
		o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
		o.ClientSideCacheConfig, o.ClientSideCache, o.PushNotificationProcessor, o.Limiter = nil, nil, nil, nil
		own.UniversalClient = redis.NewClient(&o)
	case *redis.ClusterClient:
		o := *c.Options()
		o.Dialer = dialer(ctx, o.Dialer, o.TLSConfig, timeout)
		o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = timeout, timeout, timeout, timeout
		o.DialerRetries, o.ContextTimeoutEnabled = 1, true
		o.PoolSize, o.MinIdleConns, o.MaxActiveConns, o.MaxConcurrentDials = poolSize, 0, 0, poolSize
		o.ReadBufferSize, o.WriteBufferSize = bufferSize, bufferSize
		o.ReadOnly, o.RouteByLatency, o.RouteRandomly = false, false, false
		o.DisableIdentity = true // one round trip and one right less
		o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
		own.UniversalClient = redis.NewClusterClient(&o)
	default:
		cancel()
		return own, fmt.Errorf("breakerredis: New: client is a %T; want a *redis.Client or a *redis.ClusterClient", client)
	}
	return own, nil
}

const (
	poolSize   = 2
	bufferSize = 4 << 10
)

// isDefault reports whether dial is what go-redis sets where the user sets none.
func isDefault(dial dialFunc) bool {
	plain := redis.NewClient(&redis.Options{})
	defer plain.Close()
	return dial == nil || reflect.ValueOf(dial).Pointer() == reflect.ValueOf(plain.Options().Dialer).Pointer()
}

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// dialer returns a dialer that ends when ctx is done or after timeout. The
// default one is replaced, for with TLS it would heed neither; one of the
// user's is asked to heed both.
func dialer(ctx context.Context, dial dialFunc, config *tls.Config, timeout time.Duration) dialFunc {
	if isDefault(dial) {
		dial = new(net.Dialer).DialContext
		if config != nil {
			dial = (&tls.Dialer{Config: config}).DialContext
		}
	}
	return func(dialing context.Context, network, addr string) (net.Conn, error) {
		dialing, cancel := context.WithTimeout(dialing, timeout)
		defer cancel()
		defer context.AfterFunc(ctx, cancel)()
		conn, err := dial(dialing, network, addr)
		if err != nil {
			return failed{err}, nil
		}
		return conn, nil
	}
}

// failed is a connection that could not be made, and says so when it is used. The
// pool of go-redis logs each failed dial, and after some of them dials once a
// second in a goroutine that outlives Close.
type failed struct{ error }

func (f failed) Read([]byte) (int, error)         { return 0, f.error }
func (f failed) Write([]byte) (int, error)        { return 0, f.error }
func (f failed) Close() error                     { return nil }
func (f failed) LocalAddr() net.Addr              { return nowhere }
func (f failed) RemoteAddr() net.Addr             { return nowhere }
func (f failed) SetDeadline(time.Time) error      { return nil }
func (f failed) SetReadDeadline(time.Time) error  { return nil }
func (f failed) SetWriteDeadline(time.Time) error { return nil }

var nowhere = &net.TCPAddr{}
