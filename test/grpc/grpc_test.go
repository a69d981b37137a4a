package grpc_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// A protocol is one way to speak to a server.
type protocol struct {
	name    string
	serve   func(*testing.T, bool) server
	options []connect.ClientOption
}

var (
	grpcOverConnectGo    = protocol{"connect-go, gRPC", connectGo, []connect.ClientOption{connect.WithGRPC()}}
	grpcOverGRPCGo       = protocol{"grpc-go, gRPC", grpcGo, []connect.ClientOption{connect.WithGRPC()}}
	grpcWebOverConnectGo = protocol{"connect-go, gRPC-Web", connectGo, []connect.ClientOption{connect.WithGRPCWeb()}}
	connectOverConnectGo = protocol{"connect-go, Connect", connectGo, nil}
)

// each runs test for each kind of call by each protocol, over TLS and without it.
func each(t *testing.T, protocols []protocol, classify httpbreaker.Classifier, test func(t *testing.T, s server, rt *httpbreaker.Transport, call caller)) {
	for _, p := range protocols {
		for _, secure := range []bool{false, true} {
			over := map[bool]string{false: "h2c", true: "TLS"}[secure]
			for kind := range callers(nil, "") {
				t.Run(strings.Join([]string{p.name, over, kind}, "/"), func(t *testing.T) {
					s := p.serve(t, secure)
					rt := httpbreaker.New(&httpbreaker.Config{Base: s.base, Classify: classify, Breakers: breaker.NewSet(breaker.Options{
						Config: breaker.Config{Failures: 5, ShedRate: -1, OpenFor: time.Hour, MaxOpenFor: time.Hour, ProbeShare: -1},
					})})
					test(t, s, rt, callers(&http.Client{Transport: rt}, s.url, p.options...)[kind])
				})
			}
		}
	}
}

func totals(rt *httpbreaker.Transport) (t breaker.Totals) {
	for _, b := range rt.Breakers().All() {
		t = b.Snapshot().Totals
	}
	return t
}

var all = []protocol{grpcOverConnectGo, grpcOverGRPCGo, grpcWebOverConnectGo, connectOverConnectGo}

func TestCallsThatSucceedCountSo(t *testing.T) {
	each(t, all, nil, func(t *testing.T, _ server, rt *httpbreaker.Transport, call caller) {
		for range 10 {
			require.NoError(t, call(t.Context(), "ok"))
		}
		assert.EqualValues(t, 10, totals(rt).Successes)
		assert.Zero(t, totals(rt).Failures)
	})
}

func TestCallersMistakesAreNoFailures(t *testing.T) {
	each(t, all, nil, func(t *testing.T, _ server, rt *httpbreaker.Transport, call caller) {
		for range 10 {
			require.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(call(t.Context(), "fail 3")))
		}
		assert.EqualValues(t, 10, totals(rt).Successes)
	})
}

// opens calls until the circuit is open, which must be after five failures.
func opens(t *testing.T, s server, rt *httpbreaker.Transport, call caller, do string) {
	for range 5 {
		err := call(t.Context(), do)
		require.Equal(t, connect.CodeUnavailable, connect.CodeOf(err), "%v", err)
		require.NotErrorIs(t, err, httpbreaker.ErrOpen)
	}
	assert.ErrorIs(t, call(t.Context(), do), httpbreaker.ErrOpen)
	assert.EqualValues(t, 5, s.calls.Load(), "calls that the server saw")
	assert.EqualValues(t, 5, totals(rt).Failures)
}

func TestUnavailableBeforeTheFirstMessageOpensTheCircuit(t *testing.T) {
	each(t, []protocol{grpcOverConnectGo, grpcOverGRPCGo, grpcWebOverConnectGo}, nil, func(t *testing.T, s server, rt *httpbreaker.Transport, call caller) {
		opens(t, s, rt, call, "fail 14")
	})
}

