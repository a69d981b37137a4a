// Package breaker is a circuit breaker for calls of any kind, and a bounded set of
// them by key:
//
//	circuits := breaker.NewSet(breaker.Options{})
//	user, err := breaker.Do(ctx, circuits.Get("users-db"), func(ctx context.Context) (User, error) {
//		return db.User(ctx, id)
//	})
//
// For HTTP there is the package above this one, which decides what is a failure
// and answers in the place of a host that is cut off.
//
// # States
//
// A [Closed] circuit lets calls through and counts how they end. As soon as one of
// the rules of its [Config] holds it is [Open]: for some seconds every call is
// rejected with an [*OpenError], which matches [ErrOpen] and says who, why and
// until when. The first call after that makes it [HalfOpen]: that call goes through
// as a probe, while others are still rejected. If the probe succeeds the circuit
// is closed, its counts cleared; if not it opens again, for twice as long.
//
// # Outcomes
//
// A call ends as a [Success], as a [Failure], or [Ignored]: with something that
// says nothing about the peer, such as a cancellation by the caller. An ignored
// call changes no rate and ends no run, and as a probe it makes way for the next.
// A call counts when it ends, whenever it began; but one that ends after the state
// in which it was admitted has passed is late, and moves nothing. With
// Config.SlowCall, calls that hang count before they end.
//
// # Permits
//
// [Do] suits most. Where a call ends elsewhere than it began, [Breaker.Allow] gives a
// [Permit] that is ended by hand:
//
//	permit, err := b.Allow(ctx)
//	if err != nil {
//		return err
//	}
//	defer permit.Done(breaker.Ignored) // if nothing else ends it: a panic, say
//	…
//	permit.Done(breaker.Success)
//
// A permit that is never ended wedges nothing: a probe has failed after
// Config.ProbeTimeout, and any other call is missing from the counts or, with
// Config.SlowCall, looks like one that hangs.
//
// # Watching and steering
//
// [Breaker.Snapshot] tells what a breaker is like, [Hooks] what happens to it.
// Operators can [Breaker.Trip] and [Breaker.Reset] a circuit, set its [Mode] to
// Observe, ForceOpen or Disabled, and change rules while it runs
// ([Breaker.Update], [Set.Update]).
//
// # Guarantees
//
// Nothing runs in the background: no goroutine, timer or ticker. Time is monotonic
// and looked at when a call arrives, so that all of it can be tested with
// [testing/synctest]. No user's function is called under a lock. A call through a
// closed circuit takes no lock and allocates nothing.
package breaker

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// A Breaker is one circuit: it lets calls through while the peer works, rejects
// them for a while once it does not, and then lets single calls through to see
// whether it is back.
//
// Most callers should use [Do], or a [Set] with a breaker for each peer. The
// zero Breaker is ready to use, with an empty key and the default [Config]. A
// Breaker is safe for concurrent use and must not be copied. It runs no
// goroutine and no timer: time is looked at when a call arrives.
type Breaker struct {
	// This cache line is all that a call through a closed circuit touches.
	word      atomic.Uint64 // see the constants below
	bucketEnd atomic.Int64  // when the current bucket of the window ends
	admitted  atomic.Uint64
	answered  atomic.Int64 // calls answered, but not ended yet
	env       *env
	rules     atomic.Pointer[rules]
	inflight  atomic.Pointer[inflight] // of this closed generation; nil with SlowCall off
	used      atomic.Uint64            // Set's tick when it was last asked for

	gate     atomic.Pointer[gate] // rejects without a lock; nil if nothing does
	rejected atomic.Uint64

	mu  sync.Mutex // guards all below, and changes of the above but for counts
	key string

	state    State // what the rules say; see effective for what callers meet
	mode     Mode
	level    uint8   // of the backoff: how often it has opened without having closed
	run      uint32  // failures since the last success
	runBegan int64   // when the first of them ended
	lastErr  error   // what the last failed call returned
	since    int64   // when the effective state began
	reason   string  // why the circuit came into state
	forMode  *string // the reason given for mode, if any

	window timeWindow
	calls  *callWindow // in place of window with WindowCalls
	phase  *phase      // nil while closed without a ramp

	totals Totals // Rejected and OpenTime as of since; successes in word are not in it yet
	queue  *queue // of transitions to be told; nil if there were none yet
}

