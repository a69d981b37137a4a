package fleet

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mrand "math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// Options configure a node. A zero field other than Fleet is its default.
type Options struct {
	// Fleet names those who share. It must not be empty: 1 to 64 letters, digits
	// and "-_.:/". Let a fleet be the processes of one service in one zone:
	// callers with different credentials, networks or limits have different
	// troubles.
	Fleet string
	// MinNodes is how many nodes have to find a host bad. Default 3, at least 2. A
	// fleet of two needs 2.
	MinNodes int
	// Quorum is the share, in (0.5, 1], of those with an opinion that have to find
	// it bad. Default 0.9.
	Quorum float64
	// MaxOpenFor bounds how long the fleet holds a circuit without a probe.
	// Default 45s, at least 1s, at most 24h.
	MaxOpenFor time.Duration
	// Shared reports whether a key is shared. It must mean the same host to every
	// node. It is called by the node's goroutine only. Default [SharedByDefault].
	Shared func(key string) bool
	// Timeout bounds each exchange with the engine. Default 500ms, at most 1s.
	Timeout time.Duration
	// Logger is told once when the engine stops answering, and once when it
	// answers again. Default slog.Default().
	Logger *slog.Logger
}

// Validate returns nil, or an error that names every bad field with its value
// and the rule that it breaks.
func (o Options) Validate() error {
	var bad []error
	check := func(ok bool, field string, value any, rule string) {
		if !ok {
			bad = append(bad, fmt.Errorf("fleet: Options.%s = %v; %s", field, value, rule))
		}
	}
	check(validName(o.Fleet), "Fleet", fmt.Sprintf("%q", o.Fleet), `want 1 to 64 letters, digits or "-_.:/"`)
	check(o.MinNodes == 0 || o.MinNodes >= 2, "MinNodes", o.MinNodes,
		"want at least 2, or zero for the default of 3: a single node must not speak for all")
	check(o.Quorum == 0 || o.Quorum > 0.5 && o.Quorum <= 1, "Quorum", o.Quorum,
		"want a share in (0.5, 1], or zero for the default of 0.9")
	check(o.MaxOpenFor == 0 || o.MaxOpenFor >= time.Second && o.MaxOpenFor <= 24*time.Hour, "MaxOpenFor", o.MaxOpenFor,
		"want 1s to 24h, or zero for the default of 45s")
	check(o.Timeout >= 0 && o.Timeout <= time.Second, "Timeout", o.Timeout,
		"want at most 1s, or zero for the default of 500ms")
	return errors.Join(bad...)
}

func validName(name string) bool {
	for _, c := range []byte(name) {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/", rune(c)) {
			return false
		}
	}
	return name != "" && len(name) <= 64
}

func (o Options) withDefaults() Options {
	o.MinNodes = cmp.Or(o.MinNodes, 3)
	o.Quorum = cmp.Or(o.Quorum, 0.9)
	o.MaxOpenFor = cmp.Or(o.MaxOpenFor, 45*time.Second)
	o.Timeout = cmp.Or(o.Timeout, 500*time.Millisecond)
	if o.Shared == nil {
		o.Shared = SharedByDefault
	}
	return o
}

// SharedByDefault reports whether a key of the transport's ByHost or ByRoute is
// shared: every key except those of this machine, localhost and loopback
// addresses, which are another host to each node.
func SharedByDefault(key string) bool {
	host := key[strings.LastIndexByte(key, ' ')+1:]
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	if ip := net.ParseIP(host); ip != nil {
		return !ip.IsLoopback()
	}
	return host != "localhost" && !strings.HasSuffix(host, ".localhost")
}

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

	mu       sync.Mutex // guards all below; held by the goroutine whenever it is not waiting
	troubles map[string]*circuit
	live     map[string]time.Time // keys that the fleet suspects, and when that was heard
	modes    modes
	health   health
	view     struct {
		version int64
		next    time.Time
	}
}

// health is how the engine has answered.
type health struct {
	down     bool
	since    time.Time // when it last stopped or began to answer
	err      error     // the latest
	failures int       // in a row
	retry    time.Time
	requests uint64
	failed   uint64
	listen   error // why there are no events
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
		f.mu.Lock()
		defer f.mu.Unlock()
		f.modes.end(f.set)
	})
	return err
}

const (
	flushEvery   = 50 * time.Millisecond // after a note
	turnEvery    = 10 * time.Millisecond
	maxReports   = 200 // in one exchange
	lookEvery    = time.Minute
	pollEvery    = time.Second            // where there are no events
	listenFirst  = 250 * time.Millisecond // after a failure to, doubling
	listenEvery  = time.Minute
	retryFirst   = 250 * time.Millisecond
	retryAtLeast = 5 * time.Second
)

// spread returns d, a fifth more or less.
func spread(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*mrand.Float64()))
}

// run is the node's goroutine: it does all the talking but for SetMode.
func (f *Fleet) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var flushed time.Time
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
	notes := f.box.take()
	f.mu.Lock()
	defer f.mu.Unlock()
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
		f.forgive(c, b, s)
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

// ask makes one exchange with the engine, while others may use f.
func ask[T any](f *Fleet, ctx context.Context, exchange func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, f.opts.Timeout)
	defer cancel()
	f.mu.Unlock()
	defer f.mu.Lock()
	return exchange(ctx)
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
		if !ok || n == noteClosed || n == noteAdded || !f.opts.Shared(key) {
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
	h.retry = now.Add(spread(min(retryAtLeast, retryFirst<<min(h.failures, 10))))
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
		f.mu.Lock()
		f.health.listen = err
		f.mu.Unlock()
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
