package browser

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/statuspage"
)

// sharing is what the page is told of a fleet.
type sharing struct {
	mu     sync.Mutex
	status string
	err    error
	took   string
}

func (s *sharing) say(status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
}

func (s *sharing) MarshalJSON() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return []byte(s.status), nil
}

func (s *sharing) SetModeFor(_ context.Context, key string, mode breaker.Mode, lasting time.Duration, reason, by string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.took = fmt.Sprintf("%q %s %s %q %q", key, mode, lasting, reason, by)
	}
	return s.err
}

func (s *sharing) taken() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.took
}

const shares = `{"fleet": "checkout", "reachable": true, "since": "2026-05-01T03:00:04Z", "listening": true, "dropped": 0,
	"circuits": [
		{"key": "api.payments.example.com", "down": true, "opinion": "bad", "bad": 412, "good": 3, "quiet": 12, "heard": "2026-05-01T03:00:05Z"},
		{"key": "search.internal:8080", "down": false, "opinion": "good", "bad": 1, "good": 9, "quiet": 0, "heard": "2026-05-01T03:00:05Z"},
		{"key": "new.example.com", "down": false, "opinion": "none", "bad": 0, "good": 0, "quiet": 0}],
	"modes": []}`

func TestFleet(t *testing.T) {
	set := breaker.NewSet(breaker.Options{})
	payments := set.Get("api.payments.example.com")
	payments.Hold(payments.Snapshot().Generation, time.Hour, "412 of 415 nodes of the fleet cannot reach it")
	for _, key := range []string{"search.internal:8080", "new.example.com", "auth.example.com"} {
		if p, err := set.Get(key).Allow(t.Context()); err == nil {
			p.Done(breaker.Success)
		}
	}
	f := &sharing{status: shares}
	page := open(t, servePage(t, set, &statuspage.Options{
		Fleet:    f,
		Control:  func(*http.Request) bool { return true },
		Operator: func(*http.Request) string { return "alice" },
	}))
	look := func(name string) {
		if *looks == "" {
			return
		}
		for _, scheme := range []string{"light", "dark"} {
			page.picture(filepath.Join(*looks, "fleet-"+name+"-"+scheme+".png"), scheme, 1360, 800)
			page.picture(filepath.Join(*looks, "fleet-"+name+"-phone-"+scheme+".png"), scheme, 360, 800)
		}
	}
	page.until(`document.querySelector('#rows tr[data-state=open]')`)
	page.contains("#fleet", "Fleet checkout: connected since", "1 circuit down for all · 1 circuit suspected")
	page.contains("#rows tr[data-state=open]", "held by the fleet", "Fleet: 412 nodes say bad, 3 good, 12 nothing")
	page.contains("#rows", "Fleet: 1 node says bad, 9 good, 0 nothing")
	if n := eval[int](page, `[...document.querySelectorAll('#rows small')].filter(e => e.textContent.startsWith('Fleet')).length`); n != 2 {
		t.Errorf("%d circuits have opinions; want 2", n)
	}
	look("well")

	// An operator takes the host out of use everywhere.
	page.click("#rows tr[data-state=open] .control")
	page.contains("#control", "This process", "Fleet checkout", "until the mode is set again", "Reset")
	page.click("#control input[value=fleet]")
	page.contains("#control", "In every process of the fleet", "Reject every call for an hour.")
	if eval[bool](page, `document.querySelector('#control-reset').checkVisibility()`) {
		t.Error("a fleet has no reset")
	}
	page.run(`const e = document.querySelector('#control-for'); e.value = '4h'; e.dispatchEvent(new Event('change', {bubbles: true}))`)
	page.contains("#control", "Let every call through for 4 hours.")
	page.click("#control input[value=force-open]")
	look("control")
	f.mu.Lock()
	f.err = errors.New("fleet: no confirmation that the mode was set: dial tcp 10.0.0.7:6379: connect: connection refused")
	f.mu.Unlock()
	page.write("#control-reason", "maintenance\r")
	page.until(`document.querySelector('#control-error').textContent !== ''`)
	page.contains("#control-error", "Not done: fleet: no confirmation that the mode was set", "connection refused")
	look("refused")
	f.mu.Lock()
	f.err = nil
	f.mu.Unlock()
	page.click("#control-apply")
	page.until(`!document.querySelector('#control').open`)
	if want := `"api.payments.example.com" force-open 4h0m0s "maintenance" "alice"`; f.taken() != want {
		t.Errorf("the fleet was told %s; want %s", f.taken(), want)
	}

	page.click("#control-all")
	page.contains("#control", "until the mode is set again or the program restarts")
	page.click("#control input[value=fleet]")
	page.contains("#control", "in every process of the fleet")
	page.click("#control input[value=disabled]")
	page.write("#control-reason", "the breakers are to blame\r")
	page.until(`!document.querySelector('#control').open`)
	if want := `"" disabled 1h0m0s "the breakers are to blame" "alice"`; f.taken() != want {
		t.Errorf("the fleet was told %s; want %s", f.taken(), want)
	}

	f.say(`{"fleet": "checkout", "reachable": true, "since": "2026-05-01T03:00:04Z", "listening": true, "circuits": [], "modes": [
		{"key": "", "mode": "disabled", "reason": "the breakers are to blame", "by": "alice", "until": "2026-05-01T04:00:04Z"},
		{"key": "auth.example.com", "mode": "observe", "reason": "on trial", "until": "2026-05-01T04:00:04Z"}]}`)
	page.until(`document.querySelector('#fleet').textContent.includes('disabled')`)
	page.contains("#fleet", "all circuits disabled until", ": the breakers are to blame, by alice · 1 circuit with a mode set for the fleet")
	look("mode")

	f.say(`{"fleet": "checkout", "reachable": false, "since": "2026-05-01T03:00:04Z", "listening": false, "dropped": 12, "circuits": [], "modes": [],
		"error": "dial tcp 10.0.0.7:6379: connect: connection refused <b>"}`)
	page.until(`document.querySelector('#fleet').textContent.includes('not reachable')`)
	page.contains("#fleet", "Fleet checkout: not reachable since", "this process decides alone", "connection refused <b>", "12 messages dropped")
	look("lost")

	f.say(`{"fleet": "checkout", "reachable": true, "since": "2026-05-01T03:00:04Z", "listening": false, "listen_error": "NOPERM", "circuits": [], "modes": []}`)
	page.until(`document.querySelector('#fleet').textContent.includes('NOPERM')`)
	page.contains("#fleet", "no messages arrive, it asks instead (NOPERM)")
	f.say(`{"error": "oops"}`)
	page.until(`document.querySelector('#fleet').textContent === 'Fleet: not reachable, this process decides alone (oops)'`)
	for _, e := range page.heardErrors() {
		if e != "Failed to load resource: the server responded with a status of 502 (Bad Gateway)" {
			t.Error(e)
		}
	}
}
