package breaker

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// A Breaker is one circuit: it lets calls through while the peer works, rejects
// them, some or all, once it does not, and gives them back as fast as the peer
// takes them.
//
// Most callers should use [Do], or a [Set] with a breaker for each peer. The
// zero Breaker is ready to use, with an empty key and the default [Config]. A
// Breaker is safe for concurrent use and must not be copied. It runs no
// goroutine and no timer: time is looked at when a call arrives.
//
// It has three parts: the word, which is all that a call through a closed circuit
// touches; the counts, on which the rules are judged; and the machine, which is the
// state and what moves it. Breaker keeps the lock and the clock, and tells observers.
type Breaker struct {
	words
	shared   *shared
	rules    atomic.Pointer[rules]
	gate     atomic.Pointer[opening] // rejects without the lock; nil: nothing does
	nextLook atomic.Int64            // when a call is to look for hangs; 0: see lookDue
	pace     pace
	set      place // in its Set, if any

	mu  sync.Mutex // guards all below, and changes of the above except counting
	key string
	counts
	machine
}

// New returns a closed breaker for the peer named key. It panics if cfg is
// invalid, with the text of [Config.Validate].
func New(key string, cfg Config, hooks ...Hooks) *Breaker {
	r, err := newRules(cfg)
	if err != nil {
		panic(err.Error())
	}
	s := &shared{clock: clock{time.Now()}}
	s.observe(func([]*observer) []*observer { return observersOf(hooks) })
	b := new(Breaker)
	b.init(s, key, r)
	return b
}

var zeroRules = Config{}.rules()

// init makes b ready. Nobody else may use it yet, or its lock must be held.
func (b *Breaker) init(s *shared, key string, r *rules) {
	b.shared = s
	if key != "" { // Key reads it without the lock, also that of a zero Breaker
		b.key = key
	}
	b.rules.Store(r)
	b.since = s.now()
	b.window.index = r.bucketAt(b.since)
	b.setBucketEnd(r.begin(b.window.index + 1))
	if r.WindowCalls > 0 {
		b.remember().calls = newCallWindow(r.WindowCalls, 0)
	}
	if r.Mode != Enforce {
		b.setMode(r.Mode, "configured to start in mode "+r.Mode.String())
	}
	if alwaysStriped {
		b.divide()
	}
	b.derive()
}

// lock locks b, and makes a zero Breaker ready.
func (b *Breaker) lock() {
	b.mu.Lock()
	if b.shared == nil {
		b.init(&shared{clock: clock{time.Now()}}, "", zeroRules)
	}
}

// unlock derives what is read without the lock from what the lock guards, unlocks
// b, and tells the observers what has happened meanwhile.
func (b *Breaker) unlock() {
	b.derive()
	deliver := b.history != nil && b.history.pending.claim()
	b.mu.Unlock()
	if deliver {
		b.deliver()
	}
}

// derive sets the word's flags and the gate. They follow from the state, the mode, the
// run, the rules and who observes, and are set nowhere else.
func (b *Breaker) derive() {
	r, observed := b.rules.Load(), b.shared.observing().wantCalls()
	h := b.past()
	letsAll := b.mode == Disabled || b.mode != ForceOpen && h.phase == nil
	var flags uint64
	if letsAll && !observed {
		flags |= admitFast
		if !b.pace.busy() || r.SlowCall > 0 || h.run.length > 0 {
			flags |= admitTime
		}
		if b.pace.rush() {
			flags |= rush
		}
	}
	if b.mode <= Observe && h.phase == nil && !observed && h.run.length == 0 && h.calls == nil {
		flags |= countFast
	}
	b.setFlags(flags)

	var gate *opening
	switch b.mode {
	case ForceOpen:
		gate = h.forced
	case Enforce:
		gate, _ = h.phase.(*opening)
	}
	if b.gate.Load() != gate {
		b.gate.Store(gate)
	}
}

// Key returns the key that b was made with.
func (b *Breaker) Key() string { return b.key }

