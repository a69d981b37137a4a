package breaker

import (
	"maps"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

func memberOf(key string) *member {
	m := new(member)
	m.key = key
	return m
}

// checkSlots checks what table.go promises of the slots.
func checkSlots(t *testing.T, tab *table) {
	t.Helper()
	s := tab.slots.Load()
	if s == nil {
		return
	}
	var taken, count int
	for i := range s.slots {
		switch s.slots[i].member.Load() {
		case nil:
			continue
		case removed:
		default:
			count++
		}
		taken++
	}
	if taken != int(s.taken.Load()) || count != tab.count || 4*taken > 3*len(s.slots) {
		t.Fatalf("%d members in %d of %d slots; the table says %d in %d", count, taken, len(s.slots), tab.count, s.taken.Load())
	}
}

// A table holds what a map would hold, whatever comes and goes in whatever order.
func TestTableIsAMap(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		var tab table
		want := map[string]*member{}
		keys := 1 + random.IntN(300)
		for step := range 3000 {
			key := strconv.Itoa(random.IntN(keys))
			if key == "7" {
				key = "" // removed has this key too
			}
			if got := tab.get(uint32(hashOf(key)), key); got != want[key] {
				t.Fatalf("seed %d, step %d: get(%q) = %p, want %p", seed, step, key, got, want[key])
			}
			switch m := want[key]; {
			case m == nil:
				want[key] = memberOf(key)
				tab.put(uint32(hashOf(want[key].key)), want[key])
			case random.IntN(2) == 0:
				tab.remove(uint32(hashOf(m.key)), m)
				delete(want, key)
			}
			if step%50 == 0 {
				checkSlots(t, &tab)
			}
		}
		got := map[string]*member{}
		for m := range tab.all() {
			got[m.key] = m
		}
		if !maps.Equal(got, want) {
			t.Errorf("seed %d: all yields %d members, want %d", seed, len(got), len(want))
		}
	}
}

// Keys of the same hash are told apart, also across the end of the slots and
// when one of them is gone.
func TestTableTellsEqualHashesApart(t *testing.T) {
	s := &slots{slots: make([]slot, 8)}
	const hash = 1<<32 - 2 // the last slot but one
	var members []*member
	for i := range 5 {
		m := memberOf(strconv.Itoa(i))
		members = append(members, m)
		s.put(hash, m)
	}
	s.remove(hash, members[1])
	for i, want := range members {
		if i == 1 {
			want = nil
		}
		if got := s.find(hash, strconv.Itoa(i)); got != want {
			t.Errorf("find(%d) = %p, want %p", i, got, want)
		}
	}
	if got := s.find(hash, ""); got != nil {
		t.Errorf("found %q, which is not there", got.key)
	}
}

// However many members come and go, a table of n of them does not grow, and
// moves no more than a few members for each one that comes.
func TestTableStaysSmallInAFlood(t *testing.T) {
	for _, n := range []int{1, 3, 100, 127, 128, 129, 1000} {
		var tab table
		var list []*member
		var moves int
		var last *slots
		const flood = 20_000
		for i := range flood {
			m := memberOf(strconv.Itoa(i))
			list = append(list, m)
			if len(list) > n {
				tab.remove(uint32(hashOf(list[0].key)), list[0])
				list = list[1:]
			}
			tab.put(uint32(hashOf(m.key)), m)
			if s := tab.slots.Load(); s != last {
				moves, last = moves+1, s
			}
		}
		checkSlots(t, &tab)
		if size := len(last.slots); size > max(minSlots, 4*n) {
			t.Errorf("%d slots for %d members", size, n)
		}
		if moved := moves * n; moved > 5*flood {
			t.Errorf("%d members: moved %d times", n, moves)
		}
	}
}

// Readers always find what is there all the time, never what is there never, and
// never a member under another key, while others come and go.
func TestTableIsReadWhileItChanges(t *testing.T) {
	var tab table
	for i := range 50 {
		putIn(&tab, "stays"+strconv.Itoa(i))
	}
	var done atomic.Bool
	var readers sync.WaitGroup
	for reader := range 3 {
		readers.Go(func() {
			for i := reader; !done.Load(); i++ {
				stays := "stays" + strconv.Itoa(i%50)
				if m := tab.get(uint32(hashOf(stays)), stays); m == nil || m.key != stays {
					t.Errorf("%s is not there", stays)
					return
				}
				comes := "comes" + strconv.Itoa(i%500)
				if m := tab.get(uint32(hashOf(comes)), comes); m != nil && m.key != comes {
					t.Errorf("get(%s) returns %s", comes, m.key)
					return
				}
				if m := tab.get(uint32(hashOf("never")), "never"); m != nil {
					t.Errorf("get(never) returns %s", m.key)
					return
				}
				if i%50 > 0 {
					continue
				}
				seen := map[string]bool{}
				for m := range tab.all() {
					if seen[m.key] {
						t.Errorf("%s is yielded twice", m.key)
						return
					}
					seen[m.key] = true
				}
				for i := range 50 {
					if !seen["stays"+strconv.Itoa(i)] {
						t.Errorf("stays%d is not yielded", i)
						return
					}
				}
			}
		})
	}
	random := rand.New(rand.NewPCG(1, 1))
	for range 20_000 {
		key := "comes" + strconv.Itoa(random.IntN(500))
		if m := tab.get(uint32(hashOf(key)), key); m != nil {
			tab.remove(uint32(hashOf(m.key)), m)
		} else {
			putIn(&tab, key)
		}
	}
	done.Store(true)
	readers.Wait()
	checkSlots(t, &tab)
}

// A key that goes and comes back during an iteration is not yielded again.
func TestTableYieldsNoKeyTwice(t *testing.T) {
	var tab table
	for i := range 20 {
		putIn(&tab, strconv.Itoa(i))
	}
	slots := tab.slots.Load()
	times := map[string]int{}
	for m := range tab.all() {
		times[m.key]++
		if len(times) <= 4 { // for more there is no place in these slots
			tab.remove(uint32(hashOf(m.key)), m)
			putIn(&tab, m.key)
		}
	}
	if slots != tab.slots.Load() {
		t.Fatal("the members have moved")
	}
	for i := range 20 {
		if n := times[strconv.Itoa(i)]; n != 1 {
			t.Errorf("%d is yielded %d times", i, n)
		}
	}
}

func putIn(tab *table, key string) { tab.put(uint32(hashOf(key)), memberOf(key)) }
