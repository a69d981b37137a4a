package httpbreaker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/internal/rig"
)

func TestDefaultClassifierStatuses(t *testing.T) {
	ignored := []int{408, 421, 425, 429, 511}
	succeeded := []int{501, 505}
	for code := -1; code <= 1000; code++ {
		want := breaker.Failure
		switch {
		case slices.Contains(ignored, code):
			want = breaker.Ignored
		case code >= 100 && code < 500 || slices.Contains(succeeded, code):
			want = breaker.Success
		}
		got := httpbreaker.DefaultClassifier(httpbreaker.Result{Response: &http.Response{StatusCode: code}})
		require.Equal(t, want, got, "status %d", code)
	}
}

// A Result may lack anything.
func TestClassifiersTakeAnyResult(t *testing.T) {
	classifiers := map[string]httpbreaker.Classifier{
		"DefaultClassifier": httpbreaker.DefaultClassifier,
		"Statuses":          httpbreaker.Statuses(nil, breaker.Success, 500),
		"Errors":            httpbreaker.Errors(nil, breaker.Success, io.EOF),
		"DeadlinesOver":     httpbreaker.DeadlinesOver(nil, time.Second),
	}
	requests := []*http.Request{nil, {}, {URL: &url.URL{}}, {URL: &url.URL{}, Header: http.Header{}}}
	responses := []*http.Response{nil, {}}
	errs := []error{nil, io.ErrClosedPipe, fmt.Errorf("%w", nil), errors.Join(io.ErrClosedPipe), &url.Error{}}
	for name, classify := range classifiers {
		for _, req := range requests {
			for _, res := range responses {
				for _, err := range errs {
					require.NotPanics(t, func() { classify(httpbreaker.Result{Request: req, Response: res, Err: err}) }, name)
				}
			}
		}
		require.Equal(t, breaker.Failure, classify(httpbreaker.Result{}), "%s of neither response nor error", name)
	}
}

func TestDefaultClassifierAnotherCircuit(t *testing.T) {
	ctx, cancel := context.WithDeadline(context.Background(), time.Now().Add(-time.Hour))
	defer cancel()
	for _, err := range []error{
		&breaker.OpenError{Key: "inner"},
		fmt.Errorf("wrapped: %w", &breaker.OpenError{Key: "inner"}),
		&url.Error{Err: &breaker.OpenError{}},
	} {
		req := rig.NewRequest(t, "GET", "http://example.com", nil)
		assert.Equal(t, breaker.Ignored, httpbreaker.DefaultClassifier(httpbreaker.Result{Request: req, Err: err}))
		assert.Equal(t, breaker.Ignored, httpbreaker.DefaultClassifier(httpbreaker.Result{Request: req.WithContext(ctx), Err: err}))
	}
}

// The peer can put what it likes into an error; only net/http's own words count.
func TestDefaultClassifierIsNotToldByThePeer(t *testing.T) {
	req := rig.NewRequest(t, "GET", "http://example.com", nil)
	for _, text := range []string{
		"malformed HTTP response \"http: ContentLength=1\"",
		"unsupported protocol scheme",
		"context canceled",
		"net/http: request canceled",
		"socket: too many open files",
	} {
		err := fmt.Errorf("net/http: HTTP/1.x transport connection broken: %w", errors.New(text))
		assert.Equal(t, breaker.Failure, httpbreaker.DefaultClassifier(httpbreaker.Result{Request: req, Err: err}), text)
	}
}

