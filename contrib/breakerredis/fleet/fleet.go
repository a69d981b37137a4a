package fleet

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// A Fleet is one node: it lets a set of breakers share what they learn. It is
// safe for concurrent use.
type Fleet struct {
	opts   Options
	node   string
	engine Engine
	set    *breaker.Set
	stop   func() // watching the set
	cancel context.CancelFunc
	done   sync.WaitGroup
	closed sync.Once

	box       mailbox
	wanted    atomic.Bool // keys that come are of interest
	listening atomic.Bool
	deaf      atomic.Pointer[error] // why there are no events
	status    atomic.Pointer[Status]

	// All below is the goroutine's own. There is no lock: breakers call hooks, and
	// hooks may call this node.
	troubles map[string]*circuit
	live     map[string]time.Time // keys that the fleet suspects, and when that was heard
	modes    modes
	health   health
	view     struct {
		version int64
		next    time.Time
	}
}

// New lets the breakers of set share through engine, from now until Close. It
// returns at once, whatever the engine does. The error names what is wrong with
// opts; nothing is started then. New panics if engine or set is nil.
func New(engine Engine, set *breaker.Set, opts Options) (*Fleet, error) {
	if engine == nil || set == nil {
		panic("fleet: New: engine or set is nil")
	}
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := &Fleet{
		opts: opts.withDefaults(), node: rand.Text()[:12], engine: engine, set: set, cancel: cancel,
		troubles: map[string]*circuit{}, live: map[string]time.Time{},
		box: newMailbox(),
	}
	f.health.since = time.Now()
	f.publish()
	f.stop = set.Watch(breaker.Hooks{
		StateChanged: func(t breaker.Transition) { f.own(t.Key, noteOwn) },
		Failed:       func(c breaker.Call) { f.own(c.Key, noteOwn) },
		Added: func(key string) {
			if f.wanted.Load() {
				f.own(key, noteAdded)
			}
		},
	})
	f.done.Go(func() { f.run(ctx) })
	f.done.Go(func() { f.listen(ctx) })
	return f, nil
}

// own takes note of what happens to the node's own circuits.
func (f *Fleet) own(key string, n notes) {
	if key != "" && len(key) <= MaxKey {
		f.box.put(key, n)
	}
}

// Close stops sharing: modes set for the fleet end here, circuits that the fleet
// holds open are tried when their time has come, and no goroutine remains. It
// returns within a second, and is safe to call again. The error is that of an
// engine that could not be closed.
func (f *Fleet) Close() error {
	var err error
	f.closed.Do(func() {
		f.stop()
		f.cancel()
		if c, ok := f.engine.(io.Closer); ok {
			err = c.Close()
		}
		f.done.Wait()
		f.modes.end(f.set)
		f.publish()
	})
	return err
}

const (
	flushEvery  = 50 * time.Millisecond // after a note
	turnEvery   = 10 * time.Millisecond
	maxReports  = 200 // in one exchange
	lookEvery   = time.Minute
	pollEvery   = time.Second            // where there are no events
	listenFirst = 250 * time.Millisecond // after a failure to, doubling
	listenEvery = time.Minute
	retryFirst  = 250 * time.Millisecond
	retryAtMost = 5 * time.Second
)

// spread returns d, a fifth more or less.
func spread(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*mrand.Float64()))
}

// run is the node's goroutine: it does all the talking but for SetMode.
func (f *Fleet) run(ctx context.Context) {
	flushed := time.Now()
	// Not from a timer of no time at all: where several goroutines of a synctest
	// bubble receive from such at once, the race detector crashes (go.dev/issue/78156).
	timer := time.NewTimer(max(turnEvery, f.turn(ctx)))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-f.box.poke:
			if wait := time.Until(flushed.Add(flushEvery)); wait > 0 {
				timer.Reset(wait)
				select {
				case <-ctx.Done():
					return
				case <-timer.C:
				}
			}
		}
		flushed = time.Now()
		timer.Reset(max(turnEvery, f.turn(ctx)))
	}
}

// turn does what is due, and returns when something is due again.
func (f *Fleet) turn(ctx context.Context) time.Duration {
	defer f.publish()
	notes := f.box.take()
	f.look(ctx, notes[""] != 0)
	now := time.Now()
	next := f.view.next
	sooner := func(t time.Time) {
		if t.Before(next) {
			next = t
		}
	}
	for key, n := range notes {
		f.note(now, key, n)
	}
	sooner(f.modes.expire(now, f.set))

	var due []*circuit
	var reports []Report
	for key, c := range f.troubles {
		if notes[key] == 0 && now.Before(c.at) {
			sooner(c.at)
			continue
		}
		b, ok := f.set.Lookup(key)
		if !ok {
			delete(f.troubles, key)
			continue
		}
		s := b.Snapshot()
		c.forgive(b, s)
		c.look(now, s)
		f.obey(now, c, b, s)
		switch {
		case c.over(now):
			delete(f.troubles, key)
		case c.due(now) && !f.health.waits(now) && len(due) == maxReports:
			sooner(now)
		case c.due(now) && !f.health.waits(now):
			due = append(due, c)
			reports = append(reports, c.report(now, s, f))
		default:
			sooner(c.wake(now, f.health.retry))
		}
	}
	if len(due) > 0 {
		verdicts, err := ask(f, ctx, func(ctx context.Context) ([]Verdict, error) { return f.engine.Report(ctx, reports) })
		now = time.Now()
		if err == nil && len(verdicts) != len(reports) {
			err = fmt.Errorf("fleet: the engine returned %d verdicts on %d reports", len(verdicts), len(reports))
		}
		f.answered(now, err)
		for i, c := range due {
			if err == nil {
				f.heed(now, c, verdicts[i])
			} else {
				c.missed(now, f.opts.MaxOpenFor)
			}
			sooner(c.wake(now, f.health.retry))
		}
	}
	f.wanted.Store(len(f.live) > 0 || f.modes.any())
	return max(0, time.Until(next))
}

// shares reports whether a key is shared. A panic of the user's function says no.
func (f *Fleet) shares(key string) (yes bool) {
	defer func() { _ = recover() }()
	return f.opts.Shared(key)
}

// note takes account of what has been heard of a key.
func (f *Fleet) note(now time.Time, key string, n notes) {
	if key == "" {
		return // of what concerns all
	}
	if n&noteAdded != 0 {
		f.modes.added(key, f.set)
		if _, suspected := f.live[key]; suspected {
			n |= noteOpened
		}
	}
	if n&(noteSuspected|noteOpened) != 0 && (len(f.live) < MaxHosts || !f.live[key].IsZero()) {
		f.live[key] = now
	}
	if n&noteClosed != 0 {
		delete(f.live, key)
	}
	c := f.troubles[key]
	if c == nil {
		b, ok := f.set.Lookup(key)
		if !ok || n == noteClosed || n == noteAdded || !f.shares(key) {
			return
		}
		s := b.Snapshot()
		if n == noteOwn && s.State != breaker.Open && s.Counts.ConsecutiveFailures < runSuspicious {
			return
		}
		if len(f.troubles) >= MaxHosts {
			f.box.drop()
			return
		}
		c = newCircuit(key, now, s)
		f.troubles[key] = c
	}
	c.hint(now, n)
}
