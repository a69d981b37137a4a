package statuspage

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

const (
	keptEvents   = 256                    // all readers share them
	keptOfKey    = 16                     // of them
	heartbeat    = 15 * time.Second       // of silence, after which a comment is sent
	breath       = 500 * time.Millisecond // between batches, so that a flood is told in few
	writeTimeout = 10 * time.Second       // for one batch; who takes longer is cut off
)

// feed keeps the latest events for any number of readers. Publishing waits for
// none of them: a reader that is slower than the events finds that some are
// gone, and is told how many.
//
// Of an outage it keeps the transition that began it, the latest, and no more:
// each says what the outage has come to. So one host that stays down, or one
// that comes and goes, does not push all others out.
type feed struct {
	epoch string // tells the event ids of this feed from those before a restart

	mu      sync.Mutex
	events  []event       // at most keptEvents, in the order of their numbers
	next    uint64        // the number of the next event
	dropped uint64        // the number after that of the last event that had to make room
	more    chan struct{} // closed when an event comes

	shutdowns sync.Map // *http.Server → chan struct{}, closed when it shuts down
}

type event struct {
	number uint64
	name   string
	key    string
	data   any // to be marshalled by those who read it
}

func newFeed() *feed {
	return &feed{epoch: strconv.FormatInt(time.Now().UnixMilli(), 36), more: make(chan struct{})}
}

func (f *feed) transition(t breaker.Transition) {
	f.publish(event{name: "transition", key: t.Key, data: t}, func(e event) bool {
		old, _ := e.data.(breaker.Transition) // any other event is no transition from another state than Closed
		return old.From != breaker.Closed && old.To != breaker.Closed && old.Key == t.Key && old.OutageSince.Equal(t.OutageSince)
	})
}

func (f *feed) operated(o breaker.Operation) {
	f.publish(event{name: "control", key: o.Key, data: controlEventOf(o)}, func(event) bool { return false })
}

// publish adds an event, in the place of those that it makes needless.
func (f *feed) publish(e event, needless func(event) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	oldest, ofKey := -1, 0
	f.events = slices.DeleteFunc(f.events, needless)
	for i, other := range f.events {
		if other.key == e.key {
			if ofKey++; ofKey == 1 {
				oldest = i
			}
		}
	}
	switch {
	case ofKey >= keptOfKey:
		f.drop(oldest)
	case len(f.events) >= keptEvents:
		f.drop(0)
	}
	e.number = f.next
	f.events = append(f.events, e)
	f.next++
	close(f.more)
	f.more = make(chan struct{})
}

func (f *feed) drop(i int) {
	f.dropped = max(f.dropped, f.events[i].number+1)
	f.events = slices.Delete(f.events, i, i+1)
}

// since returns the events from number n on that are still kept, how many at
// most are lost, the number to go on with, and a channel that is closed when
// there are more.
func (f *feed) since(n uint64) (events []event, lost, next uint64, more <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	lost = max(f.dropped, n) - n
	for _, e := range f.events {
		if e.number < n {
			continue
		}
		events = append(events, e)
		if e.number < f.dropped {
			lost--
		}
	}
	return events, lost, f.next, f.more
}

// resume returns the number of the event after the one with this id. Who has no
// id of this feed gets all that is kept, and has lost nothing.
func (f *feed) resume(lastEventID string) uint64 {
	if number, ok := strings.CutPrefix(lastEventID, f.epoch+"-"); ok {
		if n, err := strconv.ParseUint(number, 10, 64); err == nil {
			f.mu.Lock()
			defer f.mu.Unlock()
			return min(n+1, f.next)
		}
	}
	return 0
}

// stream answers GET events, as the package comment says.
func (h *handler) stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx holds events back otherwise
	if r.Method == http.MethodHead {
		return
	}
	f := h.events
	out := eventWriter{w: w, rc: http.NewResponseController(w)}
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	shutdown := f.shutdown(r)

	next := f.resume(r.Header.Get("Last-Event-ID"))
	mayLose := next > 0 // whoever begins has lost nothing
	fmt.Fprint(&out.buf, "retry: 2000\n\n")
	for {
		events, lost, after, more := f.since(next)
		if lost > 0 && mayLose {
			out.add("lost", "", map[string]uint64{"lost": lost})
		}
		mayLose = true
		for _, e := range events {
			out.add(e.name, f.epoch+"-"+strconv.FormatUint(e.number, 10), e.data)
		}
		next = after
		if out.flush() != nil {
			return
		}
		if len(events) > 0 {
			pause(r.Context(), shutdown)
		}
		select {
		case <-more:
		case <-tick.C:
			out.buf.WriteString(": still here\n\n")
		case <-shutdown:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// pause lets events gather before the next batch.
func pause(ctx context.Context, shutdown <-chan struct{}) {
	select {
	case <-time.After(breath):
	case <-shutdown:
	case <-ctx.Done():
	}
}

// shutdown returns a channel that is closed when r's server shuts down:
// http.Server.Shutdown waits for every request, and a stream has no end.
func (f *feed) shutdown(r *http.Request) <-chan struct{} {
	server, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
	if server == nil {
		return nil
	}
	c, known := f.shutdowns.LoadOrStore(server, make(chan struct{}))
	done := c.(chan struct{})
	if !known {
		server.RegisterOnShutdown(func() { close(done) })
	}
	return done
}

// eventWriter collects events and writes them at once.
type eventWriter struct {
	w   http.ResponseWriter
	rc  *http.ResponseController
	buf strings.Builder
}

func (o *eventWriter) add(name, id string, data any) {
	text, err := json.Marshal(data) // on one line, as the format wants it
	if err != nil {
		return
	}
	if id != "" {
		fmt.Fprintf(&o.buf, "id: %s\n", id)
	}
	fmt.Fprintf(&o.buf, "event: %s\ndata: %s\n\n", name, text)
}

func (o *eventWriter) flush() error {
	// Replaces the server's WriteTimeout, which would cut every stream. Where
	// deadlines are not supported, the context still ends the stream.
	_ = o.rc.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err := o.w.Write([]byte(o.buf.String()))
	o.buf.Reset()
	if err != nil {
		return err
	}
	return o.rc.Flush()
}
