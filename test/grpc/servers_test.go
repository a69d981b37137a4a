package grpc_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// A message carries what the server is to do: "ok", "hang", or "fail CODE" with the number
// of the code, which a "late" before it puts off until after a first message.
type message = wrapperspb.StringValue

const service = "/test.v1.Echo/"

// A server is a real one that is asked for an address and the base transport that reaches it.
type server struct {
	url   string
	base  *http.Transport
	calls *atomic.Int64
}

// obey does what a call was told to do, with send to write a message. hang ends with ctx.
func obey(ctx context.Context, do string, send func() error) (code uint32, err error) {
	do, late := strings.CutPrefix(do, "late ")
	name, number, _ := strings.Cut(do, " ")
	if late || name == "ok" {
		if err := send(); err != nil {
			return 0, err
		}
	}
	switch name {
	case "hang":
		<-ctx.Done()
		return 0, ctx.Err()
	case "fail":
		for _, c := range number {
			code = code*10 + uint32(c-'0')
		}
	}
	return code, nil
}

func connectError(code uint32, err error) error {
	if err != nil || code == 0 {
		return err
	}
	return connect.NewError(connect.Code(code), errors.New("as told"))
}

// connectGo runs a server of connect-go, which speaks all three protocols.
func connectGo(t *testing.T, secure bool) server {
	t.Helper()
	calls := new(atomic.Int64)
	mux := http.NewServeMux()
	mux.Handle(service+"Unary", connect.NewUnaryHandler(service+"Unary",
		func(ctx context.Context, req *connect.Request[message]) (*connect.Response[message], error) {
			calls.Add(1)
			if err := connectError(obey(ctx, req.Msg.Value, func() error { return nil })); err != nil {
				return nil, err
			}
			return connect.NewResponse(wrapperspb.String("done")), nil
		}))
	mux.Handle(service+"Server", connect.NewServerStreamHandler(service+"Server",
		func(ctx context.Context, req *connect.Request[message], stream *connect.ServerStream[message]) error {
			calls.Add(1)
			return connectError(obey(ctx, req.Msg.Value, func() error { return stream.Send(wrapperspb.String("done")) }))
		}))
	mux.Handle(service+"Client", connect.NewClientStreamHandler(service+"Client",
		func(ctx context.Context, stream *connect.ClientStream[message]) (*connect.Response[message], error) {
			calls.Add(1)
			if !stream.Receive() {
				return nil, stream.Err()
			}
			if err := connectError(obey(ctx, stream.Msg().Value, func() error { return nil })); err != nil {
				return nil, err
			}
			return connect.NewResponse(wrapperspb.String("done")), nil
		}))
	mux.Handle(service+"Bidi", connect.NewBidiStreamHandler(service+"Bidi",
		func(ctx context.Context, stream *connect.BidiStream[message, message]) error {
			calls.Add(1)
			req, err := stream.Receive()
			if err != nil {
				return err
			}
			return connectError(obey(ctx, req.Value, func() error { return stream.Send(wrapperspb.String("done")) }))
		}))

	s := httptest.NewUnstartedServer(mux)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	base := new(http.Transport)
	if secure {
		s.EnableHTTP2 = true
		s.StartTLS()
		base = s.Client().Transport.(*http.Transport)
	} else {
		s.Config.Protocols = unencrypted()
		s.Start()
		base.Protocols = unencrypted()
	}
	t.Cleanup(func() {
		base.CloseIdleConnections()
		s.CloseClientConnections()
		s.Close()
	})
	return server{s.URL, base, calls}
}

func unencrypted() *http.Protocols {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return p
}

// grpcGo runs a server of grpc-go, which speaks gRPC over HTTP/2 of its own.
func grpcGo(t *testing.T, secure bool) server {
	t.Helper()
	calls := new(atomic.Int64)
	answer := func(ctx context.Context, do string, send func() error) error {
		calls.Add(1)
		code, err := obey(ctx, do, send)
		if err != nil || code == 0 {
			return err
		}
		return status.Error(codes.Code(code), "as told")
	}
	stream := func(_ any, stream grpc.ServerStream) error {
		var req message
		if err := stream.RecvMsg(&req); err != nil {
			return err
		}
		return answer(stream.Context(), req.Value, func() error { return stream.SendMsg(wrapperspb.String("done")) })
	}
	desc := &grpc.ServiceDesc{
		ServiceName: strings.Trim(service, "/"),
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Unary", Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			var req message
			if err := decode(&req); err != nil {
				return nil, err
			}
			return wrapperspb.String("done"), answer(ctx, req.Value, func() error { return nil })
		}}},
		Streams: []grpc.StreamDesc{
			{StreamName: "Server", ServerStreams: true, Handler: stream},
			{StreamName: "Client", ClientStreams: true, Handler: stream},
			{StreamName: "Bidi", ServerStreams: true, ClientStreams: true, Handler: stream},
		},
	}

	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var options []grpc.ServerOption
	base, scheme := new(http.Transport), "http://"
	if secure {
		like := httptest.NewTLSServer(nil) // for its certificate
		base.TLSClientConfig = like.Client().Transport.(*http.Transport).TLSClientConfig
		base.ForceAttemptHTTP2 = true
		options = append(options, grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: like.TLS.Certificates})))
		like.Close()
		scheme = "https://"
	} else {
		base.Protocols = unencrypted()
	}
	s := grpc.NewServer(options...)
	s.RegisterService(desc, nil)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() {
		base.CloseIdleConnections()
		s.Stop()
	})
	return server{scheme + l.Addr().String(), base, calls}
}

// A caller makes one call that tells the server what to do, and reads its answer to the end.
type caller func(ctx context.Context, do string) error

// callers returns one for each kind of call, by the protocol that option chooses; nil is
// Connect's own.
func callers(client *http.Client, url string, options ...connect.ClientOption) map[string]caller {
	made := func(method string) *connect.Client[message, message] {
		return connect.NewClient[message, message](client, url+service+method, options...)
	}
	return map[string]caller{
		"unary": func(ctx context.Context, do string) error {
			_, err := made("Unary").CallUnary(ctx, connect.NewRequest(wrapperspb.String(do)))
			return err
		},
		"server stream": func(ctx context.Context, do string) error {
			stream, err := made("Server").CallServerStream(ctx, connect.NewRequest(wrapperspb.String(do)))
			if err != nil {
				return err
			}
			defer stream.Close()
			for stream.Receive() {
			}
			return stream.Err()
		},
		"client stream": func(ctx context.Context, do string) error {
			stream := made("Client").CallClientStream(ctx)
			_ = stream.Send(wrapperspb.String(do)) // what is wrong, CloseAndReceive says
			_, err := stream.CloseAndReceive()
			return err
		},
		"bidi stream": func(ctx context.Context, do string) error {
			stream := made("Bidi").CallBidiStream(ctx)
			defer stream.CloseResponse()
			_ = stream.Send(wrapperspb.String(do))
			if err := stream.CloseRequest(); err != nil {
				return err
			}
			for {
				if _, err := stream.Receive(); errors.Is(err, io.EOF) {
					return nil
				} else if err != nil {
					return err
				}
			}
		},
	}
}
