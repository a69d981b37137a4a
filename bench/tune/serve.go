package main

import (
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/bench/peers"
	"github.com/seed-0b728cf8/httpbreaker/bench/tune/logs"
	"github.com/seed-0b728cf8/httpbreaker/bench/tune/replay"
	"github.com/seed-0b728cf8/httpbreaker/bench/tune/settings"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// The page is one document: style and script stand in it, so that it needs nothing
// from anywhere.
var (
	//go:embed page/page.html
	pageHTML string
	//go:embed page/page.css
	pageCSS string
	//go:embed page/controls.js
	controlsJS string
	//go:embed page/chart.js
	chartJS string
	//go:embed page/main.js
	mainJS string

	pageScript   = "'use strict';\n" + controlsJS + chartJS + mainJS
	pageTemplate = template.Must(template.New("page").Parse(pageHTML))
	pagePolicy   = "default-src 'none'; connect-src 'self'; img-src data:; script-src " + sourceHash(pageScript) +
		"; style-src " + sourceHash(pageCSS) + "; require-trusted-types-for 'script'; trusted-types 'none'" +
		"; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

// sourceHash is the CSP source that allows just this inline text.
func sourceHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// serve serves the page until the program is ended.
func (o *options) serve(t *testing.T, out io.Writer) error {
	listener, err := net.Listen("tcp", o.http)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "http://%s/\n", listener.Addr())
	s := &server{t: t, keys: o.keys}
	return (&http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second}).Serve(listener)
}

// server is what the page asks.
type server struct {
	t    *testing.T
	keys int // most hosts of a log

	mu      sync.Mutex
	made    traffic     // of which calls were made last
	traffic *replay.Log // those
	log     *held       // that was dropped on the page last; nil if none was
	number  int         // of log
}

// held is a log that several replays may be reading.
type held struct {
	loaded
	readers sync.WaitGroup
}

func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("POST /play", s.play)
	mux.HandleFunc("POST /log", s.take)
	// Other sites must not make this server work.
	return http.NewCrossOriginProtection().Handler(mux)
}

func (s *server) page(w http.ResponseWriter, _ *http.Request) {
	type choice struct{ Name, About string }
	var beside []choice
	for _, p := range peers.All() {
		beside = append(beside, choice{p.Name(), p.About})
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	_ = pageTemplate.Execute(w, map[string]any{ // fails only when the client has gone
		"Style": template.CSS(pageCSS), "Script": template.JS(pageScript), "Beside": beside,
		"Settings": settings.All, "CannotKnow": cannotKnow, "Shown": shownSeconds, "Begins": faultBegins,
	})
}

// asked is what the page wants to see.
type asked struct {
	Traffic traffic         `json:"traffic"`
	Log     int             `json:"log"` // the number of the log; 0 for Traffic
	Config  json.RawMessage `json:"config"`
	Beside  string          `json:"beside"` // a policy of a peer, or "defaults"
}

// played is what came of it.
type played struct {
	Guards []guardJSON `json:"guards"`
	JSON   string      `json:"json"` // the settings
	Go     string      `json:"go"`
}

func (s *server) play(w http.ResponseWriter, r *http.Request) {
	var a asked
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&a); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	var config breaker.Config
	if err := json.Unmarshal(a.Config, &config); err != nil {
		refuse(w, http.StatusUnprocessableEntity, err)
		return
	}
	guards := []replay.Guard{replay.None(), replay.Ours("yours", config)}
	if a.Beside == "defaults" {
		guards = append(guards, replay.Ours("httpbreaker, defaults", breaker.Config{}))
	} else if a.Beside != "" {
		policies, err := others(a.Beside)
		if err != nil {
			refuse(w, http.StatusUnprocessableEntity, err)
			return
		}
		guards = append(guards, replay.Peer(policies[0]))
	}
	l, done, err := s.calls(&a)
	if err != nil {
		refuse(w, http.StatusUnprocessableEntity, err)
		return
	}
	defer done()
	results, err := replay.Run(s.t, l, guards, replay.Options{Bins: shownSeconds + 1})
	if err != nil {
		refuse(w, http.StatusUnprocessableEntity, err)
		return
	}
	p := played{JSON: settings.JSON(config), Go: settings.Go(config)}
	for _, r := range results {
		p.Guards = append(p.Guards, newGuardJSON(l.Keys, r))
	}
	answer(w, p)
}

// calls returns the calls to play, and what to call when they are not needed any
// more.
func (s *server) calls(a *asked) (l *replay.Log, done func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.Log > 0 {
		if s.log == nil || a.Log != s.number {
			return nil, nil, errors.New("that log is not here any more; drop it again")
		}
		s.log.readers.Add(1)
		return &s.log.Log, s.log.readers.Done, nil
	}
	if err := a.Traffic.check(); err != nil {
		return nil, nil, err
	}
	if s.traffic == nil || s.made != a.Traffic {
		s.made, s.traffic = a.Traffic, a.Traffic.log()
	}
	return s.traffic, func() {}, nil
}

// took is what the page is told of a log.
type took struct {
	Log   int       `json:"log"`
	File  fileJSON  `json:"file"`
	Hosts int       `json:"hosts"`
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
}

// take reads a log. It is the only one that is kept.
func (s *server) take(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	o := logs.Options{
		Time: q.Get("time"), Host: q.Get("host"), Duration: q.Get("duration"), Status: q.Get("status"),
		Unit: q.Get("unit"), TimeIs: q.Get("time-is"), TimeFormat: q.Get("time-format"),
	}
	l := &held{}
	keys := logs.Keys{Limit: s.keys}
	report, err := logs.Read(r.Body, o, &keys, l.Add)
	l.Keys, l.Begin, l.Recorded = keys.Names, report.Begin, report.Begin > 0
	l.reports = []fileReport{{cmp.Or(q.Get("name"), "the log"), report}}
	if err == nil {
		err = l.Sort()
	}
	if err != nil {
		_ = l.Close()
		refuse(w, http.StatusUnprocessableEntity, err)
		return
	}
	s.mu.Lock()
	old := s.log
	s.log = l
	s.number++
	number := s.number
	s.mu.Unlock()
	if old != nil {
		go func() { // once nobody reads it any more
			old.readers.Wait()
			_ = old.Close()
		}()
	}
	d := newDocument(&l.loaded, nil)
	answer(w, took{number, d.Files[0], d.Hosts, d.From, d.To})
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = writeJSON(w, v) // fails only when the client has gone
}

func refuse(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = writeJSON(w, map[string]string{"error": err.Error()})
}
