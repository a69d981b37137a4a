package httpbreaker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/internal/fault"
	"github.com/seed-0b728cf8/httpbreaker/internal/field"
)

// Result is one finished round trip, for a [Classifier] or a [Fallback] to
// judge. Treat all that it points to as read-only.
//
// A Result may be made by hand, for tests of one's own classifiers: the
// functions of this package take one with any field left out.
type Result struct {
	// Request is what the transport was given; for a Fallback a shallow copy with a
	// value more in its context.
	Request *http.Request
	// Response is what the base returned; nil if it returned an error. Its body
	// belongs to the caller and must not be read. Its Trailer is filled in once
	// the body has been read to its end; before that it has at most the names
	// that the header announces, without values.
	Response *http.Response
	// Err is what the base returned. With a Response it is the first error from
	// reading its body: the response broke off half-way.
	Err error
	// Duration is the time to the header or, without one, to Err. The transport
	// measures it only with Config.Classify or Config.FallbackOnFailure; it is
	// zero otherwise, and for a rejected request.
	Duration time.Duration

	// waited is the time to Err where the body failed, so that a response that
	// began early and then hung is not taken for a short wait. Zero: Duration.
	waited time.Duration
	// body watches the request's body; nil unless the transport tracks it.
	body *requestBody
}

// Classifier says what a finished round trip tells about the peer. It is asked
// once the header or an error is there. A response that it calls a success then
// is judged for good when its body ends: by the classifier again if reading the
// body returned an error, which is in Result.Err, or if the response ended with
// trailers, which are in Result.Response.Trailer; without either it is a success.
// The second time comes for no response whose body nobody reads to its end, and
// with Config.HeadersOnly for none.
//
// A stream of events (text/event-stream) is a success with its first byte, and the
// classifier is asked for an error that comes before that and within a second of the
// header. A stream that breaks off later was idle, and one that ends without an
// error had nothing to tell.
//
// A probe of an open circuit is judged at its header, since other calls wait for
// it, except a response of gRPC and, with a classifier of one's own, one whose
// header announces trailers.
//
// It runs on the goroutine of the call and must be safe for concurrent use. One
// that panics has said [breaker.Ignored], and the panic goes on.
type Classifier func(Result) breaker.Outcome

// DefaultClassifier blames the peer for every failure that is not known to be
// the caller's or this machine's. The error's text and type prove little here:
// the first rule that applies holds.
//
// A response is judged by its status (RFC 9110 §15):
//
//	1xx to 4xx, except      success: the peer works
//	408, 421, 425, 429      ignored: about this request or its sender
//	501, 505                success: about the request
//	511                     ignored: a captive portal, between us and the peer
//	other 5xx, and beyond   failure
//
// A response of gRPC or gRPC-Web, by its content type, that is a success so far
// is judged by its field Grpc-Status. That is in the trailers, or in the header
// of a response without messages; what gRPC-Web writes into the body is not seen.
//
//	OK                                           success
//	INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS,
//	PERMISSION_DENIED, FAILED_PRECONDITION,
//	ABORTED, OUT_OF_RANGE, UNIMPLEMENTED,
//	UNAUTHENTICATED                              success: about the request
//	CANCELLED, RESOURCE_EXHAUSTED                ignored: about this call or its sender
//	UNKNOWN, DEADLINE_EXCEEDED, INTERNAL,
//	UNAVAILABLE, DATA_LOSS, any other            failure
//
// That is what the rules above say of the HTTP statuses which google/rpc/code.proto
// gives for the codes, and by which Envoy's outlier detection counts them. gRPC's
// own outlier detection (gRFC A50) counts everything except OK as a failure; its
// throttling of retries (gRFC A6) leaves out, as we do, what is about the request.
// A server in Go answers UNKNOWN for any error that is not a status: where that is
// no failure, a classifier of one's own can say so.
//
// An error, of the round trip or while the body was read, is judged by whose it
// is:
//
//	open circuit of another breaker, or
//	an answer in its place                       ignored
//	the caller's body was not as long as
//	declared or, if it has no GetBody, failed
//	to be read                                   ignored
//	the request's deadline has passed            failure; see DeadlinesOver
//	the request was cancelled                    ignored
//	net/http refuses to send such a request      ignored
//	no descriptors, ports, memory, permission
//	or network on this machine                   ignored
//	anything else                                failure
//
// Deadline and cancellation are read from the request's context and its Cancel
// channel, never from the error: net/http returns the context's own cause,
// whatever that is, and reports timeouts of its own as
// [context.DeadlineExceeded]. [http.Client.Timeout] is a deadline. A body with a
// GetBody is in memory or the like and goes unwatched: when reading it fails, that
// is a failure.
//
// Neither a Response nor an Err is a failure.
func DefaultClassifier(r Result) breaker.Outcome {
	switch {
	case r.Err != nil:
		return judgeError(r)
	case r.Response != nil && isFallbackOf(r.Request, r.Response):
		return breaker.Ignored
	case r.Response != nil:
		o := judgeStatus(r.Response.StatusCode)
		if o == breaker.Success {
			if code, ok := field.GRPCStatus(r.Response); ok {
				return judgeGRPC(code)
			}
		}
		return o
	}
	return breaker.Failure
}

