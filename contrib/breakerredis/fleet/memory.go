package fleet

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// Memory is a store for the nodes of one process: for tests, simulations and
// examples. Its clock is that of the process, so that it can be tested with
// [testing/synctest]. It is safe for concurrent use.
type Memory struct {
	mu        sync.Mutex
	start     time.Time
	version   int64
	hosts     map[string]*host
	modes     map[string]modeUntil
	listeners map[*link]func(Event)
	counts    MemoryCounts
}

// MemoryCounts is what a Memory has had to do.
type MemoryCounts struct {
	Reports int // each would be a script run by a server
	Looks   int // that found something new
	Polls   int // that found nothing new
	Events  int // published
}

type modeUntil struct {
	Mode
	until time.Duration
}

// Link is one node's way to a Memory. The zero Link is instant and loses nothing.
// Its functions are called concurrently.
type Link struct {
	// Delay returns how long one way takes. Default no time at all.
	Delay func() time.Duration
	// Copies returns how often an event is delivered: 0 loses it, 2 doubles it.
	// Default 1.
	Copies func() int
	// Fault returns the error of what is sent now, or nil. Default nil. While it
	// is [ErrFrozen], nothing is answered at all, and no event arrives.
	Fault func() error
	// Deaf makes Listen fail, as if channels were forbidden.
	Deaf bool
}

// ErrFrozen is a Link.Fault: an engine that takes requests and answers none.
var ErrFrozen = errors.New("fleet: no answer")

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{
		start: time.Now(),
		hosts: map[string]*host{}, modes: map[string]modeUntil{}, listeners: map[*link]func(Event){},
	}
}

// Counts returns what m has had to do so far.
func (m *Memory) Counts() MemoryCounts {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counts
}

// Forget drops all that m knows, as a server that restarts does.
func (m *Memory) Forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.hosts)
	clear(m.modes)
	m.version = 0
}

// Connect returns an engine for one node.
func (m *Memory) Connect(l Link) Engine { return &link{Memory: m, Link: l} }

type link struct {
	*Memory
	Link
}

// cross takes one way's time.
func (l *link) cross(ctx context.Context) error {
	if l.Fault != nil {
		switch err := l.Fault(); {
		case errors.Is(err, ErrFrozen):
			<-ctx.Done()
			return ctx.Err()
		case err != nil:
			return err
		}
	}
	if l.Delay == nil {
		return ctx.Err()
	}
	select {
	case <-time.After(l.Delay()):
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// exchange does what the store is asked for, and takes the time of both ways.
func (l *link) exchange(ctx context.Context, do func(now time.Duration)) error {
	if err := l.cross(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	do(time.Since(l.start))
	l.mu.Unlock()
	return l.cross(ctx)
}

func (l *link) Report(ctx context.Context, reports []Report) (verdicts []Verdict, err error) {
	err = l.exchange(ctx, func(now time.Duration) {
		for _, r := range reports {
			verdicts = append(verdicts, l.report(now, r))
		}
	})
	return verdicts, err
}

func (m *Memory) report(now time.Duration, r Report) Verdict {
	m.counts.Reports++
	h := m.hosts[r.Key]
	if h != nil && h.keep <= now {
		h = nil
		delete(m.hosts, r.Key)
	}
	if h == nil {
		if r.Opinion != Bad || r.Incident != 0 || len(m.hosts) >= MaxHosts {
			return Verdict{}
		}
		h = &host{since: now, votes: map[string]vote{}}
		m.hosts[r.Key] = h
	}
	v, event := h.report(now, r)
	if h.keep <= now {
		delete(m.hosts, r.Key)
	}
	if event != 0 {
		m.publish(Event{event, r.Key})
	}
	return v
}

func (l *link) Look(ctx context.Context, version int64) (v View, err error) {
	err = l.exchange(ctx, func(now time.Duration) {
		if v.Version = l.version; version == v.Version {
			v.Unchanged = true
			l.counts.Polls++
			return
		}
		l.counts.Looks++
		for key, h := range l.hosts {
			if h.keep > now {
				v.Keys = append(v.Keys, key)
			}
		}
		slices.Sort(v.Keys)
		for _, set := range l.modes {
			if set.For = set.until - now; set.For > 0 {
				v.Modes = append(v.Modes, set.Mode)
			}
		}
	})
	return v, err
}

func (l *link) SetMode(ctx context.Context, m Mode) error {
	return l.exchange(ctx, func(now time.Duration) {
		if m.Mode == breaker.Enforce {
			delete(l.modes, m.Key)
		} else {
			l.modes[m.Key] = modeUntil{m, now + m.For}
		}
		l.publish(Event{Kind: ModesSet})
	})
}

// publish hands an event to all that listen, each in its own time.
func (m *Memory) publish(e Event) {
	m.version++
	m.counts.Events++
	for l, got := range m.listeners {
		copies := 1
		if l.Copies != nil {
			copies = l.Copies()
		}
		if l.Fault != nil && l.Fault() != nil {
			copies = 0
		}
		for range copies {
			var delay time.Duration
			if l.Delay != nil {
				delay = l.Delay()
			}
			time.AfterFunc(delay, func() { got(e) })
		}
	}
}

func (l *link) Listen(ctx context.Context, ready func(), got func(Event)) error {
	if l.Deaf {
		return errors.New("fleet: this link carries no events")
	}
	if err := l.exchange(ctx, func(time.Duration) { l.listeners[l] = got }); err != nil {
		return err
	}
	ready()
	<-ctx.Done()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.listeners, l)
	return ctx.Err()
}
