package breaker

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// shared is what the breakers of one set have in common: the clock, and who observes
// them.
type shared struct {
	clock

	mu        sync.Mutex // held to change observers
	observers atomic.Pointer[observers]
}

// observers is immutable.
type observers struct {
	list []*observer
	// Whether any of them wants these.
	transitions, rejected, calls, failed bool
}

func observersOf(hooks []Hooks) []*observer {
	var list []*observer
	for _, h := range hooks {
		list = append(list, newObserver(h, true))
	}
	return list
}

// observing returns the observers, or nil if there are none.
func (s *shared) observing() *observers { return s.observers.Load() }

func (o *observers) wantTransitions() bool { return o != nil && o.transitions }
func (o *observers) wantCalls() bool       { return o != nil && o.calls }

// observe lets the observers that are in use be those that change returns.
func (s *shared) observe(change func([]*observer) []*observer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var next observers
	if old := s.observers.Load(); old != nil {
		next.list = slices.Clone(old.list)
	}
	next.list = change(next.list)
	for _, o := range next.list {
		next.transitions = next.transitions || o.StateChanged != nil
		next.rejected = next.rejected || o.Rejected != nil
		next.calls = next.calls || o.Done != nil
		next.failed = next.failed || o.Failed != nil
	}
	if len(next.list) == 0 {
		s.observers.Store(nil)
		return
	}
	s.observers.Store(&next)
}

func (s *shared) tellTransition(t Transition) {
	s.each(func(o *observer) {
		if o.StateChanged != nil {
			o.run(func() { o.StateChanged(t) })
		}
	})
}

func (s *shared) tellRejected(ctx context.Context, err *OpenError) {
	s.each(func(o *observer) {
		if o.Rejected != nil {
			o.run(func() { o.Rejected(ctx, err) })
		}
	})
}

func (s *shared) tellDone(ctx context.Context, c Call) {
	s.each(func(o *observer) {
		if o.Done != nil {
			o.run(func() { o.Done(ctx, c) })
		}
	})
}

func (s *shared) tellFailed(c Call) {
	s.each(func(o *observer) {
		if o.Failed != nil {
			o.run(func() { o.Failed(c) })
		}
	})
}

func (s *shared) tellOperation(op Operation) {
	s.each(func(o *observer) {
		if o.Operated != nil {
			o.run(func() { o.Operated(op) })
		}
	})
}

func (s *shared) tellAdded(key string) {
	s.each(func(o *observer) {
		if o.Added != nil {
			o.run(func() { o.Added(key) })
		}
	})
}

func (s *shared) tellEvicted(keys []string) {
	for _, key := range keys {
		s.each(func(o *observer) {
			if o.Evicted != nil {
				o.run(func() { o.Evicted(key) })
			}
		})
	}
}

func (s *shared) each(call func(*observer)) {
	if all := s.observers.Load(); all != nil {
		for _, o := range all.list {
			call(o)
		}
	}
}

// observer is a Hooks in use.
type observer struct {
	Hooks
	fixed bool // from Options or New, not from Watch: never stopped

	mu      sync.Mutex
	running int
	stopped bool
	idle    sync.Cond // signalled when running has come to zero
}

func newObserver(h Hooks, fixed bool) *observer {
	o := &observer{Hooks: h, fixed: fixed}
	o.idle.L = &o.mu
	return o
}

// run calls a hook, unless the observer has been stopped. A panic ends here.
func (o *observer) run(hook func()) {
	if !o.enter() {
		return
	}
	defer func() {
		_ = recover()
		o.leave()
	}()
	hook()
}

func (o *observer) enter() bool {
	if o.fixed {
		return true
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stopped {
		return false
	}
	o.running++
	return true
}

func (o *observer) leave() {
	if o.fixed {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.running--
	if o.running == 0 {
		o.idle.Broadcast()
	}
}

// stop returns when no hook of o is running any more and none will be. It does
// not wait inside of a hook, which might be the one that it would wait for.
func (o *observer) stop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stopped = true
	for o.running > 0 && !inHook() {
		o.idle.Wait()
	}
}

// inHook reports whether the calling goroutine is inside of a hook.
func inHook() bool {
	pcs := make([]uintptr, 1024)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for {
		frame, more := frames.Next()
		if strings.HasSuffix(frame.Function, "breaker.(*observer).run") {
			return true
		}
		if !more {
			return false
		}
	}
}

// deliveries holds the transitions that observers have not been told of yet.
type deliveries struct {
	list    []delivery
	running bool // some goroutine is at it
}

type delivery struct {
	Transition
	last error // described when no lock is held
}

func (d *deliveries) add(t Transition, last error) *deliveries {
	if d == nil {
		d = new(deliveries)
	}
	d.list = append(d.list, delivery{t, last})
	return d
}

// claim reports whether the caller has to deliver.
func (d *deliveries) claim() bool {
	if d == nil || d.running || len(d.list) == 0 {
		return false
	}
	d.running = true
	return true
}

// deliver tells the observers of transitions until there are no more. Only one
// goroutine does so at a time, which keeps them in order.
func (b *Breaker) deliver() {
	finished := false
	defer func() {
		if !finished { // a hook has ended this goroutine: deliver the rest on its way out
			b.deliver()
		}
	}()
	for {
		b.mu.Lock()
		d := b.history.pending
		if len(d.list) == 0 {
			b.history.pending = nil
			b.mu.Unlock()
			finished = true
			return
		}
		t := d.list[0]
		d.list = d.list[1:]
		b.mu.Unlock()
		if t.last != nil {
			t.LastFailure = describe(t.last)
		}
		b.shared.tellTransition(t.Transition)
	}
}
