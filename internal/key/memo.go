package key

import (
	"hash/maphash"
	"math/rand/v2"
	"strings"
	"sync/atomic"
)

// A memo remembers keys that were worked out from a number and a string, so that doing it
// again makes no garbage. It is a cache with no lock and two places for each hash:
// forgetting costs the time to work the key out again, and nothing else. It allocates
// nothing before the first key and grows with them, to 128 KiB at most. The zero memo is
// ready to use; it is safe for concurrent use.
type memo struct {
	places atomic.Pointer[places]
}

type places struct {
	seed  maphash.Seed
	slots []atomic.Pointer[memoEntry]
}

const (
	fewestPlaces = 1 << 6
	mostPlaces   = 1 << 14 // more than a Set holds keys by default
)

type memoEntry struct {
	n      int
	s, key string
}

// of returns the two places where the key of n and s may be.
func (p *places) of(n int, s string) (a, b *atomic.Pointer[memoEntry]) {
	i := (maphash.String(p.seed, s) + uint64(n)*0x9e3779b97f4a7c15) & uint64(len(p.slots)-1)
	return &p.slots[i], &p.slots[i^1]
}

func (m *memo) get(n int, s string) (key string, ok bool) {
	p := m.places.Load()
	if p == nil {
		return "", false
	}
	a, b := p.of(n, s)
	if e := a.Load(); e != nil && e.n == n && e.s == s {
		return e.key, true
	}
	if e := b.Load(); e != nil && e.n == n && e.s == s {
		return e.key, true
	}
	return "", false
}

// put remembers key. Where both places are taken, and there cannot be more of them, it
// seldom displaces what is there: strings that come often get in, and a flood of others
// does not drive them out.
func (m *memo) put(n int, s, key string) {
	p := m.places.Load()
	if p == nil {
		p = m.grow(nil, fewestPlaces)
	}
	a, b := p.of(n, s)
	if a.Load() != nil && b.Load() != nil && len(p.slots) < mostPlaces {
		p = m.grow(p, 4*len(p.slots))
		a, b = p.of(n, s)
	}
	switch r := rand.Uint32N(32); {
	case a.Load() == nil || r == 0:
		a.Store(newMemoEntry(n, s, key))
	case b.Load() == nil || r == 1:
		b.Store(newMemoEntry(n, s, key))
	}
}

// grow puts what old remembers into n places. What another goroutine remembers meanwhile
// may be lost.
func (m *memo) grow(old *places, n int) *places {
	p := &places{seed: maphash.MakeSeed(), slots: make([]atomic.Pointer[memoEntry], n)}
	if old != nil {
		for i := range old.slots {
			if e := old.slots[i].Load(); e != nil {
				a, b := p.of(e.n, e.s)
				if a.Load() != nil {
					a = b
				}
				a.Store(e)
			}
		}
	}
	if !m.places.CompareAndSwap(old, p) {
		return m.places.Load()
	}
	return p
}

// newMemoEntry keeps no reference to s, which may be a piece of a long URL.
func newMemoEntry(n int, s, key string) *memoEntry {
	if strings.HasPrefix(key, s) {
		return &memoEntry{n, key[:len(s)], key}
	}
	return &memoEntry{n, strings.Clone(s), key}
}
