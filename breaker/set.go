package breaker

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options configure a [Set]. The zero Options are the default.
type Options struct {
	// Config is for every key.
	Config Config
	// Override, if not nil, edits a copy of Config for one key. It is called for
	// each key that comes into the set, at times more than once, and again by
	// Update, under no lock, concurrently. For a new key, an edit that makes the
	// Config invalid is dropped: that key gets Config.
	Override func(key string, c *Config)
	// MaxKeys bounds how many breakers there are. Default 10,000; negative: no
	// bound. A key takes 0.3 kB while its peer is well, 0.7 kB once it has failed,
	// 1 kB while it is open, and 1.3 kB more while calls wait.
	//
	// At the bound, a new key takes the place of an idle one: one that was not asked
	// for since the set looked at it last, and has no calls in flight. The set goes
	// round its breakers and looks at 16 for a new key at most; if all of those are in
	// use the first goes, and Stats.EvictedActive counts it. Of a circuit that is open,
	// or whose mode was set, a record of a few bytes is kept, so that the key comes
	// back open or forced as it was. There is room for 65,536 such records; past that
	// those go first whose time to be probed has come, then the oldest, and Stats
	// counts them.
	MaxKeys int
	// Hooks observe every breaker of the set.
	Hooks []Hooks
}

const defaultMaxKeys = 10_000

// Stats are a Set's own numbers. Keys and Records are of now, the others only
// ever grow.
type Stats struct {
	Keys          int    `json:"keys"`           // breakers in the set
	Records       int    `json:"records"`        // records of circuits whose breakers had to go
	Evicted       uint64 `json:"evicted"`        // closed breakers given up to make room
	EvictedActive uint64 `json:"evicted_active"` // breakers given up although they were in use: MaxKeys is too small
	Demoted       uint64 `json:"demoted"`        // open or forced breakers reduced to a record to make room
	Forgotten     uint64 `json:"forgotten"`      // records lost while their circuits were still open or forced
}

// A Set keeps a breaker for each key, made when the key is first asked for. Ask for
// it by Get for each call: that is what counts as use.
//
// The zero Set is ready to use, with the default Options. A Set is safe for
// concurrent use and must not be copied.
type Set struct {
	members tables
	shared  shared

	mu      sync.Mutex // guards all below, and changes of members
	options *options
	mode    *setMode // set for all circuits, or nil
	ring    ring     // the members again, in the order in which they are looked at
	ledger  ledger   // what is remembered of those that had to go

	evicted, evictedActive, demoted uint64
}

// setMode is what SetMode was told.
type setMode struct {
	Mode
	reason string
}

// options are Options made ready. They are immutable.
type options struct {
	Options
	rules *rules
}

func newOptions(o Options) (*options, error) {
	r, err := newRules(o.Config)
	if err != nil {
		return nil, err
	}
	o.MaxKeys = cmp.Or(o.MaxKeys, defaultMaxKeys)
	o.Hooks = slices.Clone(o.Hooks)
	return &options{o, r}, nil
}

// rulesFor returns the rules for one key.
func (o *options) rulesFor(key string) (*rules, error) {
	if o.Override == nil {
		return o.rules, nil
	}
	cfg := o.Config
	o.Override(key, &cfg)
	r, err := newRules(cfg)
	if err != nil {
		return nil, fmt.Errorf("breaker: Options.Override for %q: %w", key, err)
	}
	if r.equal(o.rules) {
		return o.rules, nil
	}
	return r, nil
}

// equal compares rules. Those with a Trip function equal none, as functions cannot be compared.
func (r *rules) equal(s *rules) bool {
	return reflect.DeepEqual(r.Config, s.Config)
}

// NewSet returns an empty set. It panics if Options.Config is invalid, with the
// text of [Config.Validate].
func NewSet(o Options) *Set {
	s := new(Set)
	if err := s.init(o); err != nil {
		panic(err.Error())
	}
	return s
}

func (s *Set) init(o Options) error {
	made, err := newOptions(o)
	if err != nil {
		return err
	}
	s.options = made
	s.shared.start = time.Now()
	s.shared.observe(func([]*observer) []*observer { return observersOf(made.Hooks) })
	return nil
}

