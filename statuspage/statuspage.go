// Package statuspage shows a set of circuit breakers over HTTP: a page for
// people, JSON for programs, and live events for both.
//
//	mux.Handle("/debug/circuits/", statuspage.New(transport.Breakers(), nil))
//
// It answers these requests, below wherever it is mounted:
//
//	GET  .                     the page: circuits, live, those in trouble first
//	GET  circuits              {"at": …, "set": {…}, "sums": {…}, "matching": …, "circuits": [breaker.Snapshot, …]}
//	GET  circuits/{key}        one breaker.Snapshot with its history, or 404
//	GET  health                {"at": …, "states": {…}, "circuits": […]}: what is not closed, always with 200
//	GET  events                server-sent events: recent and new
//	POST circuits/{key}/mode   form fields mode and reason: enforce, observe, force-open or disabled
//	POST circuits/{key}/reset  form field reason: close, and forget what led to the opening
//	POST mode                  form fields mode and reason: the mode of all circuits, those to come included
//	POST fleet/mode            form fields key, mode, reason and for: the mode in every process of the fleet
//
// A key is escaped as in [net/url.PathEscape]. The POST requests exist only with
// Options.Control. Errors are JSON, {"error": "…"}.
//
// # Circuits
//
// GET circuits lists all circuits in the order of their keys. What is listed can
// be chosen; "sums" are of all circuits, whatever is asked for.
//
//	state=open         only those in this state; may be given more than once
//	mode=observe       only those in this mode; may be given more than once
//	filter=pay+503     only those whose key, reason, last failure or mode has every word in it
//	sort=rate          those in trouble first, then by key, rate, in_flight, rejected or opened
//	limit=100          no more than this many; "matching" says how many there would be
//	history            with the last five minutes of each
//
// A history is {"step_ns": 3000000000, "rates": [-1, 0, 7, …], "states": "ccoh…"}:
// for each slot of three seconds, the last of which is that of now, the highest
// failure rate in percent and the worst state, by its first letter. A rate of -1 is
// no calls, or that nobody looked; so is a state of ".". Beside it stands, while
// the circuit is not closed, "opened_on": the counts that opened it.
//
// The handler takes notes for it when a call has failed, when a circuit changes
// its state, and when it is asked, and at no other time. It has room for 1,000
// circuits, some 0.4 MB; a circuit that has neither failed nor changed its state
// for five minutes makes way for another.
//
// # Fleet
//
// With Options.Fleet, GET circuits says in "fleet" what is shared with other
// processes, how many of them are of which opinion, and whether they can be
// reached; the page shows it above the circuits. POST fleet/mode sets a mode in
// all of them: of the circuit with this key, not escaped, which this process need
// not have, or with an empty key of all circuits. Its field for says how long, as
// "1h30m", at most 720h; enforce ends it and needs none. The answer is 502 with
// the error if the fleet did not confirm it.
//
// # Health
//
// GET health is for dashboards and people: the number of circuits in each state,
// and of those that are not closed who, since when, why, what the host said last
// and when it is tried again, the longest outage first. It names 100 at most, and
// says in "more" how many there are besides. It answers 200 whatever the circuits
// are like. Do not make it a liveness or readiness probe by looking into it: an
// open circuit says that another service is unwell, and restarting this one, or
// taking it out of rotation, makes that worse.
//
// # Events
//
// GET events is a text/event-stream, as the HTML standard has it: the latest 256
// events first, or those after Last-Event-ID, then what comes, twice a second at
// most. Of an outage the first and the latest transition are kept, and of one
// circuit 16 events, so that no circuit pushes the others out.
//
//	transition  a breaker.Transition
//	control     what an operator did: {"key": …, "at": …, "action": "mode", "trip" or "reset", "mode": …, "reason": …};
//	            without a key, to all circuits
//	lost        {"lost": 12}: this reader was too slow for as many as 12 events
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
// # Security
//
// The page is one document without any external part; it works offline. Its
// Content-Security-Policy lets nothing run but its own script, by hash, and
// forbids framing. Keys, reasons and failures are treated as hostile text
// throughout. No answer is cached. What a browser sends to a POST request must
// come from the same origin ([net/http.CrossOriginProtection]) or from one of
// Options.TrustedOrigins.
package statuspage

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"strings"
	"sync/atomic"

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

	// Operator, if set, returns who makes a request that changes circuits, such
	// as the user name that a proxy has put into a header. It is added to the
	// reason that the request gives, "maintenance, by alice", and is shown and
	// logged with it; at most 60 characters are. It is called concurrently, for
	// requests that Control lets in and for the page. Default nobody.
	//
	//	Operator: func(r *http.Request) string { return r.Header.Get("X-Forwarded-User") }
	Operator func(*http.Request) string

	// Fleet, if set, is this process's part in the fleet with which the set is
	// shared: the page shows it, and its controls can set modes for all of the
	// fleet. Default none.
	//
	//	sharing, err := breakerredis.New(client, set, &breakerredis.Options{Fleet: "checkout"})
	//	…
	//	Fleet: sharing
	Fleet Fleet

	// TrustedOrigins are the origins of the page, as "https://ops.example.com",
	// where a proxy in front changes the Host header: POST requests from a
	// browser that has the page from there would be refused otherwise, unless
	// it says by Sec-Fetch-Site that the page's own origin sent them. Default
	// none.
	TrustedOrigins []string
}

