package httpbreaker

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/internal/field"
)

// A watchedBody is the body of a response whose header was a Success. It holds the
// permit until the body has ended, and passes everything on as it comes. Read and
// Close may be called from different goroutines.
type watchedBody struct {
	io.ReadCloser // the body as Base returned it
	permit        breaker.Permit
	req           *http.Request
	res           *http.Response
	details       *bodyDetails // nil if the end is judged by DefaultClassifier, which needs none of them
	second, last  uint32       // when the second Read began and the last one ended, in milliseconds
	idle          uint32       // the longest time between two Reads since then
	again         bool         // the next Read is not the first
	settled       atomic.Bool
	atFirstByte   bool // the first byte is as good as the end: of gRPC where others wait, of events
	events        bool // an event stream: it breaks off often enough without a fault
}

// bodyDetails are what only some of the watched bodies need. They are allocated with them.
type bodyDetails struct {
	t           *Transport
	upload      *requestBody
	start       time.Duration // of the call, since the process began; of the body if calls are not timed
	headerAfter time.Duration
}

// newBody returns a body with the details, if it needs them. It makes one allocation: of 96
// bytes where a response of no special kind is judged by the default rules.
func (t *Transport) newBody(kind content, details bodyDetails) *watchedBody {
	if t.byDefault && details.upload == nil && kind != eventStream {
		return new(watchedBody)
	}
	both := new(struct {
		watchedBody
		bodyDetails
	})
	both.bodyDetails = details
	if both.events = kind == eventStream; both.events && !t.timed {
		both.start = sinceStart()
	}
	both.details = &both.bodyDetails
	return &both.watchedBody
}

func (b *watchedBody) Read(p []byte) (int, error) {
	if b.settled.Load() {
		return b.ReadCloser.Read(p)
	}
	late, began := b.req.Context().Err() != nil, b.beginRead()
	n, err := b.ReadCloser.Read(p)
	switch {
	case err != nil && b.settleOnce():
		if late || err != io.EOF && b.callerTookTime(began) {
			b.permit.Done(breaker.Ignored)
		} else {
			b.ended(err)
		}
	case n > 0 && b.atFirstByte && b.settleOnce():
		b.permit.Done(breaker.Success)
	case b.again:
		b.last = milliseconds()
	}
	b.again = true
	return n, err
}

// beginRead returns the time, except for the first Read: most bodies have no other one that
// brings anything, and it would cost them a quarter more.
func (b *watchedBody) beginRead() uint32 {
	if !b.again {
		return 0
	}
	now := milliseconds()
	if b.last == 0 {
		b.second, b.last = now, now
	}
	b.idle = max(b.idle, now-b.last)
	return now
}

// callerTookTime reports whether a Read that has failed says nothing against the host: the
// deadline has ended a response that was flowing, or the caller has left the body alone for
// so long that the host or the network gave up.
func (b *watchedBody) callerTookTime(began uint32) bool {
	if began == 0 {
		return false
	}
	now := milliseconds()
	waited := now - began
	if giveUp(b.req) == deadlinePassed {
		return waited < (now-b.second)/2
	}
	return b.idle >= longIdle && b.idle > waited
}

// longIdle is for how many milliseconds a caller may leave a body alone and still blame the host.
const longIdle = 1000

// milliseconds is the time since this process began, which wraps after 49 days. It is never 0.
func milliseconds() uint32 { return uint32(sinceStart().Milliseconds()) | 1 }

// Close settles first, because closing makes a blocked Read fail, and that error means
// nothing. A caller who has seen enough says nothing against the host, so closing early is
// as good as the end. A caller who has stopped waiting gives no verdict: Close may come
// long after the last byte that was asked for, when the deadline was spent on something
// else. A Read that waited in vain has said so itself.
func (b *watchedBody) Close() error {
	if b.settleOnce() {
		outcome := breaker.Success
		if giveUp(b.req) != stillWaiting {
			outcome = breaker.Ignored
		}
		b.permit.Done(outcome)
	}
	return b.ReadCloser.Close()
}

// settleOnce reports whether its caller is the one that ends the permit.
func (b *watchedBody) settleOnce() bool { return !b.settled.Swap(true) }