func TestUnavailableAfterAMessageOpensTheCircuit(t *testing.T) {
	each(t, []protocol{grpcOverConnectGo, grpcOverGRPCGo}, nil, func(t *testing.T, s server, rt *httpbreaker.Transport, call caller) {
		opens(t, s, rt, call, "late fail 14")
	})
}

// What ends a stream of Connect, or a stream of gRPC-Web that has messages, is in the body.
func TestStatusInTheBodyIsNotSeen(t *testing.T) {
	for _, tc := range []struct {
		protocol protocol
		do       string
	}{{connectOverConnectGo, "fail 14"}, {grpcWebOverConnectGo, "late fail 14"}} {
		s := tc.protocol.serve(t, false)
		rt := httpbreaker.New(&httpbreaker.Config{Base: s.base})
		call := callers(&http.Client{Transport: rt}, s.url, tc.protocol.options...)["server stream"]
		for range 20 {
			require.Equal(t, connect.CodeUnavailable, connect.CodeOf(call(t.Context(), tc.do)))
		}
		assert.EqualValues(t, 20, totals(rt).Successes, tc.protocol.name)
	}
}

// The status of a unary call of Connect is one of HTTP.
func TestUnaryConnectOpensTheCircuit(t *testing.T) {
	s := connectGo(t, true)
	rt := httpbreaker.New(&httpbreaker.Config{Base: s.base, Breakers: breaker.NewSet(breaker.Options{Config: breaker.Config{Failures: 5}})})
	opens(t, s, rt, callers(&http.Client{Transport: rt}, s.url)["unary"], "fail 14")
}

// The server is told of the deadline, and at times the first to say that it has passed.
func TestDeadlinesAreFailuresUnlessTheyWereShort(t *testing.T) {
	for name, classify := range map[string]httpbreaker.Classifier{"default": nil, "DeadlinesOver": httpbreaker.DeadlinesOver(nil, time.Minute)} {
		t.Run(name, func(t *testing.T) {
			each(t, []protocol{grpcOverConnectGo, grpcOverGRPCGo, grpcWebOverConnectGo}, classify, func(t *testing.T, _ server, rt *httpbreaker.Transport, call caller) {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
				defer cancel()
				err := call(ctx, "hang")
				require.Equal(t, connect.CodeDeadlineExceeded, connect.CodeOf(err), "%v", err)
				got := totals(rt)
				assert.Zero(t, got.Successes)
				if classify == nil {
					assert.EqualValues(t, 1, got.Failures)
				} else {
					assert.EqualValues(t, 1, got.Ignored)
				}
			})
		})
	}
}

func TestCancelledCallsAreIgnored(t *testing.T) {
	each(t, all, nil, func(t *testing.T, s server, rt *httpbreaker.Transport, call caller) {
		for range 5 {
			ctx, cancel := context.WithCancel(t.Context())
			before := s.calls.Load()
			go func() {
				for s.calls.Load() == before && t.Context().Err() == nil {
					time.Sleep(time.Millisecond)
				}
				cancel()
			}()
			require.Equal(t, connect.CodeCanceled, connect.CodeOf(call(ctx, "hang")))
		}
		got := totals(rt)
		assert.Zero(t, got.Failures)
		assert.Zero(t, got.Successes)
	})
}

func TestServerThatIsBackClosesTheCircuit(t *testing.T) {
	each(t, []protocol{grpcOverConnectGo, grpcOverGRPCGo}, nil, func(t *testing.T, s server, rt *httpbreaker.Transport, call caller) {
		opens(t, s, rt, call, "fail 14")
		var b *breaker.Breaker
		for _, b = range rt.Breakers().All() {
		}
		probe := func(do string) {
			b.Trip(time.Nanosecond, "so that nobody has to wait")
			time.Sleep(time.Millisecond)
			_ = call(t.Context(), do)
		}
		probe("fail 14")
		require.Equal(t, breaker.Open, b.State(), "a probe that is answered, with a failure in its trailers")
		probe("ok")
		require.Equal(t, breaker.Closed, b.State())
	})
}