// phase is what only a circuit that is open, half-open or ramping up needs.
type phase struct {
	gate           // what rejects; immutable while open
	cause  string  // open or half-open: why the closed circuit opened
	probes []probe // half-open: those that are out
	probed uint16  // half-open: number of the last probe let through
	good   int     // half-open: probes that succeeded
	began  int64   // ramping: when it began
	credit float64 // ramping: of the next call
}

type probe struct {
	number uint16
	until  int64 // when it has failed for want of an outcome
}

// gate is an open circuit as rejected calls see it.
type gate struct {
	err   *OpenError
	until int64  // when it is probed; the end of a ramp
	early int64  // when it is probed if it is busy
	busy  uint64 // Breaker.rejected from which on it is
}

// shuts reports whether a call is to be rejected.
func (g *gate) shuts(b *Breaker) bool {
	if g.early == never {
		return true
	}
	now := b.env.now()
	return now < g.early || now < g.until && b.rejected.Load() < g.busy
}

// never is a time that does not come.
const never = math.MaxInt64

// rules is a Config with its defaults. It is immutable.
type rules struct {
	Config
	bucket int64 // width of a bucket of the window in nanoseconds
}

func newRules(cfg Config) (*rules, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	return &rules{Config: cfg, bucket: int64(cfg.Window) / windowBuckets}, nil
}

// Breaker.word holds, from the top: 28 bits of generation, four flags, and 32
// bits that count the successes in the current bucket of the window that were
// booked without the lock. Each change of state begins a generation, so that a
// success is counted in the generation that admitted it or not at all; the
// flags are set only while that is all there is to do.
const (
	admitPlain = 1 << 32 // Allow has nothing to look at
	admitTimed = 1 << 33 // Allow has only the clock to look at
	countFast  = 1 << 34 // a success has only to be counted
	countFull  = 1 << 31 // too many to count
	countMask  = 1<<32 - 1

	generationShift = 36
)

// tagOf returns the generation, as Permit.tag holds it.
func tagOf(word uint64) uint64 { return word &^ (1<<generationShift - 1) }

// New returns a closed breaker for the peer named key. It panics if cfg is
// invalid, with the text of [Config.Validate].
func New(key string, cfg Config, hooks ...Hooks) *Breaker {
	r, err := newRules(cfg)
	if err != nil {
		panic(err.Error())
	}
	e := &env{start: time.Now()}
	e.replace(func([]*observer) []*observer { return observersOf(hooks) })
	b := new(Breaker)
	b.init(e, key, r)
	return b
}

func observersOf(hooks []Hooks) []*observer {
	var list []*observer
	for _, h := range hooks {
		list = append(list, newObserver(h, true))
	}
	return list
}

// init makes b ready. Nobody else may use it yet, or its lock must be held.
func (b *Breaker) init(e *env, key string, r *rules) {
	b.env = e
	if key != "" { // Key reads it without the lock, also that of a zero Breaker
		b.key = key
	}
	b.rules.Store(r)
	if r.Mode != Enforce {
		b.setMode(r.Mode, "configured to start in mode "+r.Mode.String())
	}
	b.since = e.now()
	if r.WindowCalls > 0 {
		b.calls = newCallWindow(r.WindowCalls)
	}
	b.setGate()
	b.publish(true)
}

var zeroRules = &rules{Config: defaultConfig, bucket: int64(defaultConfig.Window) / windowBuckets}

// lock locks b, and makes a zero Breaker ready.
func (b *Breaker) lock() {
	b.mu.Lock()
	if b.env == nil {
		b.init(&env{start: time.Now()}, "", zeroRules)
	}
}

// unlock unlocks b, and tells the observers what has happened meanwhile.
func (b *Breaker) unlock() {
	tell := b.queue.claim()
	b.mu.Unlock()
	if tell {
		b.tell()
	}
}

// Key returns the key that b was made with.
func (b *Breaker) Key() string { return b.key }

