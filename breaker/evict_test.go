package breaker

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Which breakers a full set gives up, and what it remembers of them.

// checkRing checks that the ring and the table hold the same members, each at its
// place.
func checkRing(t *testing.T, s *Set) {
	t.Helper()
	places := len(s.ring.members)
	if s.ring.free > 0 {
		places--
	}
	if places != s.members.count {
		t.Fatalf("%d members in the ring, %d in the table", places, s.members.count)
	}
	for i, m := range s.ring.members {
		if m == nil && i == s.ring.free-1 {
			continue
		}
		if int(m.set.index) != i || s.members.get(m.key) != m {
			t.Fatalf("%q at %d says that it is at %d; in the table: %t", m.key, i, m.set.index, s.members.get(m.key) == m)
		}
	}
}

// The ring and the table agree whatever comes and goes.
func TestRingHoldsTheMembers(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 7))
	set := NewSet(Options{MaxKeys: 50})
	for step := range 20_000 {
		key := strconv.Itoa(random.IntN(150))
		switch random.IntN(20) {
		case 0:
			set.Remove(key)
		case 1:
			if err := set.Update(Options{MaxKeys: 1 + random.IntN(60)}); err != nil {
				t.Fatal(err)
			}
		default:
			set.Get(key)
		}
		if step%100 == 0 {
			checkRing(t, set)
		}
	}
	checkRing(t, set)
}

// flood asks for n keys that nobody has asked for before, once each.
func flood(s *Set, n int) {
	for range n {
		s.Get("new" + strconv.FormatUint(floods.Add(1), 10))
	}
}

var floods atomic.Uint64

// floodedSet is full of keys that were used once, and has been for a while.
func floodedSet(o Options) *Set {
	s := NewSet(o)
	flood(s, 3*s.options.MaxKeys)
	return s
}

// However fast new keys come, a key that is used between any few of them stays, and
// nothing in use has to go: wherever in the set the keys in use lie.
func TestKeysInUseStayInAFlood(t *testing.T) {
	const size = 10 * mostLooks
	for name, apart := range map[string]int{"side by side": 0, "scattered": 2} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(8) {
				random := rand.New(rand.NewPCG(seed, 6))
				set := floodedSet(Options{MaxKeys: size})
				hot := make([]string, 1+random.IntN(size/3))
				use := func(n int) {
					for _, key := range hot[:n] {
						if _, ok := set.Lookup(key); !ok {
							t.Fatalf("seed %d: %s, one of %d keys in use, had to go", seed, key, len(hot))
						}
						set.Get(key)
					}
				}
				for i := range hot {
					hot[i] = "hot" + strconv.Itoa(i)
					set.Get(hot[i])
					use(i + 1)
					flood(set, apart)
				}
				before := set.Stats()
				const rounds = 300
				for range rounds {
					use(len(hot))
					flood(set, 5)
				}
				if got := set.Stats(); got.Keys != size || got.EvictedActive != before.EvictedActive || got.Evicted != before.Evicted+5*rounds {
					t.Errorf("seed %d: %+v became %+v", seed, before, got)
				}
			}
		})
	}
}