// lock locks s, and makes a zero Set ready.
func (s *Set) lock() {
	s.mu.Lock()
	if s.options == nil {
		_ = s.init(Options{}) // the default is valid
	}
}

// member is a breaker in a set.
type member struct{ Breaker }

// place is what a Breaker knows of its Set.
type place struct {
	index uint32 // in Set.ring
	marks atomic.Uint32
}

const (
	markUsed = 1 << iota // asked for since it was last looked at
	markGone             // from the Set, for good
)

// use notes that the breaker was asked for.
func (p *place) use() (marks uint32) {
	marks = p.marks.Load()
	if marks&markUsed == 0 {
		p.marks.Or(markUsed)
	}
	return marks
}

// Get returns the breaker of this key, and makes it if need be. It takes no lock
// if the breaker is there.
func (s *Set) Get(key string) *Breaker {
	m := s.members.get(key)
	if m == nil {
		return s.add(key)
	}
	m.set.use()
	return &m.Breaker
}

// Touch counts as use of a breaker that Get has returned. It reports whether b still is
// the Set's breaker of its key: if not, the caller has to Get it again. It takes no
// lock.
func (s *Set) Touch(b *Breaker) bool { return b.set.use()&markGone == 0 }

// Lookup returns the breaker of this key if there is one. It does not count as
// use.
func (s *Set) Lookup(key string) (*Breaker, bool) {
	if m := s.members.get(key); m != nil {
		return &m.Breaker, true
	}
	return nil, false
}

// All yields the breakers in no particular order. A breaker that comes or goes
// meanwhile may be yielded or not; no key is yielded twice.
func (s *Set) All() iter.Seq2[string, *Breaker] {
	return func(yield func(string, *Breaker) bool) {
		for m := range s.members.all() {
			if !yield(m.key, &m.Breaker) {
				return
			}
		}
	}
}

// Len returns how many breakers there are.
func (s *Set) Len() int {
	s.lock()
	defer s.mu.Unlock()
	return s.members.count
}

// Stats returns the set's own numbers.
func (s *Set) Stats() Stats {
	s.lock()
	defer s.mu.Unlock()
	return Stats{
		Keys: s.members.count, Records: len(s.ledger.entries),
		Evicted: s.evicted, EvictedActive: s.evictedActive, Demoted: s.demoted, Forgotten: s.ledger.forgotten,
	}
}

// add makes the breaker of a key that has none.
func (s *Set) add(key string) *Breaker {
	key = strings.Clone(key) // it may be a part of a longer string
	for {
		s.lock()
		o := s.options
		s.mu.Unlock()
		r, err := o.rulesFor(key)
		if err != nil {
			r = o.rules
		}
		b, gone, isNew, ok := s.insert(key, o, r)
		s.shared.tellEvicted(gone)
		if isNew {
			s.shared.tellAdded(key)
		}
		if ok {
			return b
		}
	}
}

// insert fails if o are not the options any more.
func (s *Set) insert(key string, o *options, r *rules) (b *Breaker, gone []string, isNew, ok bool) {
	s.lock()
	defer s.mu.Unlock()
	if m := s.members.get(key); m != nil {
		return &m.Breaker, nil, false, true
	}
	if s.options != o {
		return nil, nil, false, false
	}
	gone = s.makeRoom(1)
	m := new(member)
	m.init(&s.shared, key, r)
	if s.mode != nil {
		m.setMode(s.mode.Mode, s.mode.reason)
		m.derive()
	}
	if rec, known := s.ledger.take(key); known {
		m.restore(rec)
	}
	s.ring.add(m)
	s.members.put(m)
	return &m.Breaker, gone, true, true
}

// Remove forgets the breaker of this key, and that its circuit was open. Calls
// in flight keep the breaker that they have.
func (s *Set) Remove(key string) {
	s.lock()
	s.ledger.take(key)
	m := s.members.get(key)
	if m != nil {
		s.drop(m)
	}
	s.mu.Unlock()
	if m != nil {
		s.shared.tellEvicted([]string{key})
	}
}

