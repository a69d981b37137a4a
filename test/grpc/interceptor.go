package grpc

import (
	"context"
	"errors"
	"io"

	"connectrpc.com/connect"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// NewInterceptor returns an interceptor for clients of Connect with a circuit for each
// procedure, which judges streams by the status at their end. Unary calls pass: their
// status is one of HTTP, and httpbreaker.Transport judges it.
func NewInterceptor(circuits *breaker.Set) connect.Interceptor { return interceptor{circuits} }

type interceptor struct{ circuits *breaker.Set }

func (interceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc { return next }

func (interceptor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

func (i interceptor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		conn := next(ctx, spec) // sends nothing yet
		permit, err := i.circuits.Get(spec.Procedure).Allow(ctx)
		if err != nil {
			return &rejectedStream{conn, connect.NewError(connect.CodeUnavailable, err)}
		}
		return &judgedStream{StreamingClientConn: conn, ctx: ctx, permit: permit}
	}
}

// A rejectedStream sends nothing.
type rejectedStream struct {
	connect.StreamingClientConn
	err error
}

func (s *rejectedStream) Send(any) error       { return s.err }
func (s *rejectedStream) CloseRequest() error  { return nil }
func (s *rejectedStream) Receive(any) error    { return s.err }
func (s *rejectedStream) CloseResponse() error { return nil }

// A judgedStream ends its permit with the stream. Connect receives, and closes the
// receiving side, on one goroutine at a time.
type judgedStream struct {
	connect.StreamingClientConn
	ctx    context.Context
	permit breaker.Permit
}

func (s *judgedStream) Receive(msg any) error {
	err := s.StreamingClientConn.Receive(msg)
	switch {
	case err == nil:
		s.permit.Answered()
	case errors.Is(err, io.EOF):
		s.permit.Done(breaker.Success)
	default:
		s.judge(err)
	}
	return err
}

// judge sorts the codes as httpbreaker.DefaultClassifier does for gRPC.
func (s *judgedStream) judge(err error) {
	if errors.Is(s.ctx.Err(), context.Canceled) {
		s.permit.Done(breaker.Ignored)
		return
	}
	switch connect.CodeOf(err) {
	case connect.CodeUnknown, connect.CodeDeadlineExceeded, connect.CodeInternal, connect.CodeUnavailable, connect.CodeDataLoss:
		s.permit.Fail(err)
	case connect.CodeCanceled, connect.CodeResourceExhausted:
		s.permit.Done(breaker.Ignored)
	default:
		s.permit.Done(breaker.Success)
	}
}

// CloseResponse before the end says that the caller has seen enough.
func (s *judgedStream) CloseResponse() error {
	s.permit.Done(breaker.Success)
	return s.StreamingClientConn.CloseResponse()
}