// Also of a set that has become full just now, it is the idle keys that go first: a key
// that was used once, when it came, is not in use.
func TestKeysInUseStayWhenASetBecomesFull(t *testing.T) {
	const size = 1000
	for _, use := range []string{"asked for", "in flight", "answered"} {
		set := NewSet(Options{MaxKeys: size})
		permits := map[string]*Permit{}
		for i := range size {
			if i%10 == 0 {
				key := "hot" + strconv.Itoa(i)
				p, err := set.Get(key).Allow(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				permits[key] = &p
				switch use {
				case "asked for":
					p.Done(Success)
				case "answered":
					p.Answered()
				}
			} else {
				flood(set, 1)
			}
		}
		if use == "asked for" {
			for key := range permits {
				set.Get(key)
			}
		}
		flood(set, size/4)
		gone := 0
		for key := range permits {
			if _, ok := set.Lookup(key); !ok {
				gone++
			}
		}
		if got := set.Stats(); gone > 0 || got.EvictedActive > 0 {
			t.Errorf("%s: %d of %d had to go, for 250 new keys beside 900 idle ones; %+v", use, gone, len(permits), got)
		}
	}
}

// What was not used since the set went round goes first.
func TestIdleKeysGoFirst(t *testing.T) {
	const size = 100
	set := NewSet(Options{MaxKeys: size})
	used := func(i int) bool { return i%3 == 0 }
	kept := 0
	for i := range size {
		set.Get("old" + strconv.Itoa(i))
		set.members.get("old" + strconv.Itoa(i)).set.marks.And(^uint32(markUsed)) // as if looked at
		if used(i) {
			set.Get("old" + strconv.Itoa(i))
			kept++
		}
	}
	flood(set, size-kept)
	for i := range size {
		if _, ok := set.Lookup("old" + strconv.Itoa(i)); !ok && used(i) {
			t.Errorf("old%d, which was used, had to go before those that were not", i)
		}
	}
	if got := set.Stats(); got.Evicted != uint64(size-kept) || got.EvictedActive != 0 {
		t.Errorf("%+v, want %d evicted", got, size-kept)
	}
}

// One new key looks at a few members, whatever the size of the set and however many of
// them are in use.
func TestOneNewKeyLooksAtFewMembers(t *testing.T) {
	for _, size := range []int{1, 5, mostLooks, mostLooks + 1, 1000, 20_000} {
		set := NewSet(Options{MaxKeys: size})
		for i := range size {
			set.Get(strconv.Itoa(i))
			set.Get(strconv.Itoa(i))
		}
		inUse := func() (n int) {
			for _, m := range set.ring.members {
				if m.set.marks.Load()&markUsed != 0 {
					n++
				}
			}
			return n
		}
		before := inUse()
		if before != size {
			t.Fatalf("%d of %d in use", before, size)
		}
		set.Get("new")
		if looked := before - inUse(); looked > mostLooks || looked < 1 {
			t.Errorf("%d members: looked at %d for one new key, want at most %d", size, looked, mostLooks)
		}
		if got := set.Stats(); got.Keys != size || got.EvictedActive != 1 {
			t.Errorf("%d members in use: %+v, want one of them evicted", size, got)
		}
	}
}

// A breaker whose calls are in flight, or answered and not ended, is in use, though
// nobody asks for it.
func TestBreakersWithCallsAreInUse(t *testing.T) {
	for _, answered := range []bool{false, true} {
		set := floodedSet(Options{MaxKeys: 4 * mostLooks})
		before := set.Stats()
		p, err := set.Get("busy").Allow(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if answered {
			p.Answered()
		}
		flood(set, 1000)
		if _, ok := set.Lookup("busy"); !ok {
			t.Errorf("answered %t: evicted with a call", answered)
		}
		p.Done(Success)
		flood(set, 1000)
		if _, ok := set.Lookup("busy"); ok {
			t.Errorf("answered %t: kept without a call", answered)
		}
		if got := set.Stats(); got.EvictedActive != before.EvictedActive {
			t.Errorf("answered %t: %+v became %+v", answered, before, got)
		}
	}
}

// An open or forced circuit that nobody uses makes room as any other, and a record of it
// is kept; one that is used stays. The mode that Config gives is nothing to remember.
func TestUnusedOpenCircuitsBecomeRecords(t *testing.T) {
	for _, mode := range []Mode{Enforce, Observe} {
		set := floodedSet(Options{MaxKeys: 100, Config: Config{Mode: mode}})
		before := set.Stats()
		set.Get("open").Trip(time.Hour, "test")
		set.Get("used").Trip(time.Hour, "test")
		set.Get("used")
		set.Get("forced").SetMode(ForceOpen, "test")
		for range 1000 {
			flood(set, 1)
			set.Get("used")
		}
		for key, want := range map[string]bool{"open": false, "forced": false, "used": true} {
			if _, ok := set.Lookup(key); ok != want {
				t.Errorf("%v: %s is in the set: %t", mode, key, ok)
			}
		}
		if got := set.Stats(); got.Demoted != 2 || got.Records != 2 || got.Evicted != before.Evicted+1001 || got.EvictedActive != before.EvictedActive {
			t.Errorf("%v: %+v became %+v, want 2 demoted and 1001 evicted", mode, before, got)
		}
		for key, want := range map[string]State{"open": Open, "forced": Open, "used": Open, "another": Closed} {
			if got := set.Get(key); got.State() != want {
				t.Errorf("%v: %s comes back %+v, want %v", mode, key, got.Snapshot(), want)
			}
		}
		if got := set.Get("forced").Snapshot(); got.Mode != ForceOpen || got.Reason == "" {
			t.Errorf("%v: forced comes back as %+v", mode, got)
		}
		if got := set.Get("open").Snapshot(); got.Mode != mode {
			t.Errorf("open comes back in mode %v, want %v", got.Mode, mode)
		}
	}
}

// plainRun opens on the third failure in a row, and for twice as long each time.
var plainRun = Config{
	ConsecutiveFailures: 3, ConsecutiveSpan: -1, Chance: -1, ShedRate: -1, HangAfter: -1,
	OpenFor: 10 * time.Second, MaxOpenFor: time.Minute, ProbeShare: -1, SlowStart: -1, Jitter: -1,
}

// A circuit that comes back from its record is open until the same moment, and goes on
// with its backoff; if its time has passed meanwhile, the next call is the probe.
func TestEvictedOpenCircuitComesBackAsItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := NewSet(Options{Config: plainRun, MaxKeys: 10})
		end := func(want bool, o Outcome) {
			t.Helper()
			p, err := set.Get("victim").Allow(t.Context())
			if (err == nil) != want {
				t.Fatalf("let through: %t, want %t; %+v", err == nil, want, set.Get("victim").Snapshot())
			}
			p.Done(o)
		}
		flood := func() {
			for i := range 500 { // who goes first is drawn by lot
				set.Get(fmt.Sprint(i)).Trip(time.Hour, "test")
			}
			if _, ok := set.Lookup("victim"); ok {
				t.Fatal("the victim was not evicted")
			}
		}
		for range 3 {
			end(true, Failure)
		}
		until := set.Get("victim").Snapshot().Until
		for range 3 {
			flood()
			end(false, Ignored)
			if got := set.Get("victim").Snapshot(); until.Sub(got.Until).Abs() > time.Microsecond || got.State != Open || got.Reason == "" {
				t.Errorf("comes back as %+v, want open until %v", got, until)
			}
		}
		flood()
		time.Sleep(10 * time.Second)
		p, err := set.Get("victim").Allow(t.Context())
		if err != nil || !p.Probe() {
			t.Fatalf("after its time: probe %t, %v", p.Probe(), err)
		}
		end(false, Ignored)
		p.Done(Failure)
		if got := time.Until(set.Get("victim").Snapshot().Until); got != 20*time.Second {
			t.Errorf("open for %v after a failed probe, want 20s", got)
		}
		time.Sleep(20 * time.Second)
		end(true, Success)
		flood()
		if got := set.Get("victim").State(); got != Closed {
			t.Errorf("closed before, and comes back %v", got)
		}
		if got := set.Stats(); got.Keys != 10 || got.Demoted == 0 || got.Forgotten != 0 {
			t.Errorf("%+v", got)
		}
	})
}