// SetMode sets the mode of every circuit, those to come included: the kill switch. It
// is as if [Breaker.SetMode] were called for each, and holds for new keys until it is
// called again; Enforce gives new keys the mode of their Config. Hooks.Operated is
// called once, with the key "". It panics if there is no such mode.
func (s *Set) SetMode(m Mode, reason string) {
	m.check("Set.SetMode")
	s.lock()
	s.mode = &setMode{m, cmp.Or(reason, "mode set to "+m.String())}
	if m == Enforce {
		s.mode = nil
	}
	s.ledger.setModes(m, s.options.rules.Mode)
	var all []*Breaker
	for _, b := range s.All() {
		all = append(all, b)
	}
	for _, b := range all {
		b.mu.Lock()
		b.changeMode(b.shared.now(), m, reason)
		b.derive() // not unlock, which may call hooks: the set's lock is held
		b.mu.Unlock()
	}
	s.mu.Unlock()
	for _, b := range all {
		b.lock()
		b.unlock() // which tells of the transitions
	}
	s.shared.tellOperation(Operation{At: time.Now(), Act: ActMode, Mode: m, Reason: reason})
}

// Update sets new options, for the breakers that there are as well: their state,
// deadlines, counts and modes stay. If anything is invalid for any key the error
// names each, and nothing is changed. A key that comes into the set meanwhile
// counts as new.
func (s *Set) Update(o Options) error {
	made, err := newOptions(o)
	if err != nil {
		return err
	}
	byKey := map[string]*rules{}
	var bad []error
	var keys []string
	for key := range s.All() { // before Override is called, which may add keys
		keys = append(keys, key)
	}
	for _, key := range keys {
		r, err := made.rulesFor(key)
		bad = append(bad, err)
		byKey[key] = r
	}
	if err := errors.Join(bad...); err != nil {
		return err
	}
	for _, b := range s.adopt(made, byKey) {
		r, err := made.rulesFor(b.key)
		if err != nil {
			r = made.rules
		}
		s.updateOne(b, made, r)
	}
	return nil
}

// adopt makes o the options. It returns the breakers that byKey has no rules for.
func (s *Set) adopt(o *options, byKey map[string]*rules) (late []*Breaker) {
	s.lock()
	s.options = o
	s.shared.observe(func(old []*observer) []*observer {
		watching := slices.DeleteFunc(old, func(o *observer) bool { return o.fixed })
		return append(observersOf(o.Hooks), watching...)
	})
	for key, b := range s.All() {
		r := byKey[key]
		if r == nil {
			late = append(late, b)
		}
		b.adopt(r)
	}
	gone := s.makeRoom(0)
	s.mu.Unlock()
	s.shared.tellEvicted(gone)
	return late
}

// updateOne does nothing if o are not the options any more: then b has later ones.
func (s *Set) updateOne(b *Breaker, o *options, r *rules) {
	s.lock()
	defer s.mu.Unlock()
	if s.options == o {
		b.adopt(r)
	}
}

// adopt sets rules, unless r is nil, and takes note of new observers.
func (b *Breaker) adopt(r *rules) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r != nil {
		b.update(r)
	}
	b.derive() // not unlock, which may call hooks: the set's lock is held
}

// Watch adds an observer of every breaker in the set. Once stop has returned it
// is not called again: stop waits for calls of its hooks that are going on,
// except for one that it is itself called from.
func (s *Set) Watch(h Hooks) (stop func()) {
	o := newObserver(h, false)
	s.lock()
	s.shared.observe(func(list []*observer) []*observer { return append(list, o) })
	s.republish(h)
	s.mu.Unlock()
	return func() {
		s.lock()
		s.shared.observe(func(list []*observer) []*observer {
			return slices.DeleteFunc(list, func(other *observer) bool { return other == o })
		})
		s.republish(h)
		s.mu.Unlock()
		o.stop()
	}
}

// republish tells every breaker whether calls have to be timed.
func (s *Set) republish(h Hooks) {
	if h.Done == nil {
		return
	}
	for _, b := range s.All() {
		b.adopt(nil)
	}
}
