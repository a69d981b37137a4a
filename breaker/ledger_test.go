package breaker

import (
	"math/rand/v2"
	"strconv"
	"testing"
)

// recordOpen is the record of a circuit that is open until then.
func recordOpen(until int64) record { return record(until << recordLowBits) }

func recordForced() record { return record(ForceOpen) }

// checkLedger checks that index and entries say the same.
func checkLedger(t *testing.T, l *ledger) {
	t.Helper()
	if len(l.index) != len(l.entries) || len(l.entries) > maxRecords {
		t.Fatalf("%d entries, %d in the index", len(l.entries), len(l.index))
	}
	for i, e := range l.entries {
		if at, ok := l.index[e.hash]; !ok || int(at) != i {
			t.Fatalf("the entry at %d is not in the index", i)
		}
	}
}

// Up to its bound a ledger holds what a map would hold.
func TestLedgerIsAMap(t *testing.T) {
	var l ledger
	want := map[string]record{}
	random := rand.New(rand.NewPCG(1, 1))
	for range 20_000 {
		key := strconv.Itoa(random.IntN(500))
		if random.IntN(2) == 0 {
			want[key] = recordOpen(random.Int64N(1 << 40))
			l.put(key, want[key], 0)
			continue
		}
		got, known := l.take(key)
		if wanted, wantKnown := want[key]; got != wanted || known != wantKnown {
			t.Fatalf("take(%s) = %d, %t; want %d, %t", key, got, known, wanted, wantKnown)
		}
		delete(want, key)
	}
	checkLedger(t, &l)
	if l.forgotten > 0 {
		t.Errorf("%d forgotten", l.forgotten)
	}
}

func fullLedger(r record) *ledger {
	var l ledger
	for i := range maxRecords {
		l.put("old"+strconv.Itoa(i), r, 0)
	}
	return &l
}

// A full ledger forgets the oldest record, and counts it.
func TestFullLedgerForgetsTheOldest(t *testing.T) {
	l := fullLedger(recordOpen(100))
	for i := range 1000 {
		l.put("new"+strconv.Itoa(i), recordOpen(100), 0)
	}
	checkLedger(t, l)
	if l.forgotten != 1000 {
		t.Errorf("%d forgotten, want 1000", l.forgotten)
	}
	for i := range 2000 {
		if _, known := l.take("old" + strconv.Itoa(i)); known != (i >= 1000) {
			t.Fatalf("record %d is known: %t", i, known)
		}
	}
}

// What is expired goes first, and is no loss.
func TestFullLedgerForgetsTheExpired(t *testing.T) {
	l := fullLedger(recordOpen(100))
	expired := "old" + strconv.Itoa(mostLooks-1)
	l.put(expired, recordOpen(1), 0)
	l.put("new", recordOpen(100), recordOpen(1).until())
	checkLedger(t, l)
	if _, known := l.take(expired); known || l.forgotten != 0 {
		t.Errorf("the expired one is known: %t, %d forgotten", known, l.forgotten)
	}
}

// A forced circuit is forgotten only where there are nothing but forced ones.
func TestFullLedgerKeepsTheForced(t *testing.T) {
	l := fullLedger(recordOpen(100))
	forced := func(i int) bool { return i%mostLooks > 0 }
	for i := range maxRecords {
		if forced(i) {
			l.put("old"+strconv.Itoa(i), recordForced(), 0)
		}
	}
	const others = maxRecords / mostLooks
	for i := range others {
		l.put("new"+strconv.Itoa(i), recordForced(), 0)
	}
	for i := range maxRecords {
		if r := l.entries[i]; !r.forced() {
			t.Fatalf("%d, which is not forced, was kept", i)
		}
	}
	if l.forgotten != others {
		t.Errorf("%d forgotten, want %d", l.forgotten, others)
	}
	l.put("one more", recordForced(), 0)
	checkLedger(t, l)
	if _, known := l.take("one more"); !known || l.forgotten != others+1 {
		t.Errorf("the new one is known: %t, %d forgotten", known, l.forgotten)
	}
}
