// Package statuspage shows a set of circuit breakers over HTTP: a page for
// people, JSON for programs, and live events for both.
//
//	mux.Handle("/debug/circuits/", statuspage.New(transport.Breakers(), nil))
//
// It answers these requests, below wherever it is mounted:
//
//	GET  .                     the page: every circuit, live, open ones first
//	GET  circuits              {"at": …, "set": {…}, "circuits": [breaker.Snapshot, …]}, sorted by key
//	GET  circuits?state=open   only those in this state; may be given more than once
//	GET  circuits/{key}        one breaker.Snapshot, or 404
//	GET  events                server-sent events: recent and new transitions
//	POST circuits/{key}/mode   form fields mode and reason: enforce, observe, force-open or disabled
//	POST circuits/{key}/reset  form field reason: close, and forget what led to the opening
//
// A key is escaped as in [net/url.PathEscape]. The two POST requests exist only
// with Options.Control. Errors are JSON, {"error": "…"}.
//
// # Events
//
// GET events is a text/event-stream, as the HTML standard has it: the latest 256
// events first, or those after Last-Event-ID, then each as it comes.
//
//	transition  a breaker.Transition
//	control     what an operator did: {"key": …, "at": …, "action": "mode" or "reset", "mode": …, "reason": …}
//	lost        {"lost": 12}: this reader was too slow for so many events
//
// A comment comes every 15s. A slow reader never slows a breaker: it loses
// events, and is cut off when it takes nothing for 10s. Streams end when their
// server shuts down.
//
// # Reading changes nothing
//
// No request but POST takes a probe, moves a circuit or delays a call. The page
// shows which hosts are calling, failing and why: mount it where only operators
// reach it, behind the authentication of the program's other debug handlers.
//
// GET circuits may serve as the health document of a service, for dashboards
// and people. Do not use it for a liveness or readiness probe: an open circuit
// says that another service is unwell, and restarting this one, or taking it out
// of rotation, makes that worse.
//
// # Security
//
// The page is one document without any external part; it works offline. Its
// Content-Security-Policy lets nothing run but its own script, by hash, and
// forbids framing. Keys and reasons are treated as hostile text throughout. No
// answer is cached. What a browser sends to a POST request must come from the
// same origin ([net/http.CrossOriginProtection]).
package statuspage

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// Options configure the handler. The zero Options are the default: a page to
// look at, without controls.
type Options struct {
	// Title is the heading of the page. Default "Circuits".
	Title string

	// Control, if set, switches on the POST requests, and reports whether this
	// request may change circuits. It is asked about each of them, before the
	// body is read, and about each GET of the page, which shows the controls
	// only if the answer is true. It is called concurrently. Requests that a
	// browser sends from another origin are refused before it is asked.
	//
	//	Control: func(r *http.Request) bool { return isOperator(r) }
	Control func(*http.Request) bool
}

// New returns a handler that shows set. Nil opts are the zero Options.
//
// The handler can be mounted with a subtree pattern of [net/http.ServeMux]
// ("/debug/circuits/"), and anywhere else with [net/http.StripPrefix]; the page
// refers to everything by relative URLs. It watches set from now on, to know the
// recent transitions when somebody looks, and has no end: make one and keep it.
func New(set *breaker.Set, opts *Options) http.Handler {
	if set == nil {
		panic("statuspage: New: set is nil")
	}
	h := &handler{set: set, events: newFeed(), sameOrigin: http.NewCrossOriginProtection()}
	if opts != nil {
		h.opts = *opts
	}
	if h.opts.Title == "" {
		h.opts.Title = "Circuits"
	}
	set.Watch(breaker.Hooks{StateChanged: h.events.transition})
	return h
}

type handler struct {
	set        *breaker.Set
	opts       Options
	events     *feed
	sameOrigin *http.CrossOriginProtection
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")

	full, rel := paths(r)
	key, ofCircuit := strings.CutPrefix(rel, "circuits/")
	if ofCircuit && r.Method == http.MethodPost {
		h.control(w, r, key)
		return
	}
	var get http.HandlerFunc
	switch {
	case rel == "" && !strings.HasSuffix(full, "/"):
		// The page's relative URLs need the slash.
		header.Set("Location", "./"+path.Base(full)+"/")
		w.WriteHeader(http.StatusMovedPermanently)
		return
	case rel == "":
		get = h.page
	case rel == "circuits":
		get = h.circuits
	case rel == "events":
		get = h.stream
	case ofCircuit:
		get = func(w http.ResponseWriter, r *http.Request) { h.circuit(w, key) }
	default:
		fail(w, http.StatusNotFound, "not found; try circuits or events below the page")
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		methodNotAllowed(w, "GET, HEAD")
		return
	}
	get(w, r)
}

// paths returns the escaped path that the client asked for, and the part of it
// below the place where the handler is mounted, without a slash in front.
//
// That place is known from the ServeMux pattern that matched, of which
// StripPrefix may have taken off none, some or all. Only segments are counted,
// so that wildcards in the pattern and escaped slashes in keys do no harm.
func paths(r *http.Request) (full, rel string) {
	rel = r.URL.EscapedPath()
	full = rel
	if u, err := url.ParseRequestURI(r.RequestURI); err == nil {
		full = u.EscapedPath()
	}
	stripped := strings.Count(full, "/") - strings.Count(rel, "/")
	mount := r.Pattern[:strings.LastIndex(r.Pattern, "/")+1]
	for range strings.Count(mount, "/") - stripped {
		_, rel, _ = strings.Cut(rel, "/")
	}
	return full, strings.TrimPrefix(rel, "/")
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client has gone; there is nobody to tell
}

func fail(w http.ResponseWriter, status int, format string, args ...any) {
	reply(w, status, map[string]string{"error": fmt.Sprintf(format, args...)})
}

func methodNotAllowed(w http.ResponseWriter, allow string) {
	w.Header().Set("Allow", allow)
	fail(w, http.StatusMethodNotAllowed, "method not allowed; want %s", allow)
}