func TestDefaultClassifierFaultsOnThisSide(t *testing.T) {
	declared := func(length int64) *http.Request { // of the five bytes that it has
		req := rig.NewRequest(t, "POST", "http://example.com", strings.NewReader("12345"))
		req.ContentLength = length
		return req
	}
	for _, tc := range []struct {
		name string
		httpbreaker.Result
		want breaker.Outcome
	}{
		{"cannot be sent", httpbreaker.Result{Request: &http.Request{}, Err: io.EOF}, breaker.Ignored},
		{"was sent all the same", httpbreaker.Result{Request: &http.Request{}, Response: &http.Response{}, Err: io.EOF}, breaker.Failure},
		{"no such address", httpbreaker.Result{Request: declared(5), Err: &net.AddrError{}}, breaker.Ignored},
		{"closed at the declared length", httpbreaker.Result{Request: declared(5), Err: net.ErrClosed}, breaker.Failure},
		{"closed at another length", httpbreaker.Result{Request: declared(4), Err: net.ErrClosed}, breaker.Ignored},
		{"another length, another error", httpbreaker.Result{Request: declared(4), Err: io.EOF}, breaker.Failure},
	} {
		assert.Equal(t, tc.want, httpbreaker.DefaultClassifier(tc.Result), tc.name)
	}
}

func TestStatuses(t *testing.T) {
	status := func(code int) httpbreaker.Result {
		return httpbreaker.Result{Response: &http.Response{StatusCode: code}}
	}
	codes := []int{500, 429}
	classify := httpbreaker.Statuses(nil, breaker.Success, codes...)
	codes[0] = 404 // ours by now
	assert.Equal(t, breaker.Success, classify(status(500)))
	assert.Equal(t, breaker.Success, classify(status(429)))
	assert.Equal(t, breaker.Failure, classify(status(503)))
	assert.Equal(t, breaker.Ignored, classify(status(408)))

	broken := status(500)
	broken.Err = io.ErrUnexpectedEOF
	assert.Equal(t, breaker.Failure, classify(broken), "a body that fails is not a status")

	classify = httpbreaker.Statuses(classify, breaker.Ignored, 500)
	assert.Equal(t, breaker.Ignored, classify(status(500)), "the outermost comes first")
	assert.Equal(t, breaker.Success, classify(status(429)))
}

func TestErrors(t *testing.T) {
	errOurs := errors.New("ours")
	failed := func(err error) httpbreaker.Result { return httpbreaker.Result{Err: err} }
	targets := []error{errOurs, io.EOF}
	classify := httpbreaker.Errors(nil, breaker.Ignored, targets...)
	targets[0] = io.ErrClosedPipe // ours by now
	assert.Equal(t, breaker.Ignored, classify(failed(errOurs)))
	assert.Equal(t, breaker.Ignored, classify(failed(fmt.Errorf("wrapped: %w", io.EOF))))
	assert.Equal(t, breaker.Failure, classify(failed(io.ErrClosedPipe)))
	assert.Equal(t, breaker.Success, classify(httpbreaker.Result{Response: &http.Response{StatusCode: 200}}))
}

func TestDeadlinesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		req := rig.NewRequest(t, "GET", "http://example.com", nil).WithContext(ctx)
		after := func(d time.Duration) httpbreaker.Result {
			return httpbreaker.Result{Request: req, Err: context.DeadlineExceeded, Duration: d}
		}
		classify := httpbreaker.DeadlinesOver(nil, time.Second)
		assert.Equal(t, breaker.Failure, classify(after(time.Millisecond)), "a timeout of the base's own")

		time.Sleep(time.Minute)
		assert.Equal(t, breaker.Ignored, classify(after(0)), "not measured")
		assert.Equal(t, breaker.Ignored, classify(after(time.Second-1)))
		assert.Equal(t, breaker.Failure, classify(after(time.Second)))
		assert.Equal(t, breaker.Failure, httpbreaker.DeadlinesOver(nil, 0)(after(0)))

		answered := after(0)
		answered.Response, answered.Err = &http.Response{StatusCode: 503}, nil
		assert.Equal(t, breaker.Failure, classify(answered), "an answer is no deadline")

		always := func(o breaker.Outcome) httpbreaker.Classifier {
			return func(httpbreaker.Result) breaker.Outcome { return o }
		}
		assert.Equal(t, breaker.Success, httpbreaker.DeadlinesOver(always(breaker.Success), time.Second)(after(0)))
	})
}

