package breaker

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
)

// Which member was used later is known where a new key has come in between; a
// small set then gives up exactly the one that was not used for longest.
func TestIdleOrderBetweenNewKeys(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		size := 1 + random.IntN(mostLooks/2)
		set := NewSet(Options{MaxKeys: size})
		var order []string // latest last
		use := func(key string) {
			set.Get(key)
			order = append(slices.DeleteFunc(order, func(k string) bool { return k == key }), key)
			order = order[max(0, len(order)-size):]
		}
		for step := range 100 {
			use("new" + strconv.Itoa(step))
			if random.IntN(3) > 0 {
				use(order[random.IntN(len(order))])
			}
			for _, key := range order {
				if _, ok := set.Lookup(key); !ok {
					t.Fatalf("seed %d, step %d: %s is gone, want %v", seed, step, key, order)
				}
			}
		}
	}
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

// A circuit that was open and has closed since can be given up like any other.
func TestClosedAgainIsIdleAgain(t *testing.T) {
	set := NewSet(Options{MaxKeys: 3})
	b := set.Get("was open")
	b.Trip(never, "test")
	flood := func(prefix string) {
		for i := range 10 {
			set.Get(prefix + strconv.Itoa(i))
		}
	}
	flood("a")
	if _, ok := set.Lookup("was open"); !ok {
		t.Fatal("gone while it was open")
	}
	b.Reset("")
	flood("b")
	if _, ok := set.Lookup("was open"); ok {
		t.Error("still there")
	}
	if got := set.Stats(); got.Demoted != 0 || got.Evicted != 18 {
		t.Errorf("%+v, want 18 evicted", got)
	}
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
