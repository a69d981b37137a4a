package httpbreaker

import (
	"hash/maphash"
	"math/rand/v2"
	"strings"
	"sync/atomic"
)

// A memo remembers keys that were worked out from a number and a string, so
// that doing it again makes no garbage. It is a cache with no lock and a fixed
// number of places, two for each hash: forgetting costs the time to work the key
// out again, and nothing else. It is safe for concurrent use.
type memo struct {
	seed  maphash.Seed
	slots [1 << 14]atomic.Pointer[memoEntry] // more than a Set holds keys by default
}

type memoEntry struct {
	n      int
	s, key string
}

func newMemo() *memo { return &memo{seed: maphash.MakeSeed()} }

// places returns the two places where the key of n and s may be.
func (m *memo) places(n int, s string) (a, b *atomic.Pointer[memoEntry]) {
	i := (maphash.String(m.seed, s) + uint64(n)*0x9e3779b97f4a7c15) % uint64(len(m.slots))
	return &m.slots[i], &m.slots[i^1]
}

func (m *memo) get(n int, s string) (key string, ok bool) {
	a, b := m.places(n, s)
	if e := a.Load(); e != nil && e.n == n && e.s == s {
		return e.key, true
	}
	if e := b.Load(); e != nil && e.n == n && e.s == s {
		return e.key, true
	}
	return "", false
}

// put remembers key. Where both places are taken it seldom displaces what is
// there: strings that come often get in, and a flood of others does not drive
// them out.
func (m *memo) put(n int, s, key string) {
	a, b := m.places(n, s)
	switch r := rand.Uint32N(32); {
	case a.Load() == nil || r == 0:
		a.Store(newMemoEntry(n, s, key))
	case b.Load() == nil || r == 1:
		b.Store(newMemoEntry(n, s, key))
	}
}

// newMemoEntry keeps no reference to s, which may be a piece of a long URL.
func newMemoEntry(n int, s, key string) *memoEntry {
	if strings.HasPrefix(key, s) {
		return &memoEntry{n, key[:len(s)], key}
	}
	return &memoEntry{n, strings.Clone(s), key}
}