// ended ends the permit by the body's first error; later ones only follow from it. At the
// regular end only trailers can still change the verdict.
func (b *watchedBody) ended(err error) {
	if err == io.EOF && len(b.res.Trailer) == 0 {
		b.permit.Done(breaker.Success)
		return
	}
	defer b.permit.Done(breaker.Ignored) // counts only if Classify panics
	if b.events && sinceStart()-b.details.start-b.details.headerAfter >= eventStreamLives {
		b.permit.Done(breaker.Success)
		return
	}
	result := Result{Request: b.req, Response: b.res}
	if err != io.EOF {
		result.Err = err
	}
	classify := DefaultClassifier
	if d := b.details; d != nil {
		classify = d.t.cfg.Classify
		result.body = d.upload
		if d.t.timed {
			result.Duration = d.headerAfter
			result.waited = d.t.clock() - d.start
		}
	}
	if outcome := classify(result); outcome == breaker.Failure {
		b.permit.Fail(cause(b.res, result.Err))
	} else {
		b.permit.Done(outcome)
	}
}

// eventStreamLives is how long a stream of events has to last, if it brings none, so that
// it may break off: something between its host and us may cut idle connections.
const eventStreamLives = time.Second

// A content says how a response ends, as far as that matters here.
type content uint8

const (
	plainContent content = iota
	eventStream          // judged by its first event, for it has no end
	grpcContent          // ends with a status, often in trailers
)

// contentOf goes by the media type and leaves its parameters aside.
func contentOf(h http.Header) content {
	values := h["Content-Type"] // faster than Get, which net/http does not need
	if len(values) == 0 {
		return plainContent
	}
	if field.IsGRPC(values[0]) {
		return grpcContent
	}
	if isEventStream(values[0]) {
		return eventStream
	}
	return plainContent
}

func isEventStream(contentType string) bool {
	const mediaType = "text/event-stream"
	if len(contentType) < len(mediaType) || contentType[len("text")] != '/' || !strings.EqualFold(contentType[:len(mediaType)], mediaType) {
		return false
	}
	rest := strings.TrimLeft(contentType[len(mediaType):], " \t")
	return rest == "" || rest[0] == ';'
}

// canBeWatched reports whether a body is to come that belongs to the response and ends
// with it. What follows a 101 or a CONNECT is a connection, and must stay the io.Writer
// that it is. A length of zero is believed unless something is to come after it.
func canBeWatched(req *http.Request, res *http.Response, kind content) bool {
	if res.Body == nil || res.Body == http.NoBody ||
		res.ContentLength == 0 && len(res.Trailer) == 0 && kind != grpcContent {
		return false
	}
	switch res.StatusCode {
	case http.StatusSwitchingProtocols, http.StatusNoContent, http.StatusNotModified:
		return false
	}
	return req.Method != http.MethodHead && req.Method != http.MethodConnect
}

// A requestBody is a request body that cannot be had a second time, such as that of a
// visitor whom a proxy serves. It notes whether reading it failed or took until the
// deadline, for which the host is not to blame, and when all of it was read. Bodies with a
// GetBody are in memory or the like and go unwatched: net/http treats some of them
// specially, and a wrapper would hide that.
type requestBody struct {
	io.ReadCloser
	ctx      context.Context  // the request's
	sending  *breaker.Sending // until all is read
	declared int64            // Request.ContentLength; not positive if unknown
	read     int64            // used by the reading goroutine only
	closed   atomic.Bool      // by the base transport, after which errors only follow from that
	fault    atomic.Bool
	reading  atomic.Bool
	late     atomic.Bool // a Read ended when the context was done
}

// trackUpload returns the request to send in the place of req: req itself or, if its
// body has to be tracked, a shallow copy. RoundTrip must not modify req, and a deep
// copy would cut the link to its Trailer.
func trackUpload(req *http.Request, permit *breaker.Permit) (*http.Request, *requestBody) {
	if req.Body == nil || req.Body == http.NoBody || req.GetBody != nil {
		return req, nil
	}
	body := &requestBody{
		ReadCloser: req.Body, ctx: req.Context(), declared: req.ContentLength,
		sending: permit.Sending(), // the clock is for the host, and here the caller may be slow
	}
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
	short := err == io.EOF && b.read < b.declared
	long := b.declared > 0 && b.read > b.declared
	if (short || long || err != nil && err != io.EOF) && !b.closed.Load() {
		b.fault.Store(true)
	}
	if err != nil || b.read == b.declared {
		b.sending.Sent()
	}
	return n, err
}

func (b *requestBody) Close() error {
	b.closed.Store(true)
	b.sending.Sent()
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
	if res.ContentLength <= most && res.StatusCode != http.StatusSwitchingProtocols && contentOf(res.Header) != eventStream {
		_, _ = io.CopyN(io.Discard, res.Body, most+1)
	}
	res.Body.Close()
}