// New returns a handler that shows set. Nil opts are the zero Options.
//
// The handler can be mounted with a subtree pattern of [net/http.ServeMux]
// ("/debug/circuits/"), and anywhere else with [net/http.StripPrefix], which may
// also stand around the ServeMux. The page refers to everything by relative URLs.
// The handler watches set from now on, to know what has happened when somebody
// looks, and has no end: make one and keep it. Calls that succeed cost the same
// with it. New panics if set is nil or an origin in Options.TrustedOrigins is none.
func New(set *breaker.Set, opts *Options) http.Handler {
	if set == nil {
		panic("statuspage: New: set is nil")
	}
	h := &handler{set: set, events: newFeed(), histories: newHistories(set), sameOrigin: http.NewCrossOriginProtection()}
	if opts != nil {
		h.opts = *opts
	}
	for i, origin := range h.opts.TrustedOrigins {
		if err := h.sameOrigin.AddTrustedOrigin(origin); err != nil {
			panic(fmt.Sprintf(`statuspage: Options.TrustedOrigins[%d] = %q; want an origin such as "https://ops.example.com": %v`, i, origin, err))
		}
	}
	if h.opts.Title == "" {
		h.opts.Title = "Circuits"
	}
	set.Watch(breaker.Hooks{StateChanged: h.stateChanged, Operated: h.operated, Failed: h.histories.failed})
	return h
}

type handler struct {
	set        *breaker.Set
	opts       Options
	events     *feed
	histories  *histories
	all        atomic.Pointer[controlEvent] // the mode that all circuits were set to; nil if it is Enforce
	sameOrigin *http.CrossOriginProtection
}

func (h *handler) stateChanged(t breaker.Transition) {
	h.histories.stateChanged(t)
	h.events.transition(t)
}

func (h *handler) operated(o breaker.Operation) {
	if o.Key == "" && o.Act == breaker.ActMode {
		e := controlEventOf(o)
		if o.Mode == breaker.Enforce {
			h.all.Store(nil)
		} else {
			h.all.Store(&e)
		}
	}
	h.events.operated(o)
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")

	full, rel := paths(r)
	key, ofCircuit := strings.CutPrefix(rel, "circuits/")
	ofAll := rel == "mode" || rel == "fleet/mode"
	if r.Method == http.MethodPost && (ofCircuit || ofAll) {
		h.control(w, r, rel)
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
	case rel == "health":
		get = h.health
	case rel == "events":
		get = h.stream
	case ofCircuit:
		get = func(w http.ResponseWriter, r *http.Request) { h.circuit(w, key) }
	case ofAll && h.opts.Control != nil:
		methodNotAllowed(w, "POST")
		return
	default:
		fail(w, http.StatusNotFound, "not found; try circuits, health or events below the page")
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		methodNotAllowed(w, "GET, HEAD")
		return
	}
	get(w, r)
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
