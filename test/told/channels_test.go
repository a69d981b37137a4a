package told

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	urlpkg "net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

var (
	tryIn  = regexp.MustCompile(`; next try in (\S+)$`)
	lasted = regexp.MustCompile(`is (?:open|half-open) for (\S+):`)
)

// parse returns the duration that a text gives to three digits, and how exact that
// is.
func parse(t testing.TB, text string, what *regexp.Regexp) (d, precision time.Duration) {
	m := what.FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("%q says nothing of %s", text, what)
	}
	d, err := time.ParseDuration(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return d, d/100 + time.Millisecond
}

func (o *outage) tellError(err error, open bool) {
	now, e := time.Now(), rejection(o, err)
	o.says("error", err.Error(), strconv.Quote(key), why)
	if now.Sub(o.began) >= time.Second {
		d, precision := parse(o, err.Error(), lasted)
		o.since("error", now.Add(-d), precision)
	}
	o.since("OpenError", e.OutageSince, time.Millisecond)
	if !open {
		if !e.Until.IsZero() || tryIn.MatchString(err.Error()) {
			o.Errorf("a time is said for the next try when %v: %v", e.State, err)
		}
		return
	}
	o.says("error", err.Error(), "connect: connection-refused") // so that no client takes it for one
	o.says("OpenError", e.LastFailure(), "connect: connection refused")
	d, precision := parse(o, err.Error(), tryIn)
	o.claim("error", now.Add(d), precision)
	o.claim("OpenError", now.Add(e.RetryAfter()), time.Millisecond)
}

func (o *outage) tellFields(res *http.Response, open bool) {
	status := res.Header.Get("Proxy-Status")
	o.says("Proxy-Status", status, "error=destination_unavailable", why)
	if strings.Contains(status, "api.example.com") || strings.Contains(status, "refused") {
		o.Errorf("Proxy-Status tells a stranger too much: %s", status)
	}
	seconds, err := strconv.Atoi(res.Header.Get("Retry-After"))
	if err != nil {
		o.Fatal(err)
	}
	if open {
		o.claim("Retry-After", time.Now().Add(time.Duration(seconds)*time.Second), time.Second)
	}
}

// tellPage asks the status page for its JSON.
func (o *outage) tellPage(open bool) {
	var s breaker.Snapshot
	o.ask("/circuits/"+urlpkg.PathEscape(key), &s)
	if s.Key != key {
		o.Errorf("page: key = %q", s.Key)
	}
	o.since("page", s.OutageSince, time.Millisecond)
	o.says("page", s.Reason, why)
	o.says("page", s.LastFailure, "connect: connection refused")
	if open {
		o.claim("page", s.Until, time.Millisecond)
	}

	var health struct {
		States   map[string]int
		Circuits []struct {
			Key, Reason  string
			LastFailure  string `json:"last_failure"`
			Since, Until time.Time
		}
	}
	o.ask("/health", &health)
	if len(health.Circuits) != 1 || health.States["closed"] != 0 {
		o.Fatalf("health: %+v", health)
	}
	c := health.Circuits[0]
	o.says("health", c.Key+" "+c.Reason+" "+c.LastFailure, key, why, "connect: connection refused")
	o.since("health", c.Since, time.Millisecond)
	if open {
		o.claim("health", c.Until, time.Millisecond)
	}
}

