package fleet

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// health is how the engine has answered.
type health struct {
	down     bool
	since    time.Time // when it last stopped or began to answer
	err      error     // the latest
	failures int       // in a row
	retry    time.Time
	requests uint64
	failed   uint64
}

// ask makes one exchange with the engine.
func ask[T any](f *Fleet, ctx context.Context, exchange func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, f.opts.Timeout)
	defer cancel()
	return exchange(ctx)
}

// look asks what all nodes should know, if that is due.
func (f *Fleet) look(ctx context.Context, hinted bool) {
	now := time.Now()
	if f.health.waits(now) {
		f.view.next = f.health.retry
		return
	}
	if !hinted && now.Before(f.view.next) {
		return
	}
	version := f.view.version
	if f.health.down || hinted {
		version = -1 // of whatever may have been missed
	}
	view, err := ask(f, ctx, func(ctx context.Context) (View, error) { return f.engine.Look(ctx, version) })
	now = time.Now()
	f.answered(now, err)
	if err != nil {
		f.view.next = f.health.retry
		return
	}
	f.view.next = now.Add(spread(lookEvery))
	if !f.listening.Load() {
		f.view.next = now.Add(spread(pollEvery))
	}
	f.view.version = view.Version
	if view.Unchanged {
		return
	}
	for key, heard := range f.live {
		if now.Sub(heard) > KeepFor {
			delete(f.live, key)
		}
	}
	for _, key := range view.Keys {
		f.note(now, key, noteOpened)
	}
	f.modes.set(now, view.Modes, f.set)
}

func (h *health) waits(now time.Time) bool { return now.Before(h.retry) }

// answered takes account of whether the engine has answered.
func (f *Fleet) answered(now time.Time, err error) {
	h := &f.health
	h.requests++
	if err == nil {
		if h.down {
			h.down, h.since = false, now
			f.logger().Info("fleet: answers again", "fleet", f.opts.Fleet)
		}
		h.failures, h.retry = 0, time.Time{}
		return
	}
	if errors.Is(err, context.Canceled) {
		return // by Close
	}
	h.failed++
	h.err = err
	h.retry = now.Add(spread(min(retryAtMost, retryFirst<<min(h.failures, 10))))
	h.failures++
	if !h.down {
		h.down, h.since = true, now
		f.logger().Warn("fleet: no answer; each process decides alone", "fleet", f.opts.Fleet, "error", err)
	}
}

func (f *Fleet) logger() *slog.Logger {
	if f.opts.Logger != nil {
		return f.opts.Logger
	}
	return slog.Default()
}

// listen receives events for as long as it can.
func (f *Fleet) listen(ctx context.Context) {
	for wait := listenFirst; ; wait = min(2*wait, listenEvery) {
		err := f.engine.Listen(ctx, func() {
			f.listening.Store(true)
			f.box.put("", noteOwn) // of what was missed
		}, f.event)
		if ctx.Err() != nil {
			return
		}
		f.deaf.Store(&err)
		if f.listening.Swap(false) {
			wait = listenFirst
			f.box.put("", noteOwn)
		}
		select {
		case <-time.After(spread(wait)):
		case <-ctx.Done():
			return
		}
	}
}

// event takes note of what the engine tells. Anybody may have sent it.
func (f *Fleet) event(e Event) {
	n, known := map[EventKind]notes{Suspected: noteSuspected, Opened: noteOpened, Closed: noteClosed}[e.Kind]
	switch {
	case e.Kind == ModesSet:
		f.box.put("", noteOwn)
	case known && e.Key != "" && len(e.Key) <= MaxKey:
		f.box.put(e.Key, n)
	}
}
