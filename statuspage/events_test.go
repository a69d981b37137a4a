package statuspage

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// received is one event as a browser would have it.
type received struct{ id, name, data string }

func (e received) transition(t *testing.T) breaker.Transition {
	t.Helper()
	require.Equal(t, "transition", e.name)
	var tr breaker.Transition
	require.NoError(t, json.Unmarshal([]byte(e.data), &tr))
	return tr
}

// nextEvent reads up to the end of the next event, past comments.
func nextEvent(t *testing.T, r *bufio.Reader) received {
	t.Helper()
	var e received
	for {
		line, err := r.ReadString('\n')
		require.NoError(t, err)
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch {
		case name == "id":
			e.id = value
		case name == "event":
			e.name = value
		case name == "data":
			e.data = value
		case name == "" && value == "" && e.name != "":
			return e
		}
	}
}

// nextTransition reads up to the next event that is one.
func nextTransition(t *testing.T, r *bufio.Reader) breaker.Transition {
	t.Helper()
	for {
		if e := nextEvent(t, r); e.name == "transition" {
			return e.transition(t)
		}
	}
}

// subscribe opens a stream from a real server, until the test is over.
func subscribe(t *testing.T, server *httptest.Server, lastEventID string) *bufio.Reader {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/events", nil)
	require.NoError(t, err)
	if lastEventID != "" {
		r.Header.Set("Last-Event-ID", lastEventID)
	}
	res, err := server.Client().Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { res.Body.Close() })
	assert.Equal(t, 200, res.StatusCode)
	assert.Equal(t, "text/event-stream", res.Header.Get("Content-Type"))
	assert.Equal(t, "no-store", res.Header.Get("Cache-Control"))
	assert.Equal(t, "no", res.Header.Get("X-Accel-Buffering"))
	return bufio.NewReader(res.Body)
}

func TestEventsAreKeptAndFollow(t *testing.T) {
	set := newSet()
	server := httptest.NewServer(New(set, nil))
	t.Cleanup(server.Close)
	b := set.Get("a\ndata: forged")
	b.Trip(time.Minute, "before anyone\nlooked")

	readers := []*bufio.Reader{subscribe(t, server, ""), subscribe(t, server, "")}
	for _, r := range readers {
		tr := nextTransition(t, r)
		assert.Equal(t, "a\ndata: forged", tr.Key)
		assert.Equal(t, "before anyone\nlooked", tr.Reason)
		assert.Equal(t, breaker.Closed, tr.From)
		assert.Equal(t, breaker.Open, tr.To)
	}
	b.Reset("test")
	for _, r := range readers {
		assert.Equal(t, breaker.Closed, nextTransition(t, r).To)
	}
}

func TestEventsResume(t *testing.T) {
	set := newSet()
	server := httptest.NewServer(New(set, nil))
	t.Cleanup(server.Close)
	for i := range 3 {
		set.Get(fmt.Sprint("circuit ", i)).SetMode(breaker.Observe, "test")
	}
	key := func(e received) string {
		t.Helper()
		var c controlEvent
		require.NoError(t, json.Unmarshal([]byte(e.data), &c))
		return c.Key
	}
	all := subscribe(t, server, "")
	first := nextEvent(t, all)
	assert.Equal(t, "circuit 0", key(first))
	assert.Equal(t, "circuit 1", key(nextEvent(t, all)))

	assert.Equal(t, "circuit 1", key(nextEvent(t, subscribe(t, server, first.id))), "after the first")
	epoch, _, _ := strings.Cut(first.id, "-")
	for _, strange := range []string{"0-1", "x", epoch + "-x", epoch + "--1", epoch} {
		assert.Equal(t, "circuit 0", key(nextEvent(t, subscribe(t, server, strange))), strange)
	}
	// An id that is yet to come, even the greatest, misses nothing that comes.
	future := subscribe(t, server, epoch+"-18446744073709551615")
	set.Get("circuit 3").SetMode(breaker.Observe, "test")
	assert.Contains(t, []string{"circuit 0", "circuit 3"}, key(nextEvent(t, future)))
}

// keysIn are the keys of a feed's events, in their order, as often as they occur.
func keysIn(f *feed) map[string]int {
	events, _, _, _ := f.since(0)
	keys := map[string]int{}
	for _, e := range events {
		keys[e.key]++
	}
	return keys
}