func TestClassifiersRefuseBadArguments(t *testing.T) {
	for want, construct := range map[string]func(){
		"httpbreaker: Statuses: codes[1] = 99; want a status code from 100 to 999":   func() { httpbreaker.Statuses(nil, breaker.Success, 200, 99) },
		"httpbreaker: Statuses: codes[0] = 1000; want a status code from 100 to 999": func() { httpbreaker.Statuses(nil, breaker.Success, 1000) },
		"httpbreaker: Statuses: o = Outcome(3); want Ignored, Success or Failure":    func() { httpbreaker.Statuses(nil, 3, 200) },
		"httpbreaker: Errors: targets[1] = <nil>; want an error":                     func() { httpbreaker.Errors(nil, breaker.Success, io.EOF, nil) },
		"httpbreaker: Errors: o = Outcome(9); want Ignored, Success or Failure":      func() { httpbreaker.Errors(nil, 9, io.EOF) },
		"httpbreaker: DeadlinesOver: d = -1s; want zero or more":                     func() { httpbreaker.DeadlinesOver(nil, -time.Second) },
	} {
		assert.PanicsWithValue(t, want, construct)
	}
	assert.NotPanics(t, func() { httpbreaker.Statuses(nil, breaker.Success, 100, 999) })
}

func TestDefaultClassifierDoesNotAllocate(t *testing.T) {
	result := httpbreaker.Result{Request: rig.NewRequest(t, "GET", "http://example.com", nil), Response: &http.Response{StatusCode: 200}}
	assert.Zero(t, testing.AllocsPerRun(100, func() { httpbreaker.DefaultClassifier(result) }))
}

// As google/rpc/code.proto maps the codes to statuses of HTTP, and we judge those.
func TestDefaultClassifierGRPCCodes(t *testing.T) {
	statuses := map[int]int{ // code.proto
		0: 200, 1: 499, 2: 500, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400,
		12: 501, 13: 500, 14: 503, 15: 500, 16: 401,
	}
	for code := range 20 {
		res := &http.Response{
			StatusCode: 200,
			Header:     http.Header{"Content-Type": {"application/grpc+proto"}},
			Trailer:    http.Header{"Grpc-Status": {strconv.Itoa(code)}},
		}
		want := breaker.Failure
		if status, ok := statuses[code]; ok && code != 1 { // our table of HTTP does not know 499
			want = httpbreaker.DefaultClassifier(httpbreaker.Result{Response: &http.Response{StatusCode: status}})
		} else if code == 1 {
			want = breaker.Ignored
		}
		got := httpbreaker.DefaultClassifier(httpbreaker.Result{Response: res})
		assert.Equal(t, want, got, "code %d", code)

		res.Header, res.Trailer = res.Header.Clone(), nil
		res.Header["Grpc-Status"] = []string{strconv.Itoa(code)}
		assert.Equal(t, want, httpbreaker.DefaultClassifier(httpbreaker.Result{Response: res}), "code %d in the header", code)

		res.StatusCode = 503
		assert.Equal(t, breaker.Failure, httpbreaker.DefaultClassifier(httpbreaker.Result{Response: res}), "the status of HTTP comes first")
	}
}

// A server that is told of the deadline can be the first to say that it has passed.
func TestDeadlinesOverKnowsTheDeadlineOfGRPC(t *testing.T) {
	classify := httpbreaker.DeadlinesOver(nil, time.Second)
	failed := func(code string, after time.Duration) httpbreaker.Result {
		return httpbreaker.Result{Duration: after, Response: &http.Response{StatusCode: 200, Header: http.Header{
			"Content-Type": {"application/grpc"}, "Grpc-Status": {code},
		}}}
	}
	assert.Equal(t, breaker.Ignored, classify(failed("4", time.Second-1)))
	assert.Equal(t, breaker.Failure, classify(failed("4", time.Second)))
	assert.Equal(t, breaker.Failure, classify(failed("14", time.Millisecond)))
}