// Allow asks whether a call may be made now. If so it returns a permit, whose
// Done or Fail must be called when the call has ended, preferably deferred; if
// not, an [*OpenError]. The context is only handed to the hooks: a context that
// is done already is the caller's to check.
func (b *Breaker) Allow(ctx context.Context) (Permit, error) {
	w, bits, tag := &b.word, b.bits.Load(), uint64(0)
	if bits&spread != 0 {
		own, number := b.stripes.Load().own()
		w, bits, tag = &own.word, own.bits.Load(), number<<permitStripeShift
	}
	if bits&(admitFast|admitTime) == admitFast {
		if !looks(bits, w.admitted.Add(1)) {
			return Permit{b: b, tag: generationOf(bits) | tag}, nil
		}
		w.admitted.Add(^uint64(0)) // this one looks at the clock
	}
	if bits&admitFast != 0 {
		if p, ok := b.admitTimed(w, bits, tag); ok {
			return p, nil
		}
	} else if o := b.gate.Load(); o != nil && o.rejects(b) {
		return Permit{}, b.reject(ctx, o.err)
	}
	return b.allow(ctx)
}

// admitTimed admits a call that is timed, unless there is something to be done
// under the lock first.
func (b *Breaker) admitTimed(w *word, bits, tag uint64) (p Permit, ok bool) {
	now := b.shared.now()
	if b.lookDue(now) {
		return Permit{}, false
	}
	if n := w.admitted.Add(1); looks(bits, n) && b.pace.mark(now, n) {
		b.lock()
		b.unlock() // which derives the flags anew
	}
	return Permit{b: b, start: now, tag: generationOf(bits) | tag | permitTimed}, true
}

// reject counts a rejection and tells the observers.
func (b *Breaker) reject(ctx context.Context, err *OpenError) error {
	if s := b.stripes.Load(); s != nil {
		own, _ := s.own()
		own.rejected.Add(1)
	} else {
		b.countRejection(&b.history.rejected) // it is there: made before anything is rejected
	}
	if o := b.shared.observing(); o != nil && o.rejected {
		b.shared.tellRejected(ctx, err)
	}
	return err
}

// countRejection notices when other cores do the same.
func (b *Breaker) countRejection(n *atomic.Uint64) {
	for {
		before := n.Load()
		if n.CompareAndSwap(before, before+1) {
			return
		}
		b.conflict()
	}
}

// conflict takes note that two cores have met at the first word.
func (b *Breaker) conflict() {
	if b.pace.conflict() && runtime.GOMAXPROCS(0) > 1 {
		b.lock()
		b.divide()
		b.unlock()
	}
}

// rejections is how many calls were rejected, ever.
func (b *Breaker) rejections() uint64 {
	n := b.past().rejected.Load()
	if s := b.stripes.Load(); s != nil {
		for i := range s.words {
			n += s.words[i].rejected.Load()
		}
	}
	return n
}

// allow decides under the lock.
func (b *Breaker) allow(ctx context.Context) (Permit, error) {
	b.lock()
	p, rejection := b.decide(b.shared.now())
	observed := b.mode == Observe
	b.unlock()
	if rejection != nil {
		if err := b.reject(ctx, rejection); !observed {
			return Permit{}, err
		}
	}
	if b.shared.observing().wantCalls() {
		p.more = &more{ctx: ctx, began: p.start}
		p.tag |= permitSlow
	}
	return p, nil
}

// decide admits or rejects a call that arrives now, after the transitions that
// are due. Under Observe it does both.
func (b *Breaker) decide(now int64) (Permit, *OpenError) {
	switch b.mode {
	case ForceOpen:
		return Permit{}, b.history.forced.err
	case Disabled:
		return b.admit(now, 0), nil
	}
	b.expireProbes(now)
	if b.lookDue(now) {
		b.look(now)
	}
	phase := b.past().phase
	if phase == nil {
		return b.admit(now, 0), nil
	}
	flags, rejection := phase.admit(b, now)
	if rejection == nil {
		return b.admit(now, flags), nil
	}
	if b.mode == Observe {
		b.history.bypass.inFlight++
		return Permit{b: b, start: now, tag: b.generation() | permitBypass | permitSlow | permitTimed}, rejection
	}
	return Permit{}, rejection
}

// admit makes a permit.
func (b *Breaker) admit(now int64, flags uint64) Permit {
	if n := b.admitted.Add(1); looks(b.bits.Load(), n) {
		b.pace.mark(now, n)
	}
	if flags != 0 {
		flags |= permitSlow
	}
	return Permit{b: b, start: now, tag: b.generation() | flags | permitTimed}
}