// One host that is down for long, and one that comes and goes, leave room for
// the others.
func TestOneCircuitPushesNoOtherOut(t *testing.T) {
	f := newFeed()
	began := time.Now()
	at := func(s int) time.Time { return began.Add(time.Duration(s) * time.Second) }
	f.transition(breaker.Transition{Key: "other", To: breaker.Open, OutageSince: at(0)})
	f.transition(breaker.Transition{Key: "down", To: breaker.Open, OutageSince: at(1), Reason: "the first"})
	for i := range 1000 {
		f.transition(breaker.Transition{Key: "down", From: breaker.Open, To: breaker.HalfOpen, OutageSince: at(1)})
		f.transition(breaker.Transition{Key: "down", From: breaker.HalfOpen, To: breaker.Open, OutageSince: at(1), OutageOpened: uint64(i + 2)})
	}
	assert.Equal(t, map[string]int{"other": 1, "down": 2}, keysIn(f))
	events, lost, _, _ := f.since(1)
	assert.Equal(t, "the first", events[0].data.(breaker.Transition).Reason)
	assert.Equal(t, uint64(1001), events[1].data.(breaker.Transition).OutageOpened, "the latest")
	assert.Zero(t, lost, "what a later event tells as well is not lost")

	f.transition(breaker.Transition{Key: "down", From: breaker.Open, To: breaker.Closed, OutageSince: at(1)})
	assert.Equal(t, map[string]int{"other": 1, "down": 2}, keysIn(f), "its beginning and its end")

	for i := range 1000 {
		f.transition(breaker.Transition{Key: "flaps", To: breaker.Open, OutageSince: at(i)})
		f.transition(breaker.Transition{Key: "flaps", From: breaker.Open, To: breaker.Closed, OutageSince: at(i)})
	}
	assert.Equal(t, map[string]int{"other": 1, "down": 2, "flaps": keptOfKey}, keysIn(f))
	events, lost, next, _ := f.since(0)
	assert.Equal(t, at(1000-keptOfKey/2), events[3].data.(breaker.Transition).OutageSince, "the latest of them")
	assert.Equal(t, next-keptOfKey-3, lost)
}

func TestOnlyTheMiddleOfTheSameOutageIsForgotten(t *testing.T) {
	f := newFeed()
	for _, tr := range []breaker.Transition{
		{Key: "a", From: breaker.Open, To: breaker.HalfOpen},
		{Key: "b", From: breaker.Open, To: breaker.HalfOpen},
		{Key: "a", From: breaker.Open, To: breaker.HalfOpen, OutageSince: time.Now()},
		{Key: "c", From: breaker.HalfOpen, To: breaker.Closed},
		{Key: "c", From: breaker.Open, To: breaker.HalfOpen},
	} {
		f.transition(tr)
	}
	assert.Equal(t, map[string]int{"a": 2, "b": 1, "c": 2}, keysIn(f))
}

func TestWhoBeginsHasLostNothing(t *testing.T) {
	set := newSet()
	h := New(set, nil).(*handler)
	for range 2 * keptOfKey {
		set.Get("a").SetMode(breaker.Observe, "test")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for id, lost := range map[string]bool{"": false, h.events.epoch + "-0": true} {
		r := httptest.NewRequest("GET", "/events", nil).WithContext(ctx)
		r.Header.Set("Last-Event-ID", id)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		assert.True(t, strings.HasPrefix(w.Body.String(), "retry: 2000\n\n"))
		assert.Equal(t, lost, strings.Contains(w.Body.String(), "event: lost"))
		assert.Equal(t, keptOfKey, strings.Count(w.Body.String(), "event: control"))
	}
}

func TestEventsAreBounded(t *testing.T) {
	f := newFeed()
	for i := range 10_000 {
		f.transition(breaker.Transition{Key: fmt.Sprint(i), To: breaker.Open, OutageSince: time.Now()})
	}
	events, lost, next, _ := f.since(5000)
	assert.Len(t, events, keptEvents)
	assert.Equal(t, "9999", events[keptEvents-1].key)
	assert.Equal(t, uint64(5000-keptEvents), lost)
	assert.Equal(t, uint64(10_000), next)
}

// stuckWriter is a response whose reader takes nothing until it is released.
type stuckWriter struct {
	*httptest.ResponseRecorder
	begun    chan struct{} // closed at the first write
	released chan struct{}
	once     sync.Once
}

func (w *stuckWriter) Write(p []byte) (int, error) {
	w.once.Do(func() { close(w.begun) })
	<-w.released
	return w.ResponseRecorder.Write(p)
}

func TestSlowReaderSlowsNobodyAndLearnsWhatItLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := newSet()
		h := New(set, nil)
		ctx, cancel := context.WithCancel(t.Context())
		w := &stuckWriter{ResponseRecorder: httptest.NewRecorder(), begun: make(chan struct{}), released: make(chan struct{})}
		go h.ServeHTTP(w, httptest.NewRequest("GET", "/events", nil).WithContext(ctx))
		<-w.begun

		for i := range 1000 { // the writer is stuck all the while
			set.Get(fmt.Sprint(i)).SetMode(breaker.Observe, "test")
		}
		close(w.released)
		time.Sleep(breath)
		synctest.Wait()
		cancel()
		synctest.Wait()

		out := w.Body.String()
		assert.Contains(t, out, fmt.Sprintf("event: lost\ndata: {\"lost\":%d}\n\n", 1000-keptEvents))
		assert.Equal(t, keptEvents, strings.Count(out, "event: control\n"))
		assert.Contains(t, out, "-999\nevent: control\n", "the newest is there")
	})
}