// Allow asks whether a call may be made now. If so it returns a permit, whose
// Done or Fail must be called when the call has ended, preferably deferred; if
// not, an [*OpenError]. The context is only handed to the hooks: a context that
// is done already is the caller's to check.
func (b *Breaker) Allow(ctx context.Context) (Permit, error) {
	word := b.word.Load()
	if word&admitPlain != 0 {
		b.admitted.Add(1)
		return Permit{b: b, tag: tagOf(word)}, nil
	}
	if word&admitTimed != 0 {
		return b.allowTimed(ctx, word)
	}
	if g := b.gate.Load(); g != nil && g.shuts(b) {
		return Permit{}, b.reject(ctx, g.err)
	}
	return b.allow(ctx)
}

// reject counts a rejection and tells the observers.
func (b *Breaker) reject(ctx context.Context, err *OpenError) error {
	b.rejected.Add(1)
	if o := b.env.observers.Load(); o != nil && o.rejected {
		b.env.rejected(ctx, err)
	}
	return err
}

// allowTimed admits a call to a closed circuit whose calls are timed, unless
// there is something to be done under the lock first.
func (b *Breaker) allowTimed(ctx context.Context, word uint64) (Permit, error) {
	f := b.inflight.Load()
	if f == nil {
		return b.allow(ctx)
	}
	now := b.env.now()
	if now >= f.nextLook.Load() || !f.enter(now) {
		return b.allow(ctx)
	}
	b.admitted.Add(1)
	return Permit{b: b, timed: &f.timed, start: now, tag: tagOf(word) | permitTimed}, nil
}

// allow decides under the lock.
func (b *Breaker) allow(ctx context.Context) (Permit, error) {
	b.lock()
	p, rejection := b.decide(b.env.now())
	observed := b.mode == Observe
	b.unlock()
	if rejection != nil {
		if err := b.reject(ctx, rejection); !observed {
			return Permit{}, err
		}
	}
	if b.env.observing().wantCalls() {
		p.timed = &timed{inflight: p.timed.of(), ctx: ctx}
		p.tag |= permitObserved | permitCareful
	}
	return p, nil
}

// decide admits or rejects a call that arrives now, after the transitions that
// are due. Under Observe it does both.
func (b *Breaker) decide(now int64) (Permit, *OpenError) {
	switch b.mode {
	case ForceOpen:
		return Permit{}, b.gate.Load().err
	case Disabled:
		return b.admit(now, 0), nil
	}
	b.expireProbes(now)
	if b.state == Closed {
		b.lookOverdue(now)
	}
	if b.state == Open && !b.phase.shuts(b) {
		b.halfOpen(now)
	}
	switch p := b.phase; b.state {
	case Open:
		return b.admit(now, permitBypass), p.err
	case HalfOpen:
		if len(p.probes) >= b.rules.Load().Probes {
			return b.admit(now, permitBypass), p.err
		}
		p.probed++
		p.probes = append(p.probes, probe{p.probed, after(now, b.rules.Load().ProbeTimeout)})
		return b.admit(now, permitProbe|uint64(p.probed)<<permitNumberShift), nil
	default:
		if err := b.rampReject(now); err != nil {
			return b.admit(now, permitBypass), err
		}
		return b.admit(now, 0), nil
	}
}

// admit makes a permit. What is rejected gets a bypassing one, which counts
// only if the mode is Observe.
func (b *Breaker) admit(now int64, flags uint64) Permit {
	if flags == permitBypass && b.mode != Observe {
		return Permit{}
	}
	b.admitted.Add(1)
	p := Permit{b: b, start: now, tag: tagOf(b.word.Load()) | flags}
	if b.timesCalls() {
		p.tag |= permitTimed
		if flags == 0 && b.mode != Disabled {
			p.timed = b.enterInflight(now)
		}
	}
	if flags != 0 || p.tag&permitTimed != 0 && p.timed == nil {
		p.tag |= permitCareful
	}
	return p
}

// timesCalls reports whether Allow has to read the clock.
func (b *Breaker) timesCalls() bool {
	return b.rules.Load().SlowCall > 0 || b.env.observing().wantCalls()
}

// enterInflight counts a call that begins now among those in flight.
func (b *Breaker) enterInflight(now int64) *timed {
	r := b.rules.Load()
	if r.SlowCall <= 0 {
		return nil
	}
	f := b.inflight.Load()
	if f == nil {
		f = newInflight(r.SlowCall, now, b.successes())
		b.inflight.Store(f)
	}
	f.makeRoom(now)
	if !f.enter(now) {
		return nil
	}
	return &f.timed
}