func judgeStatus(code int) breaker.Outcome {
	switch code {
	case http.StatusRequestTimeout, http.StatusMisdirectedRequest, http.StatusTooEarly,
		http.StatusTooManyRequests, http.StatusNetworkAuthenticationRequired:
		return breaker.Ignored
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return breaker.Success
	}
	if code >= 100 && code < 500 {
		return breaker.Success
	}
	return breaker.Failure
}

// judgeGRPC agrees with judgeStatus of the HTTP status that google/rpc/code.proto gives
// for the code.
func judgeGRPC(code field.GRPCCode) breaker.Outcome {
	switch code {
	case field.OK, field.InvalidArgument, field.NotFound, field.AlreadyExists, field.PermissionDenied,
		field.FailedPrecondition, field.Aborted, field.OutOfRange, field.Unimplemented, field.Unauthenticated:
		return breaker.Success
	case field.Cancelled, field.ResourceExhausted:
		return breaker.Ignored
	}
	return breaker.Failure
}

func judgeError(r Result) breaker.Outcome {
	switch {
	case r.Err == http.ErrSkipAltProtocol, // asks for another round tripper; net/http compares it so, too
		errors.Is(r.Err, breaker.ErrOpen),
		r.body.callerFault():
		return breaker.Ignored
	}
	switch giveUp(r.Request) {
	case deadlinePassed:
		return breaker.Failure
	case cancelled:
		return breaker.Ignored
	}
	if r.Response == nil && fault.Unsendable(r.Request, r.Err) || fault.Local(r.Err) ||
		errors.Is(r.Err, net.ErrClosed) && fault.Misdeclared(r.Request) {
		return breaker.Ignored
	}
	return breaker.Failure
}

// A waiting says whether the caller still waits.
type waiting uint8

const (
	stillWaiting waiting = iota
	deadlinePassed
	cancelled
)

// giveUp returns why the caller of req has stopped waiting. http.Client.Timeout
// closes Cancel at the deadline, at times before the context knows of it: so
// the deadline is compared with the clock, and before Cancel is looked at.
func giveUp(req *http.Request) waiting {
	if req == nil {
		return stillWaiting
	}
	ctx := req.Context()
	if err := ctx.Err(); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return deadlinePassed
		}
		return cancelled
	}
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		return deadlinePassed
	}
	select {
	case <-req.Cancel: //lint:ignore SA1019 http.Client.Timeout works by it
		return cancelled
	default:
		return stillWaiting
	}
}

