package breaker

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// env is what the breakers of one set share: the zero of their clock, and who
// observes them.
type env struct {
	start time.Time

	mu        sync.Mutex // held to change observers
	observers atomic.Pointer[observers]
}

// beginning is what now returns at start. It is far from zero, for there is a way
// to get before it: a breaker that was made outside of a synctest bubble may be
// used inside, where it is the year 2000.
const beginning = 1 << 60

// now is the time in nanoseconds: monotonic, and positive.
func (e *env) now() int64 { return beginning + int64(time.Since(e.start)) }

func (e *env) time(t int64) time.Time { return e.start.Add(time.Duration(t - beginning)) }

// observers is immutable.
type observers struct {
	list                         []*observer
	transitions, rejected, calls bool // whether any of them wants these
}

// observing returns the observers, or nil if there are none.
func (e *env) observing() *observers { return e.observers.Load() }

func (o *observers) wantTransitions() bool { return o != nil && o.transitions }
func (o *observers) wantCalls() bool       { return o != nil && o.calls }

// replace lets the observers that are in use be those that change returns.
func (e *env) replace(change func([]*observer) []*observer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var next observers
	if old := e.observers.Load(); old != nil {
		next.list = slices.Clone(old.list)
	}
	next.list = change(next.list)
	for _, o := range next.list {
		next.transitions = next.transitions || o.StateChanged != nil
		next.rejected = next.rejected || o.Rejected != nil
		next.calls = next.calls || o.Done != nil
	}
	if len(next.list) == 0 {
		e.observers.Store(nil)
		return
	}
	e.observers.Store(&next)
}

func (e *env) stateChanged(t Transition) {
	e.each(func(o *observer) {
		if o.StateChanged != nil {
			o.run(func() { o.StateChanged(t) })
		}
	})
}

func (e *env) rejected(ctx context.Context, err *OpenError) {
	e.each(func(o *observer) {
		if o.Rejected != nil {
			o.run(func() { o.Rejected(ctx, err) })
		}
	})
}

func (e *env) done(ctx context.Context, c Call) {
	e.each(func(o *observer) {
		if o.Done != nil {
			o.run(func() { o.Done(ctx, c) })
		}
	})
}

func (e *env) evicted(keys []string) {
	for _, key := range keys {
		e.each(func(o *observer) {
			if o.Evicted != nil {
				o.run(func() { o.Evicted(key) })
			}
		})
	}
}

func (e *env) each(call func(*observer)) {
	if all := e.observers.Load(); all != nil {
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
