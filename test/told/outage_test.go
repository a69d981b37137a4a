package told

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerotel"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerprom"
	"github.com/seed-0b728cf8/httpbreaker/statuspage"
)

const (
	key   = "api.example.com:80"
	url   = "http://api.example.com/orders?token=hunter2"
	why   = "in a row failed over"
	lasts = 2 * time.Minute
)

// Every channel says the same of one outage, and it is true.
func TestWhatIsToldIsWhatHappens(t *testing.T) {
	for _, rate := range []int{1, 10, 100, 1000} {
		t.Run(fmt.Sprint(rate, " calls a second"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOutage(t, rate)
				o.call(30 * time.Second)
				o.down = true
				o.call(lasts)
				o.down = false
				o.call(time.Minute)
				o.end()
			})
		})
	}
}

// outage is a host, its clients, and all that is told about it.
type outage struct {
	*testing.T
	every    time.Duration // between two calls
	set      *breaker.Set
	plain    http.RoundTripper // whose callers get the error
	fallback http.RoundTripper // whose callers get a 503
	page     http.Handler
	registry *prometheus.Registry
	spans    *sdktrace.TracerProvider
	log      *records
	events   *events

	down     bool
	number   int       // of the next call
	sent     int       // calls that reached the host
	looked   time.Time // when the channels were last looked at
	asked    time.Time // and those that have to be asked
	began    time.Time // when the circuit opened: with the last failure before the first rejection
	lastFail time.Time
	rejected int
	probes   int
	claims   []claim // that have not been checked yet
	checked  map[string]int
}

// claim is what a channel has said of the next try.
type claim struct {
	channel   string
	at, next  time.Time
	precision time.Duration // to which it says so
}

func newOutage(t *testing.T, rate int) *outage {
	o := &outage{T: t, every: time.Second / time.Duration(rate), log: new(records), checked: map[string]int{}}
	o.log.took = func(name string, next time.Time) { o.claim(name, next, time.Millisecond) }
	o.set = breaker.NewSet(breaker.Options{Hooks: []breaker.Hooks{
		breaker.LogHooks(slog.New(slog.NewJSONHandler(o.log, &slog.HandlerOptions{Level: slog.LevelDebug}))),
		breakerotel.SpanEvents(),
	}})
	base := roundTripper(func(r *http.Request) (*http.Response, error) {
		o.sent++
		if o.down {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
		}
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	})
	o.plain = httpbreaker.New(&httpbreaker.Config{Base: base, Breakers: o.set})
	o.fallback = httpbreaker.New(&httpbreaker.Config{Base: base, Breakers: o.set, Fallback: httpbreaker.Respond(503, nil, nil)})
	o.page = statuspage.New(o.set, nil)
	o.registry = prometheus.NewRegistry()
	o.registry.MustRegister(breakerprom.NewCollector(o.set, nil))
	o.spans = sdktrace.NewTracerProvider()
	o.events = follow(t, o.page)
	return o
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// call calls the host at its rate for d.
func (o *outage) call(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(o.every) {
		o.callOnce()
	}
}

func (o *outage) callOnce() {
	now, before := time.Now(), o.sent
	through := []http.RoundTripper{o.plain, o.fallback}[o.number%2]
	o.number++
	look := now.Sub(o.looked) >= 25*time.Millisecond
	ctx := context.Background()
	if look {
		o.looked = now
		spanned, span := o.spans.Tracer("test").Start(ctx, "call")
		defer span.End()
		ctx = spanned
	}
	r, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		o.Fatal(err)
	}
	res, err := through.RoundTrip(r)
	if o.sent > before { // the next try of all claims
		o.check(now)
		if o.down {
			o.lastFail = now
		}
		if !o.began.IsZero() && o.down {
			o.probes++
		}
		if err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
		return
	}
	// It was rejected.
	o.rejected++
	if o.began.IsZero() {
		o.began = o.lastFail
	}
	if !look {
		return
	}
	b, _ := o.set.Lookup(key)
	open := b.State() == breaker.Open
	if through == o.plain {
		o.tellError(err, open)
	} else {
		o.tellFields(res, open)
	}
	o.tellSpan(trace.SpanFromContext(ctx).(sdktrace.ReadOnlySpan), open)
	if now.Sub(o.asked) >= time.Second {
		o.asked = now
		o.tellPage(open)
		o.tellMetrics(open)
	}
	synctest.Wait() // the stream of events writes
	for _, e := range o.events.take() {
		o.tellEvent(e)
	}
}

