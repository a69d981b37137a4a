package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/bench/tune/logs"
	"github.com/seed-0b728cf8/httpbreaker/bench/tune/replay"
)

// loaded is what was read, of all files together.
type loaded struct {
	replay.Log
	reports []fileReport
}

// fileReport says what was made of one file.
type fileReport struct {
	Name string
	logs.Report
}

// load reads the files of -replay. Who gets the log closes it.
func (o *options) load(progress io.Writer) (*loaded, error) {
	l := &loaded{}
	keys := logs.Keys{Limit: o.keys}
	for _, name := range o.replay {
		if err := l.read(name, o.log, &keys, progress); err != nil {
			_ = l.Close()
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	l.Keys = keys.Names
	if err := l.Sort(); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

func (l *loaded) read(name string, o logs.Options, keys *logs.Keys, progress io.Writer) error {
	file := os.Stdin
	if name != "-" {
		var err error
		if file, err = os.Open(name); err != nil {
			return err
		}
		defer file.Close()
	}
	bar := newBar(progress, "reading "+name, sizeOf(file))
	defer bar.end()
	report, err := logs.Read(bar.reader(file), o, keys, l.Add)
	l.reports = append(l.reports, fileReport{name, report})
	if report.Begin > 0 && (l.Begin == 0 || report.Begin < l.Begin) {
		l.Begin, l.Recorded = report.Begin, true
	}
	return err
}

// sizeOf is how much there is to read, or 0 where that is not known.
func sizeOf(file *os.File) int64 {
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0
	}
	return info.Size()
}

// bar is a progress bar on a terminal. It draws itself at most ten times a second.
type bar struct {
	to        io.Writer // nil: nowhere
	what      string
	all, done int64
	began     time.Time
	drawn     time.Time
}

func newBar(to io.Writer, what string, all int64) *bar {
	if file, ok := to.(*os.File); ok {
		if info, err := file.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
			to = nil // a file or a pipe: nobody watches
		}
	}
	return &bar{to: to, what: what, all: all, began: time.Now()}
}

// set draws the bar when done of all is done.
func (b *bar) set(done int64) {
	b.done = done
	now := time.Now()
	if b.to == nil || now.Sub(b.began) < time.Second || now.Sub(b.drawn) < 100*time.Millisecond {
		return
	}
	b.drawn = now
	const width = 30
	if b.all <= 0 {
		fmt.Fprintf(b.to, "\r\x1b[K%s: %s", b.what, bytesText(done))
		return
	}
	share := min(1, float64(done)/float64(b.all))
	left := time.Duration(float64(now.Sub(b.began)) * (1 - share) / max(share, 1e-6)).Round(time.Second)
	fmt.Fprintf(b.to, "\r\x1b[K%s [%-*s] %3.0f %%, %s left", b.what, width, "##############################"[:int(share*width)], share*100, left)
}

// end removes the bar.
func (b *bar) end() {
	if b.to != nil && !b.drawn.IsZero() {
		fmt.Fprint(b.to, "\r\x1b[K")
	}
}

// reader moves the bar by what is read.
func (b *bar) reader(from io.Reader) io.Reader { return &watched{from, b} }

type watched struct {
	io.Reader
	*bar
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	w.set(w.done + int64(n))
	return n, err
}

func bytesText(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.0f KiB", float64(n)/(1<<10))
}