// countingWriter counts how often and how much is written.
type countingWriter struct {
	*httptest.ResponseRecorder
	writes int
}

func (w *countingWriter) Write(p []byte) (int, error) {
	w.writes++
	return w.ResponseRecorder.Write(p)
}

// Ten thousand circuits in trouble, each of which changes its state every ten
// seconds.
func TestStreamOfAFloodIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := newSet()
		h := New(set, nil).(*handler)
		ctx, cancel := context.WithCancel(t.Context())
		w := &countingWriter{ResponseRecorder: httptest.NewRecorder()}
		go h.ServeHTTP(w, httptest.NewRequest("GET", "/events", nil).WithContext(ctx))
		synctest.Wait()
		set.Get("a").SetMode(breaker.Observe, "test")
		synctest.Wait()
		assert.Contains(t, w.Body.String(), "event: control", "the first comes at once")
		for i := range 10_000 {
			h.stateChanged(breaker.Transition{
				Key: fmt.Sprintf("host-%d.example.com:443", i), From: breaker.Closed, To: breaker.Open,
				At: time.Now(), OutageSince: time.Now(), Reason: "5 calls in a row failed over 1.2s",
			})
			time.Sleep(time.Millisecond)
		}
		cancel()
		synctest.Wait()
		assert.LessOrEqual(t, w.writes, 25, "two a second")
		assert.LessOrEqual(t, w.Body.Len(), 25*keptEvents*600)
	})
}

// pipeServer serves h to one client over an in-memory connection, with the
// timeouts of a careful server.
func pipeServer(t *testing.T, h http.Handler) (client net.Conn, server *http.Server) {
	client, conn := net.Pipe()
	l := &oneListener{conn: make(chan net.Conn, 1), closed: make(chan struct{})}
	l.conn <- conn
	server = &http.Server{Handler: h, WriteTimeout: time.Second, ReadHeaderTimeout: time.Second}
	go server.Serve(l)
	t.Cleanup(func() { client.Close(); server.Close() })
	_, err := fmt.Fprint(client, "GET /events HTTP/1.1\r\nHost: example.com\r\n\r\n")
	require.NoError(t, err)
	return client, server
}

type oneListener struct {
	conn   chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *oneListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l *oneListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *oneListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func TestStreamOutlivesWriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, _ := pipeServer(t, New(newSet(), nil))
		began := time.Now()
		r := bufio.NewReader(client)
		for beats := 0; beats < 4; {
			line, err := r.ReadString('\n')
			require.NoError(t, err)
			if line == ": still here\n" {
				beats++
			}
		}
		assert.Equal(t, 4*heartbeat, time.Since(began))
	})
}

func TestDeadReaderIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan struct{})
		h := New(newSet("a"), nil)
		began := time.Now()
		pipeServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(w, r)
			close(ended)
		})) // whose answer nobody reads
		<-ended
		assert.Equal(t, writeTimeout, time.Since(began))
	})
}

func TestStreamEndsWithItsReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which fails if a goroutine stays
		ended := make(chan struct{})
		set := newSet()
		h := New(set, nil)
		set.Get("a").Trip(time.Minute, "test")
		client, _ := pipeServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(w, r)
			close(ended)
		}))
		nextEvent(t, bufio.NewReader(client))
		client.Close()
		<-ended
	})
}

func TestStreamEndsWithItsServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := newSet()
		client, server := pipeServer(t, New(set, nil))
		set.Get("a").Trip(time.Minute, "test")
		nextEvent(t, bufio.NewReader(client))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		go func() { _, _ = bufio.NewReader(client).WriteTo(discard{}) }()
		assert.NoError(t, server.Shutdown(ctx), "must not wait for streams without end")
	})
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func TestConcurrentUse(t *testing.T) {
	set := newSet("a", "b")
	h := New(set, &Options{Control: allow})
	ctx, cancel := context.WithCancel(t.Context())
	var readers, users sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/events", nil).WithContext(ctx))
		})
	}
	for i := range 4 {
		users.Go(func() {
			key := string(rune('a' + i%2))
			for range 50 {
				set.Get(key).Trip(time.Minute, "test")
				get(h, "/circuits")
				send(h, "POST", "/circuits/"+key+"/reset", form("reason", "test"))
			}
		})
	}
	users.Wait()
	cancel()
	readers.Wait()
	assert.Equal(t, breaker.Closed, set.Get("a").State())
}
