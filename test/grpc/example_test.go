package grpc_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/test/grpc"
)

// A stream of Connect that fails is 200 OK with the status in its last message. An
// interceptor sees it.
func ExampleNewInterceptor() {
	const procedure = "/prices.v1.Prices/Watch"
	mux := http.NewServeMux()
	mux.Handle(procedure, connect.NewServerStreamHandler(procedure,
		func(context.Context, *connect.Request[emptypb.Empty], *connect.ServerStream[emptypb.Empty]) error {
			return connect.NewError(connect.CodeUnavailable, errors.New("no database"))
		}))
	server := httptest.NewServer(mux)
	defer server.Close()

	circuits := breaker.NewSet(breaker.Options{Config: breaker.Config{Failures: 3}})
	client := connect.NewClient[emptypb.Empty, emptypb.Empty](server.Client(), server.URL+procedure,
		connect.WithInterceptors(grpc.NewInterceptor(circuits)))

	for range 4 {
		stream, err := client.CallServerStream(context.Background(), connect.NewRequest(&emptypb.Empty{}))
		if err == nil {
			for stream.Receive() {
			}
			err = stream.Err()
			stream.Close()
		}
		fmt.Println(connect.CodeOf(err), errors.Is(err, breaker.ErrOpen))
	}
	// Output:
	// unavailable false
	// unavailable false
	// unavailable false
	// unavailable true
}
