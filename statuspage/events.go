package statuspage

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

const (
	keptEvents   = 256              // all readers share them
	heartbeat    = 15 * time.Second // of silence, after which a comment is sent
	writeTimeout = 10 * time.Second // for one batch; who takes longer is cut off
)

// feed keeps the latest events for any number of readers. Publishing waits for
// none of them: a reader that is slower than the events finds that some are
// gone, and is told how many.
type feed struct {
	epoch string // tells the event ids of this feed from those before a restart

	mu     sync.Mutex
	events [keptEvents]event // event n is at n modulo keptEvents
	next   uint64            // the number of the next event
	more   chan struct{}     // closed when it comes

	shutdowns sync.Map // *http.Server → chan struct{}, closed when it shuts down
}

type event struct {
	name string
	data any // to be marshalled by those who read it
}

func newFeed() *feed {
	return &feed{epoch: strconv.FormatInt(time.Now().UnixMilli(), 36), more: make(chan struct{})}
}

func (f *feed) transition(t breaker.Transition) { f.publish("transition", t) }

func (f *feed) publish(name string, data any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events[f.next%keptEvents] = event{name, data}
	f.next++
	close(f.more)
	f.more = make(chan struct{})
}

// since returns the events from number n on that are still kept, how many are
// lost, the number to go on with, and a channel that is closed when there are
// more.
func (f *feed) since(n uint64) (events []event, lost, next uint64, more <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if oldest := f.next - min(f.next, keptEvents); n < oldest {
		n, lost = oldest, oldest-n
	}
	for ; n < f.next; n++ {
		events = append(events, f.events[n%keptEvents])
	}
	return events, lost, f.next, f.more
}

// resume returns the number of the event after the one with this id, or that of
// the oldest event that is kept.
func (f *feed) resume(lastEventID string) uint64 {
	if number, ok := strings.CutPrefix(lastEventID, f.epoch+"-"); ok {
		if n, err := strconv.ParseUint(number, 10, 64); err == nil {
			f.mu.Lock()
			defer f.mu.Unlock()
			return min(n+1, f.next)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.next - min(f.next, keptEvents)
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
	fmt.Fprint(&out.buf, "retry: 2000\n\n")
	for {
		first := next
		events, lost, after, more := f.since(next)
		if lost > 0 {
			out.add("lost", "", map[string]uint64{"lost": lost})
		}
		for i, e := range events {
			out.add(e.name, f.epoch+"-"+strconv.FormatUint(first+lost+uint64(i), 10), e.data)
		}
		next = after
		if out.flush() != nil {
			return
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
