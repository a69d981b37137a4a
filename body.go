package httpbreaker

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// A watchedBody is the body of a response whose header was a Success. It holds the
// permit until the body has ended, and passes everything on as it comes. Read and
// Close may be called from different goroutines.
type watchedBody struct {
	io.ReadCloser // the body as Base returned it
	t             *Transport
	permit        breaker.Permit
	req           *http.Request
	res           *http.Response
	upload        *requestBody
	start         time.Duration // by t.clock
	headerAfter   time.Duration
	settled       atomic.Bool
}

func (b *watchedBody) Read(p []byte) (int, error) {
	busy := !b.settled.Load() && b.req.Context().Err() != nil
	n, err := b.ReadCloser.Read(p)
	if err != nil && b.claim() {
		if busy { // the deadline had passed already, so the host kept nobody waiting
			b.permit.Done(breaker.Ignored)
		} else {
			b.ended(err)
		}
	}
	return n, err
}

// Close decides first: it makes a Read that is still waiting fail, and that error means
// nothing. A caller who has seen enough says nothing against the host, so this is as good
// as the end. When he has stopped waiting it is no verdict: it may come long after the
// last byte that was asked for, when the deadline was spent on something else. A Read
// that waited in vain has said so itself.
func (b *watchedBody) Close() error {
	if b.claim() {
		outcome := breaker.Success
		if giveUp(b.req) != stillWaiting {
			outcome = breaker.Ignored
		}
		b.permit.Done(outcome)
	}
	return b.ReadCloser.Close()
}

// claim reports whether it is the caller who ends the permit.
func (b *watchedBody) claim() bool { return !b.settled.Load() && !b.settled.Swap(true) }

// ended ends the permit by the body's first error; later ones only follow from it.
func (b *watchedBody) ended(err error) {
	if err == io.EOF {
		b.permit.Done(breaker.Success)
		return
	}
	defer b.permit.Done(breaker.Ignored) // counts only if Classify panics
	outcome := b.t.cfg.Classify(Result{
		Request: b.req, Response: b.res, Err: err, body: b.upload,
		Duration: b.headerAfter, waited: b.t.clock() - b.start,
	})
	if outcome == breaker.Failure {
		b.permit.Fail(err)
	} else {
		b.permit.Done(outcome)
	}
}

// hasBody reports whether a body is to come that may be watched: one that belongs to
// the response and ends with it. What follows a 101 or a CONNECT is a connection, and
// must stay the io.Writer that it is; a stream of events has no end to wait for.
func hasBody(req *http.Request, res *http.Response) bool {
	if res.ContentLength == 0 || res.Body == nil || res.Body == http.NoBody {
		return false
	}
	switch res.StatusCode {
	case http.StatusSwitchingProtocols, http.StatusNoContent, http.StatusNotModified:
		return false
	}
	return req.Method != http.MethodHead && req.Method != http.MethodConnect && !isEventStream(res.Header)
}

// isEventStream looks at the media type and leaves its parameters aside.
func isEventStream(h http.Header) bool {
	const mediaType = "text/event-stream"
	field := h["Content-Type"] // faster than Get, which net/http does not need
	if len(field) == 0 {
		return false
	}
	s := field[0]
	if len(s) < len(mediaType) || !strings.EqualFold(s[:len(mediaType)], mediaType) {
		return false
	}
	rest := strings.TrimLeft(s[len(mediaType):], " \t")
	return rest == "" || rest[0] == ';'
}

// A requestBody is a request body that cannot be had a second time, such as that of a
// visitor whom a proxy serves. It notes whether reading it failed or took until the
// deadline, for which the host is not to blame. Bodies with a GetBody are in memory or
// the like and go unwatched: net/http treats some of them specially, and a wrapper would
// hide that.
type requestBody struct {
	io.ReadCloser
	ctx      context.Context // the request's
	declared int64           // Request.ContentLength; not positive if unknown
	read     int64           // used by the reading goroutine only
	closed   atomic.Bool     // by the base transport, after which errors only follow from that
	fault    atomic.Bool
	reading  atomic.Bool
	late     atomic.Bool // a Read ended when the context was done
}

// trackUpload returns the request to send in the place of req: req itself or, if its
// body has to be tracked, a shallow copy. RoundTrip must not modify req, and a deep
// copy would cut the link to its Trailer.
func trackUpload(req *http.Request) (*http.Request, *requestBody) {
	if req.Body == nil || req.Body == http.NoBody || req.GetBody != nil {
		return req, nil
	}
	body := &requestBody{ReadCloser: req.Body, ctx: req.Context(), declared: req.ContentLength}
	sent := new(http.Request)
	*sent = *req
	sent.Body = body
	return sent, body
}

func (b *requestBody) Read(p []byte) (int, error) {
	b.reading.Store(true)
	n, err := b.ReadCloser.Read(p)
	b.reading.Store(false)
	if b.ctx.Err() != nil {
		b.late.Store(true)
	}
	b.read += int64(n)
	short := err == io.EOF && b.declared > 0 && b.read < b.declared
	long := b.declared > 0 && b.read > b.declared
	if (short || long || err != nil && err != io.EOF) && !b.closed.Load() {
		b.fault.Store(true)
	}
	return n, err
}

func (b *requestBody) Close() error {
	b.closed.Store(true)
	return b.ReadCloser.Close()
}

// keptWaiting reports whether the transport was still waiting for the caller's reader
// when the request's context was done. It is false for nil.
func (b *requestBody) keptWaiting() bool { return b != nil && (b.reading.Load() || b.late.Load()) }

// callerFault reports whether the caller's reader failed before the transport closed
// it, or delivered another length than it had declared. It is false for nil.
func (b *requestBody) callerFault() bool { return b != nil && b.fault.Load() }

// closeBody does what RoundTrip owes the caller for a request that is not handed on.
func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}

func closeResponse(res *http.Response) {
	if res != nil && res.Body != nil {
		res.Body.Close()
	}
}

// discard closes a response that nobody will read. It reads what is left of a short one
// first, so that the connection can be used again.
func discard(res *http.Response) {
	const most = 64 << 10
	if res == nil || res.Body == nil {
		return
	}
	if res.ContentLength <= most && res.StatusCode != http.StatusSwitchingProtocols && !isEventStream(res.Header) {
		_, _ = io.CopyN(io.Discard, res.Body, most+1)
	}
	res.Body.Close()
}