func (o *outage) ask(path string, into any) {
	w := httptest.NewRecorder()
	o.page.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	if err := json.Unmarshal(w.Body.Bytes(), into); err != nil || w.Code != 200 {
		o.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
}

// tellEvent takes a transition of the status page's stream. It comes up to half a
// second late.
func (o *outage) tellEvent(t breaker.Transition) {
	if t.OutageSince.IsZero() || t.Key != key {
		o.Errorf("events: %+v", t)
		return
	}
	o.since("events", t.OutageSince, time.Millisecond)
	if t.To != breaker.Open {
		return
	}
	o.says("events", t.Reason, why)
	o.says("events", t.LastFailure, "connect: connection refused")
	if t.Until.After(time.Now()) {
		o.claim("events", t.Until, time.Millisecond)
	}
}

// tellMetrics gathers what Prometheus would scrape.
func (o *outage) tellMetrics(open bool) {
	families, err := o.registry.Gather()
	if err != nil {
		o.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		if m := f.GetMetric(); len(m) == 1 && len(m[0].GetLabel()) > 0 && m[0].GetLabel()[0].GetValue() == key {
			values[f.GetName()] = m[0].GetGauge().GetValue()
		}
	}
	at := func(name string) time.Time {
		v, ok := values["httpbreaker_circuit_"+name+"_timestamp_seconds"]
		if !ok {
			o.Fatalf("no metric %s", name)
		}
		return time.UnixMilli(int64(v*1000 + 0.5))
	}
	o.since("metrics", at("outage_start"), 2*time.Millisecond)
	if share := values["httpbreaker_circuit_let_through_ratio"]; open != (share == 0) && open {
		o.Errorf("metrics: %v is let through", share)
	}
	if open {
		o.claim("metrics", at("until"), 2*time.Millisecond)
	}
}

// tellSpan takes the span of a rejected call.
func (o *outage) tellSpan(span sdktrace.ReadOnlySpan, open bool) {
	for _, e := range span.Events() {
		if e.Name != "httpbreaker.rejected" {
			continue
		}
		said := map[string]string{}
		for _, a := range e.Attributes {
			said[string(a.Key)] = a.Value.String()
		}
		o.says("span", said["httpbreaker.key"]+" "+said["httpbreaker.reason"], key, why)
		since, err := time.Parse(time.RFC3339Nano, said["httpbreaker.since"])
		if err != nil {
			o.Fatal(err)
		}
		o.since("span", since, time.Millisecond)
		if open {
			o.says("span", said["httpbreaker.last_failure"], "connect: connection refused")
			seconds, err := strconv.ParseFloat(said["httpbreaker.retry_after"], 64)
			if err != nil {
				o.Fatal(err)
			}
			o.claim("span", e.Time.Add(time.Duration(seconds*float64(time.Second))), time.Millisecond)
		}
		return
	}
	o.Errorf("the span of a rejected call has no event")
}

// records is where the log is written.
type records struct {
	list []record
	took func(channel string, next time.Time)
}

type record struct {
	Level, Msg, Key, Reason string
	LastFailure             string    `json:"last_failure"`
	NextTry                 time.Time `json:"next_try"`
	Since                   time.Time
	Duration                int64
	Rejected, Openings      int
	LeftOut                 int `json:"left_out"`
}

func (r record) text() string {
	return strings.Join([]string{r.Level, r.Msg, r.Key, r.Reason, r.LastFailure}, " ")
}

func (l *records) Write(line []byte) (int, error) {
	var r record
	if err := json.Unmarshal(line, &r); err != nil {
		return 0, err
	}
	l.list = append(l.list, r)
	if !r.NextTry.IsZero() {
		l.took("log", r.NextTry)
	}
	return len(line), nil
}

// events follows the status page's stream of events.
type events struct {
	cancel context.CancelFunc
	ended  chan struct{}

	mu   sync.Mutex
	list []breaker.Transition
}

func follow(t testing.TB, page http.Handler) *events {
	ctx, cancel := context.WithCancel(t.Context())
	e := &events{cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(e.ended)
		page.ServeHTTP(&eventWriter{header: http.Header{}, events: e}, httptest.NewRequest("GET", "/events", nil).WithContext(ctx))
	}()
	return e
}

func (e *events) stop() {
	e.cancel()
	<-e.ended
}

func (e *events) take() []breaker.Transition {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := e.list
	e.list = nil
	return list
}

type eventWriter struct {
	header http.Header
	events *events
}

func (w *eventWriter) Header() http.Header { return w.header }
func (w *eventWriter) WriteHeader(int)     {}
func (w *eventWriter) Flush()              {}

func (w *eventWriter) Write(p []byte) (int, error) {
	w.events.mu.Lock()
	defer w.events.mu.Unlock()
	for lines := bufio.NewScanner(strings.NewReader(string(p))); lines.Scan(); {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			var t breaker.Transition
			if err := json.Unmarshal([]byte(data), &t); err == nil && t.From != t.To {
				w.events.list = append(w.events.list, t)
			}
		}
	}
	return len(p), nil
}