// Statuses returns a Classifier that calls every response with one of codes an
// o, whatever next says, and leaves everything else to next; nil is
// [DefaultClassifier]. The codes are of HTTP, not of gRPC. A body that fails later
// goes to next.
//
//	Statuses(nil, breaker.Failure, 429)      // a quota used up is an outage to us
//	Statuses(nil, breaker.Ignored, 500)      // a peer that answers bad queries so
//
// It panics if a code is not of three digits (RFC 9110 §15) or o is no Outcome.
func Statuses(next Classifier, o breaker.Outcome, codes ...int) Classifier {
	next = orDefault("Statuses", next, o)
	for i, code := range codes {
		if code < 100 || code > 999 {
			panic(fmt.Sprintf("httpbreaker: Statuses: codes[%d] = %d; want a status code from 100 to 999", i, code))
		}
	}
	codes = slices.Clone(codes)
	return func(r Result) breaker.Outcome {
		if r.Err == nil && r.Response != nil && slices.Contains(codes, r.Response.StatusCode) {
			return o
		}
		return next(r)
	}
}

// Errors returns a Classifier that calls every error that is one of targets, in
// the sense of [errors.Is], an o, whatever next says, and leaves everything else
// to next; nil is [DefaultClassifier].
//
//	Errors(nil, breaker.Ignored, errAddressForbidden) // what our own DialContext refuses
//
// It panics if a target is nil or o is no Outcome.
func Errors(next Classifier, o breaker.Outcome, targets ...error) Classifier {
	next = orDefault("Errors", next, o)
	for i, target := range targets {
		if target == nil {
			panic(fmt.Sprintf("httpbreaker: Errors: targets[%d] = <nil>; want an error", i))
		}
	}
	targets = slices.Clone(targets)
	return func(r Result) breaker.Outcome {
		if slices.ContainsFunc(targets, func(target error) bool { return errors.Is(r.Err, target) }) {
			return o
		}
		return next(r)
	}
}

// DeadlinesOver returns a Classifier that calls a failure ignored if the
// request's deadline has passed and the peer had less than d to answer; all else
// is as next says, and nil is [DefaultClassifier]. It keeps an impatient caller,
// with a deadline below what the peer ordinarily takes, from opening the circuit
// for everybody. A peer that was kept waiting for the request's body until the
// deadline, by a visitor of a proxy perhaps, had no time at all.
//
// Deadlines are those of the request's context and [http.Client.Timeout].
// The peer's own word for them, DEADLINE_EXCEEDED of gRPC, is treated alike: a proxy
// of gRPC needs that, since its visitors choose the deadline (Grpc-Timeout).
// Timeouts of the base, such as [http.Transport.ResponseHeaderTimeout], are not:
// they always go to next. It panics if d is negative.
func DeadlinesOver(next Classifier, d time.Duration) Classifier {
	next = orDefault("DeadlinesOver", next, breaker.Ignored)
	if d < 0 {
		panic(fmt.Sprintf("httpbreaker: DeadlinesOver: d = %v; want zero or more", d))
	}
	return func(r Result) breaker.Outcome {
		o := next(r)
		if o == breaker.Failure && deadlineFailed(r) && (max(r.Duration, r.waited) < d || r.body.keptWaiting()) {
			return breaker.Ignored
		}
		return o
	}
}

// deadlineFailed reports whether r failed by the request's deadline. A server of gRPC is
// told of it and may be the first to say so.
func deadlineFailed(r Result) bool {
	if r.Err != nil {
		return giveUp(r.Request) == deadlinePassed
	}
	if r.Response == nil {
		return false
	}
	code, _ := field.GRPCStatus(r.Response)
	return code == field.DeadlineExceeded
}

func orDefault(name string, next Classifier, o breaker.Outcome) Classifier {
	if o > breaker.Failure {
		panic(fmt.Sprintf("httpbreaker: %s: o = %v; want Ignored, Success or Failure", name, o))
	}
	if next == nil {
		return DefaultClassifier
	}
	return next
}