// One that is evicted while its probe is out was to be probed: so it comes back.
func TestEvictedWhileProbedIsProbedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := NewSet(Options{Config: plainRun, MaxKeys: 10})
		set.Get("victim").Trip(time.Second, "test")
		time.Sleep(time.Second)
		lost, err := set.Get("victim").Allow(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		lost.Done(Ignored)
		for i := range 500 {
			set.Get(fmt.Sprint(i))
		}
		if _, ok := set.Lookup("victim"); ok {
			t.Fatal("the victim was not evicted")
		}
		p, err := set.Get("victim").Allow(t.Context())
		if err != nil || !p.Probe() {
			t.Fatalf("comes back: probe %t, %v", p.Probe(), err)
		}
		if _, err := set.Get("victim").Allow(t.Context()); err == nil {
			t.Error("two probes are out")
		}
	})
}

// The protection of hosts in use does not depend on how many made-up ones fail: the
// counts and states of the live ones are the same as without them.
func TestMillionFailingHostsLeaveTheLiveOnesProtected(t *testing.T) {
	madeUp := 1_000_000
	if testing.Short() || raceDetector {
		madeUp = 100_000
	}
	const live, failures, between = 50, 5, 20 // a live host is called once in 50 × 20 made-up ones
	synctest.Test(t, func(t *testing.T) {
		set := NewSet(Options{})
		var alone [live]*Breaker // the same calls, without the attack
		type seen struct{ sent, rejected int }
		var inSet, apart [live]seen
		for i := range live {
			alone[i] = New(fmt.Sprint("live", i), Config{})
		}
		call := func(b *Breaker, o Outcome, s *seen) {
			p, err := b.Allow(t.Context())
			if err != nil {
				s.rejected++
				return
			}
			s.sent++
			p.Done(o)
		}
		down := func(i int) bool { return i%2 == 0 }
		for n := range madeUp {
			b := set.Get(fmt.Sprint("made-up", n))
			for range failures {
				if p, err := b.Allow(t.Context()); err == nil {
					p.Done(Failure)
				}
			}
			time.Sleep(100 * time.Microsecond)
			if n%2 == 0 { // half of them open
				b.Trip(5*time.Second, "test")
			}
			if n%between == 0 {
				i := n / between % live
				o := Success
				if down(i) {
					o = Failure
				}
				call(set.Get(fmt.Sprint("live", i)), o, &inSet[i])
				call(alone[i], o, &apart[i])
			}
		}
		for i := range live {
			got, want := set.Get(fmt.Sprint("live", i)), alone[i]
			switch {
			case !down(i) && (inSet[i] != apart[i] || got.State() != Closed):
				t.Errorf("live%d, healthy: %+v, want %+v; %v", i, inSet[i], apart[i], got.State())
			case down(i) && (got.State() == Closed || float64(inSet[i].sent) > 1.5*float64(apart[i].sent)+2):
				t.Errorf("live%d, down: %+v, without the attack %+v; %v and %v", i, inSet[i], apart[i], got.State(), want.State())
			}
		}
		got := set.Stats()
		if got.Keys != defaultMaxKeys || got.EvictedActive != 0 || got.Demoted < uint64(madeUp)/3 {
			t.Errorf("%+v", got)
		}
		t.Logf("%+v; a live host that is down: %+v, without the attack %+v", got, inSet[0], apart[0])
	})
}

