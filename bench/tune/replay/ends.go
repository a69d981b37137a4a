package replay

// end is that of a call in flight.
type end struct {
	at   int64
	seq  uint64 // of ends at one moment, the one of the call that began first comes first
	slot uint32
	side int32 // the guard for which it is, or all
}

const all = -1

func (a end) before(b end) bool { return a.at < b.at || a.at == b.at && a.seq < b.seq }

// ends is a heap, the next end first. It is that of container/heap without its
// interfaces, which cost an allocation for each call.
type ends []end

func (h *ends) push(e end) {
	q := append(*h, e)
	i := len(q) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !e.before(q[parent]) {
			break
		}
		q[i] = q[parent]
		i = parent
	}
	q[i] = e
	*h = q
}

func (h *ends) pop() end {
	q := *h
	first, e := q[0], q[len(q)-1]
	q = q[:len(q)-1]
	*h = q
	for i := 0; len(q) > 0; {
		child := 2*i + 1
		if child+1 < len(q) && q[child+1].before(q[child]) {
			child++
		}
		if child >= len(q) || !q[child].before(e) {
			q[i] = e
			break
		}
		q[i] = q[child]
		i = child
	}
	return first
}
