package breaker

import "container/heap"

// lru orders members by their last use. A use does not touch it: it goes by what
// each member's use was when it last looked, which is a lower bound, and looks
// again at those that come out on top. So the cost of a use is paid at most once,
// by whoever next makes room.
type lru struct{ members lruHeap }

func (l *lru) add(m *member) {
	m.seen = m.used.Load()
	heap.Push(&l.members, m)
}

func (l *lru) remove(m *member) { heap.Remove(&l.members, m.place) }

// oldest returns the member whose last use is longest ago, or nil.
func (l *lru) oldest() *member {
	for len(l.members) > 0 {
		m := l.members[0]
		used := m.used.Load()
		if used == m.seen {
			return m
		}
		m.seen = used
		heap.Fix(&l.members, 0)
	}
	return nil
}

// lruHeap has the member with the oldest seen use on top.
type lruHeap []*member

func (h lruHeap) Len() int           { return len(h) }
func (h lruHeap) Less(i, j int) bool { return h[i].seen < h[j].seen }

func (h lruHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

func (h *lruHeap) Push(x any) {
	m := x.(*member)
	m.place = len(*h)
	*h = append(*h, m)
}

func (h *lruHeap) Pop() any {
	last := len(*h) - 1
	m := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return m
}
