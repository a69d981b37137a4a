package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// mark is how one request went, as it is drawn.
type mark rune

const (
	none     mark = ' '
	waiting  mark = '·'
	answered mark = '●'
	failed   mark = '✗'
	fallback mark = '◆'
)

const (
	rowCatalog = iota
	rowPrices
	rowTwin
	rows
)

var titles = [rows]string{"catalog", "prices", "no breaker"}

// A screen shows the requests as they go. On a terminal events scroll by above a
// picture that is redrawn in place; anywhere else there are only lines of text.
type screen struct {
	w     io.Writer
	live  bool
	start time.Time

	mu      sync.Mutex
	circuit *breaker.Breaker
	calls   [rows][beats]call
	told    map[string]bool // what has been pointed out since the circuit closed
	drawn   int             // lines of the picture that is on the terminal now
}

type call struct {
	how  mark
	took time.Duration
}

// isTerminal says whether f can take colours and movements of the cursor, and whether
// the user wants them (https://no-color.org).
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 &&
		os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

func newScreen(w io.Writer, live bool, start time.Time) *screen {
	s := &screen{w: w, live: live, start: start, told: map[string]bool{}}
	for row := range s.calls {
		for n := range s.calls[row] {
			s.calls[row][n].how = none
		}
	}
	return s
}

// open says what there is to be seen.
func (s *screen) open(circuit *breaker.Breaker, catalog, prices, twin string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.circuit = circuit
	fmt.Fprintf(s.w, "%s\n\n", s.paint(bold, "One client, two servers, one of them breaks down."))
	fmt.Fprintf(s.w, "  catalog     %s  answers all the time\n", catalog)
	fmt.Fprintf(s.w, "  prices      %s  hangs, then answers 500, then recovers\n", prices)
	fmt.Fprintf(s.w, "  no breaker  %s  like prices; its client has no breaker\n\n", twin)
	fmt.Fprintf(s.w, "  %d requests a second to each, for %v; the clients wait %v for an answer.\n", time.Second/beat, beats*beat, timeout)
	fmt.Fprintf(s.w, "  Default rules, but circuits stay open for 1s here, not 5s to 45s.\n\n")
}

// beat begins the n-th round of requests.
func (s *screen) beat(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := time.Duration(n) * beat
	if n > 0 && at%time.Second == 0 && !s.live {
		s.event("", "%s", s.second(n))
	}
	for _, scene := range script {
		if at == scene.at {
			s.event(bold, "the prices server %s", scene.what)
		}
	}
	for row := range s.calls {
		s.calls[row][n].how = waiting
	}
	s.draw()
}

// result puts down how a request went, and points out the first of its kind.
func (s *screen) result(row, n int, how mark, took time.Duration, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[row][n] = call{how, took}
	if row == rowPrices && !s.told[text] {
		s.told[text] = true
		switch how {
		case failed:
			s.event(red, "%c prices: %s", how, text)
		case fallback:
			s.event(yellow, "%c prices: rejected, fallback %q after %v", how, text, took.Round(10*time.Microsecond))
		case answered:
			s.event(green, "%c prices: %q", how, text)
		}
	}
	s.draw()
}

// stateChanged is a hook: the breaker calls it after each change of state.
func (s *screen) stateChanged(t breaker.Transition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	why, _, _ := strings.Cut(t.Reason, ", after: ") // what it opened for at first has been said
	if t.To == breaker.HalfOpen {
		why = "one probe goes through"
	}
	s.event(bold+colours[t.To], "circuit of prices %v → %v: %s", t.From, t.To, why)
	if t.To == breaker.Closed {
		clear(s.told)
	}
	s.draw()
}

// close shows the whole picture once more, and what the breaker was good for.
func (s *screen) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draw()
	if !s.live {
		s.event("", "%s", s.second(beats))
		fmt.Fprintf(s.w, "\n%s\n", strings.Join(s.picture(), "\n"))
	}
	with, without := s.calls[rowPrices], s.calls[rowTwin]
	var spared, held, lost, lostWithout int
	for n := range beats {
		switch {
		case without[n].how == failed:
			lostWithout++
			if with[n].how == fallback {
				spared++
			}
		case with[n].how == fallback:
			held++
		}
		if with[n].how == failed {
			lost++
		}
	}
	waited, waitedWithout := s.waited(rowPrices), s.waited(rowTwin)
	fmt.Fprintf(s.w, "\n%s\n\n", s.paint(bold, "The same requests to prices,     with httpbreaker   without"))
	fmt.Fprintf(s.w, "  failed for the caller          %14d   %9d\n", lost, lostWithout)
	fmt.Fprintf(s.w, "  time spent on failures         %12.1f s   %7.1f s\n", waited.Seconds(), waitedWithout.Seconds())
	fmt.Fprintf(s.w, "\n  %s\n", s.paint(green, fmt.Sprintf(
		"%d doomed calls were spared, and %.1f s of waiting.", spared, (waitedWithout-waited).Seconds())))
	fmt.Fprintf(s.w, "  The cost: %d requests got the fallback while the server was well again.\n", held)
	fmt.Fprintf(s.w, "  The catalog answered %d of %d: its circuit is its own.\n", s.count(rowCatalog, answered, 0, beats), beats)
}