// claim notes what a channel says of the next try.
func (o *outage) claim(channel string, next time.Time, precision time.Duration) {
	o.claims = append(o.claims, claim{channel, time.Now(), next, precision})
}

// check compares what was told before of the next try with the call that was let
// through now: it is the first call from then on.
func (o *outage) check(now time.Time) {
	var fresh []claim // what that call has brought about
	for _, c := range o.claims {
		if c.at.Equal(now) {
			fresh = append(fresh, c)
			continue
		}
		o.checked[c.channel]++
		early, late := c.next.Sub(now), now.Sub(c.next)
		if early > c.precision || late >= o.every+c.precision {
			o.Errorf("%s said at %v that the next try is at %v; it was at %v, with a call each %v",
				c.channel, sinceStart(c.at), sinceStart(c.next), sinceStart(now), o.every)
		}
		if max(early, late-o.every) > time.Second {
			o.Errorf("%s was more than a second wrong", c.channel)
		}
	}
	o.claims = fresh
}

func sinceStart(t time.Time) time.Duration {
	return t.Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))
}

// since checks what a channel says of when the outage began.
func (o *outage) since(channel string, at time.Time, precision time.Duration) {
	o.Helper()
	if d := at.Sub(o.began).Abs(); d > precision {
		o.Errorf("%s says that it began at %v; it began at %v", channel, sinceStart(at), sinceStart(o.began))
	}
}

// says checks that a text answers why and what the host said, and keeps secrets.
func (o *outage) says(channel, text string, wants ...string) {
	o.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			o.Errorf("%s says %q; want %q in it", channel, text, want)
		}
	}
	if strings.Contains(text, "hunter2") || strings.Contains(text, "/orders") {
		o.Errorf("%s tells the URL: %s", channel, text)
	}
}

// end checks that every channel was heard, and what the log says in the end.
func (o *outage) end() {
	o.events.stop()
	if b, _ := o.set.Lookup(key); b.State() != breaker.Closed {
		o.Fatalf("still %v", b.State())
	}
	channels := []string{"error", "OpenError", "Retry-After", "log", "page", "health", "events", "metrics", "span"}
	for _, channel := range channels {
		if o.checked[channel] == 0 {
			o.Errorf("%s has said nothing of the next try", channel)
		}
	}
	o.Logf("%d calls rejected, %d probes, claims checked: %v", o.rejected, o.probes, o.checked)

	first, last := o.log.list[0], o.log.list[len(o.log.list)-1]
	o.since("the log's first record", first.Since, time.Millisecond)
	o.says("the log's first record", first.text(), "WARN circuit opened", key, why, "connect: connection refused")
	o.says("the log's last record", last.text(), "INFO circuit closed", key)
	o.since("the log's last record", last.Since, time.Millisecond)
	if last.Rejected != o.rejected {
		o.Errorf("the log counts %d rejected calls; there were %d", last.Rejected, o.rejected)
	}
	if opened := o.probes + 1; last.Openings != opened {
		o.Errorf("the log counts %d openings; there were %d", last.Openings, opened)
	}
	if d := time.Duration(last.Duration); d < lasts-10*time.Second || d > lasts+time.Minute {
		o.Errorf("the log says that it took %v", d)
	}
	loud := slices.DeleteFunc(slices.Clone(o.log.list), func(r record) bool { return r.Level == "DEBUG" })
	if len(loud) > 5 {
		o.Errorf("%d records above Debug in two minutes", len(loud))
	}
}

func rejection(t testing.TB, err error) *breaker.OpenError {
	var open *breaker.OpenError
	if !errors.As(err, &open) {
		t.Fatalf("err = %v; want an OpenError", err)
	}
	return open
}