// A key that comes in while Update is at work gets the new rules, and if they are
// invalid for it those of all keys.
func TestUpdateReachesKeysThatComeMeanwhile(t *testing.T) {
	set := NewSet(Options{})
	set.Get("before")
	made := false
	err := set.Update(Options{Config: Config{MinCalls: 7}, Override: func(key string, c *Config) {
		if key == "before" && !made {
			made = true
			set.Get("meanwhile")
			set.Get("invalid meanwhile")
		}
		if key == "invalid meanwhile" {
			c.MinCalls = 1
			c.FailureRate = 2
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	for key, b := range set.All() {
		if got := b.rules.Load().MinCalls; got != 7 {
			t.Errorf("%s: MinCalls is %d, want 7", key, got)
		}
	}
	err = set.Update(Options{Override: func(_ string, c *Config) { c.FailureRate = 2 }})
	if joined, ok := err.(interface{ Unwrap() []error }); !ok || len(joined.Unwrap()) != 3 {
		t.Errorf("%v, want an error for each key", err)
	}
}

// Nobody is told of evicted keys unless some hook wants to hear of them.
func TestEvictedIsTold(t *testing.T) {
	set := NewSet(Options{MaxKeys: 1})
	set.Get("0")
	defer set.Watch(Hooks{StateChanged: func(Transition) {}})()
	set.Get("1")
	var told []string
	defer set.Watch(Hooks{Evicted: func(key string) { told = append(told, key) }})()
	set.Get("2")
	set.Remove("2")
	if want := []string{"1", "2"}; !slices.Equal(told, want) {
		t.Errorf("told of %v, want %v", told, want)
	}
}

// New rules reach a set to which keys are added all the time.
func TestUpdateEndsDuringAFloodOfKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := NewSet(Options{MaxKeys: -1})
		var updated atomic.Bool
		var flood sync.WaitGroup
		flood.Go(func() {
			for i := 0; !updated.Load(); i++ {
				set.Get(fmt.Sprint(i))
				time.Sleep(time.Millisecond)
			}
		})
		time.Sleep(20 * time.Millisecond)
		begun := time.Now()
		err := set.Update(Options{MaxKeys: -1, Config: plainRun, Override: func(key string, c *Config) {
			time.Sleep(time.Millisecond) // as one that looks something up
			if time.Since(begun) > 5*time.Second {
				updated.Store(true) // or the test never ends
			}
		}})
		if updated.Swap(true) || err != nil {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
		flood.Wait()
		for key, b := range set.All() { // the rules are in force for all of them
			for range 3 {
				if p, err := b.Allow(t.Context()); err == nil {
					p.Done(Failure)
				}
			}
			if b.State() != Open {
				t.Fatalf("%s has the old rules", key)
			}
		}
	})
}

// The zero Set is empty, and ready to use.
func TestZeroSet(t *testing.T) {
	var set Set
	if _, ok := set.Lookup(""); ok {
		t.Error("there is a breaker in it")
	}
	for key := range set.All() {
		t.Errorf("All yields %q", key)
	}
	set.Remove("a")
	if b := set.Get("a"); set.Get("a") != b || set.Len() != 1 {
		t.Error("Get does not keep what it makes")
	}
	for range set.All() {
		break
	}
	if n := testing.AllocsPerRun(10, func() { set.Get("a") }); n != 0 {
		t.Errorf("Get allocates %v times", n)
	}
}

func TestSetWithoutABound(t *testing.T) {
	set := NewSet(Options{MaxKeys: -1})
	flood(set, 100)
	if got := set.Len(); got != 100 {
		t.Errorf("%d members, want 100", got)
	}
}

// What is kept of an evicted circuit is the mode that somebody has set, however often it
// is evicted, and not one that it had from rules of before.
func TestEvictedKeepsTheModeThatWasSet(t *testing.T) {
	set := NewSet(Options{MaxKeys: 1, Config: Config{Mode: Observe}})
	set.Get("set").SetMode(Disabled, "test")
	for range 3 {
		set.Get("other")
		if got := set.Get("set").Snapshot().Mode; got != Disabled {
			t.Errorf("mode %v, want disabled", got)
		}
	}
	set.Get("other")
	if err := set.Update(Options{MaxKeys: 1}); err != nil {
		t.Fatal(err)
	}
	if got := set.Get("other").Snapshot().Mode; got != Observe {
		t.Errorf("mode %v after Update, want observe as before", got)
	}
	set.Get("another")
	if got := set.Get("other").Snapshot().Mode; got != Enforce {
		t.Errorf("mode %v, want enforce as the rules say", got)
	}
}

// The error of an evicted circuit says until when it is open, if there is such a time.
func TestEvictedOpenCircuitSaysUntilWhen(t *testing.T) {
	for d, ends := range map[time.Duration]bool{time.Hour: true, math.MaxInt64: false} {
		set := NewSet(Options{MaxKeys: 1})
		set.Get("open").Trip(d, "test")
		set.Get("other")
		_, err := set.Get("open").Allow(t.Context())
		var e *OpenError
		if !errors.As(err, &e) || e.Until.IsZero() == ends {
			t.Errorf("for %v: %+v", d, err)
		}
	}
}

// Touch knows a breaker that has left its set.
func TestTouchOfABreakerThatHasGone(t *testing.T) {
	set := NewSet(Options{MaxKeys: 1})
	removed := set.Get("removed")
	for range 2 { // also when it is marked as used
		if !set.Touch(removed) {
			t.Error("a member is said to have gone")
		}
	}
	set.Remove("removed")
	evicted := set.Get("evicted")
	set.Get("other")
	for name, b := range map[string]*Breaker{"removed": removed, "evicted": evicted} {
		if set.Touch(b) {
			t.Errorf("%s, and said to be a member", name)
		}
	}
}

// Remove forgets a circuit wherever it is kept.
func TestRemoveForgetsTheRecord(t *testing.T) {
	set := NewSet(Options{MaxKeys: 1})
	set.Get("open").Trip(time.Hour, "test")
	set.Get("other")
	if got := set.Stats().Records; got != 1 {
		t.Fatalf("%d records, want 1", got)
	}
	set.Remove("open")
	if got := set.Get("open").State(); got != Closed || set.Stats().Records != 0 {
		t.Errorf("%v after Remove; %+v", got, set.Stats())
	}
}

// A new key for which Override makes no valid Config gets that of the set.
func TestOverrideThatIsInvalidForANewKey(t *testing.T) {
	set := NewSet(Options{Config: Config{OpenFor: time.Minute, Jitter: -1}, Override: func(_ string, c *Config) { c.OpenFor = -1 }})
	b := set.Get("peer")
	b.Trip(0, "test")
	if got := b.rules.Load().OpenFor; got != time.Minute {
		t.Errorf("OpenFor is %v, want 1m", got)
	}
}

// Those who have to go since the set became smaller are told.
func TestEvictedByUpdateIsTold(t *testing.T) {
	set := NewSet(Options{MaxKeys: 10})
	flood(set, 10)
	gone := 0
	o := Options{MaxKeys: 3, Hooks: []Hooks{{Evicted: func(string) { gone++ }}}}
	if err := set.Update(o); err != nil {
		t.Fatal(err)
	}
	if gone != 7 || set.Len() != 3 {
		t.Errorf("%d evicted, %d left, want 7 and 3", gone, set.Len())
	}
}