// waited is for how long the callers of a row waited in vain.
func (s *screen) waited(row int) (sum time.Duration) {
	for _, c := range s.calls[row] {
		if c.how == failed {
			sum += c.took
		}
	}
	return sum.Round(100 * time.Millisecond) // as it is shown, so that the figures add up
}

func (s *screen) count(row int, how mark, from, to int) (n int) {
	for _, c := range s.calls[row][from:to] {
		if c.how == how {
			n++
		}
	}
	return n
}

// second is what became of the requests of the second before beat n.
func (s *screen) second(n int) string {
	var parts []string
	for row, title := range titles {
		part := title
		for _, kind := range []struct {
			how  mark
			what string
		}{{answered, "ok"}, {failed, "failed"}, {fallback, "fallback"}, {waiting, "waiting"}} {
			if k := s.count(row, kind.how, n-int(time.Second/beat), n); k > 0 {
				part += fmt.Sprintf(" %d %s", k, kind.what)
			}
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, " | ")
}

// picture is one mark for each request, and what holds now.
func (s *screen) picture() []string {
	lines := []string{s.paint(dim, "              0s        2s        4s        6s        8s        10s")}
	for row, title := range titles {
		var marks strings.Builder
		for _, c := range s.calls[row] {
			marks.WriteString(s.paint(colourOf[c.how], string(c.how)))
		}
		lines = append(lines, fmt.Sprintf("  %-10s  %s", title, strings.TrimRight(marks.String(), " ")))
	}
	lines = append(lines, s.paint(dim, "              one mark a request: ")+
		s.paint(green, "● answered ")+s.paint(red, "✗ failed ")+s.paint(yellow, "◆ fallback ")+s.paint(dim, "· waiting"), "")
	now := s.circuit.Snapshot()
	state := s.paint(bold+colours[now.State], now.State.String())
	if left := time.Until(now.Until); left > 0 {
		state += fmt.Sprintf(", next try in %.1f s", left.Seconds())
	}
	return append(lines, "  circuit of prices: "+state,
		fmt.Sprintf("  time spent on failures: %.1f s, without breaker %.1f s",
			s.waited(rowPrices).Seconds(), s.waited(rowTwin).Seconds()))
}

// event writes a line that stays.
func (s *screen) event(colour, format string, args ...any) {
	s.wipe()
	line := fmt.Sprintf(format, args...)
	fmt.Fprintf(s.w, "  %4.1fs  %s\n", time.Since(s.start).Seconds(), s.paint(colour, line))
}

// draw draws the picture below the events.
func (s *screen) draw() {
	if !s.live {
		return
	}
	lines := s.picture()
	var frame strings.Builder
	frame.WriteString(s.up())
	frame.WriteString("\x1b[?7l\n") // a terminal too narrow cuts lines off: wrapped, they would be more
	for _, line := range lines {
		frame.WriteString(line + "\x1b[K\n")
	}
	frame.WriteString("\x1b[?7h")
	s.drawn = len(lines) + 1
	_, _ = io.WriteString(s.w, frame.String())
}

// wipe takes the picture away, to make room for an event.
func (s *screen) wipe() {
	if s.drawn > 0 {
		_, _ = io.WriteString(s.w, s.up()+"\x1b[J")
		s.drawn = 0
	}
}

// up moves the cursor to where the picture begins.
func (s *screen) up() string {
	if s.drawn == 0 {
		return ""
	}
	return fmt.Sprintf("\x1b[%dA\r", s.drawn)
}

const (
	bold   = "\x1b[1m"
	dim    = "\x1b[2m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
)

var (
	colours  = map[breaker.State]string{breaker.Closed: green, breaker.Open: red, breaker.HalfOpen: yellow}
	colourOf = map[mark]string{answered: green, failed: red, fallback: yellow, waiting: dim}
)

func (s *screen) paint(colour, text string) string {
	if !s.live || colour == "" {
		return text
	}
	return colour + text + "\x1b[0m"
}
