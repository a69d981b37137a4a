package meter_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/internal/meter"
)

// call makes n calls of one outcome, and returns how many were let through.
func call(set *breaker.Set, key string, n int, o breaker.Outcome) (made int) {
	for range n {
		if permit, err := set.Get(key).Allow(context.Background()); err == nil {
			permit.Done(o)
			made++
		}
	}
	return made
}

func byLabel(r meter.Reading) map[string]meter.Circuit {
	found := make(map[string]meter.Circuit)
	for _, c := range r.Circuits {
		found[c.Label] = c
	}
	if r.Other != nil {
		found[meter.Other] = *r.Other
	}
	return found
}

func labels(r meter.Reading) []string {
	var list []string
	for label := range byLabel(r) {
		list = append(list, label)
	}
	slices.Sort(list)
	return list
}

func TestEveryKeyHasItsOwnSeriesWhileThereIsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := breaker.NewSet(breaker.Options{Config: breaker.Config{ConsecutiveSpan: -1, Jitter: -1}})
		call(set, "up", 7, breaker.Success)
		call(set, "up", 1, breaker.Ignored)
		call(set, "down", 8, breaker.Failure) // the fifth opens it
		open, err := set.Get("up").Allow(t.Context())
		require.NoError(t, err)
		defer open.Done(breaker.Ignored)
		time.Sleep(3 * time.Second)

		r := meter.New(set, 0).Read()

		require.Equal(t, []string{"down", "up"}, labels(r))
		assert.Nil(t, r.Other)
		assert.Equal(t, [3]int{breaker.Closed: 1, breaker.Open: 1}, r.States)
		assert.Equal(t, 2, r.Stats.Keys)
		up, down := byLabel(r)["up"], byLabel(r)["down"]
		assert.Equal(t, breaker.Totals{Successes: 7, Ignored: 1}, up.Totals)
		assert.Equal(t, 1, up.InFlight)
		assert.Equal(t, breaker.Open, down.State)
		assert.Equal(t, breaker.Totals{Failures: 5, Rejected: 3, Opened: 1, OpenTime: 3 * time.Second}, down.Totals)
	})
}

func TestKeysBeyondTheBoundAreOther(t *testing.T) {
	set := breaker.NewSet(breaker.Options{})
	for i := range 5 {
		call(set, fmt.Sprint("host", i), 10*(i+1), breaker.Success)
	}
	m := meter.New(set, 2)

	r := m.Read()
	assert.Equal(t, []string{"host3", "host4", "other"}, labels(r), "the busiest have series of their own")
	assert.EqualValues(t, 10+20+30, r.Other.Totals.Successes)
	assert.Equal(t, [3]int{breaker.Closed: 5}, r.States)

	call(set, "host0", 1000, breaker.Success)
	r = m.Read()
	assert.Equal(t, []string{"host3", "host4", "other"}, labels(r), "and keep them")
	assert.EqualValues(t, 1060, r.Other.Totals.Successes)

	set.Remove("host3")
	r = m.Read()
	assert.Equal(t, []string{"host0", "host4", "other"}, labels(r), "until they leave the set")
	assert.EqualValues(t, 1060, r.Other.Totals.Successes, "what was counted in other stays there")
	assert.Zero(t, byLabel(r)["host0"].Totals.Successes)

	call(set, "host0", 3, breaker.Success)
	assert.EqualValues(t, 3, byLabel(m.Read())["host0"].Totals.Successes)
}

func TestTheSetsWholeContentsMayBeOther(t *testing.T) {
	set := breaker.NewSet(breaker.Options{})
	call(set, "a", 1, breaker.Success)
	call(set, "b", 2, breaker.Success)
	m := meter.New(set, 1)
	require.EqualValues(t, 1, m.Read().Other.Totals.Successes)

	set.Remove("a")
	r := m.Read()
	require.NotNil(t, r.Other, "a series that was there once does not come and go")
	assert.EqualValues(t, 1, r.Other.Totals.Successes)
}

func TestANotableCircuitTakesTheQuietestPlace(t *testing.T) {
	for _, test := range []struct {
		name string
		make func(*breaker.Breaker)
	}{
		{"open", func(b *breaker.Breaker) { b.Trip(time.Hour, "test") }},
		{"forced open", func(b *breaker.Breaker) { b.SetMode(breaker.ForceOpen, "test") }},
		{"disabled", func(b *breaker.Breaker) { b.SetMode(breaker.Disabled, "test") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			set := breaker.NewSet(breaker.Options{})
			call(set, "big", 100, breaker.Success)
			call(set, "once", 50, breaker.Success)
			call(set, "small", 1, breaker.Success)
			m := meter.New(set, 2)

			set.Get("once").Trip(time.Hour, "test")
			require.Equal(t, []string{"big", "once", "other"}, labels(m.Read()))
			set.Get("once").Reset("test")
			require.Equal(t, []string{"big", "once", "other"}, labels(m.Read()))

			call(set, "small", 2, breaker.Success)
			test.make(set.Get("small"))
			r := m.Read()
			assert.Equal(t, []string{"once", "other", "small"}, labels(r), "big has been quiet for longer than once")
			assert.Zero(t, byLabel(r)["small"].Totals.Successes, "its calls so far stay in other, where a scraper sees the last of them too")
			assert.EqualValues(t, 3, r.Other.Totals.Successes)

			call(set, "big", 5, breaker.Success)
			assert.EqualValues(t, 8, m.Read().Other.Totals.Successes)

			set.Get("big").Trip(time.Hour, "test")
			r = m.Read()
			assert.Equal(t, []string{"big", "other", "small"}, labels(r))
			assert.EqualValues(t, 100, byLabel(r)["big"].Totals.Successes, "its series goes on where it stopped")
		})
	}
}

func TestMoreNotableCircuitsThanPlaces(t *testing.T) {
	set := breaker.NewSet(breaker.Options{})
	m := meter.New(set, 3)
	for i := range 10 {
		set.Get(fmt.Sprint("host", i)).Trip(time.Hour, "test")
	}
	first := m.Read()
	assert.Len(t, first.Circuits, 3)
	assert.Equal(t, [3]int{breaker.Open: 10}, first.States)
	assert.EqualValues(t, 7, first.Other.Totals.Opened)
	assert.Equal(t, labels(first), labels(m.Read()), "none displaces another that is as notable")
}

func TestObserveIsNotNotable(t *testing.T) {
	set := breaker.NewSet(breaker.Options{Config: breaker.Config{Mode: breaker.Observe}})
	call(set, "busy", 10, breaker.Success)
	m := meter.New(set, 1)
	m.Read()
	call(set, "new", 1, breaker.Success)
	assert.Equal(t, []string{"busy", "other"}, labels(m.Read()))
}

func TestAKeyThatIsMadeAgain(t *testing.T) {
	set := breaker.NewSet(breaker.Options{})
	m := meter.New(set, 0)
	call(set, "host", 10, breaker.Success)
	m.Read()
	set.Remove("host")
	call(set, "host", 3, breaker.Success)
	assert.EqualValues(t, 13, byLabel(m.Read())["host"].Totals.Successes, "between two readings, nobody has seen it go")

	set.Remove("host")
	assert.Empty(t, m.Read().Circuits)
	call(set, "host", 2, breaker.Success)
	assert.EqualValues(t, 2, byLabel(m.Read())["host"].Totals.Successes)
}

// Whatever moves where, no series falls, and all series together have counted
// each call once.
func TestEachCallIsCountedOnceAndNothingFalls(t *testing.T) {
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			set := breaker.NewSet(breaker.Options{})
			m := meter.New(set, 1+rnd.IntN(4))

			var made, counted uint64
			shown := make(map[string]breaker.Totals)
			read := func() {
				for label, c := range byLabel(m.Read()) {
					before := shown[label]
					require.GreaterOrEqual(t, c.Totals.Successes, before.Successes, "seed %d: %s", seed, label)
					require.GreaterOrEqual(t, c.Totals.Rejected, before.Rejected, "seed %d: %s", seed, label)
					require.GreaterOrEqual(t, c.Totals.Opened, before.Opened, "seed %d: %s", seed, label)
					require.GreaterOrEqual(t, c.Totals.OpenTime, before.OpenTime, "seed %d: %s", seed, label)
					require.Less(t, c.Totals.OpenTime, time.Hour*24*365, "seed %d: a difference has wrapped", seed)
					counted += c.Totals.Successes - before.Successes
					shown[label] = c.Totals
				}
				require.Equal(t, made, counted, "seed %d", seed)
			}
			for range 300 {
				key := fmt.Sprint("host", rnd.IntN(8))
				switch rnd.IntN(9) {
				case 0, 1, 2:
					made += uint64(call(set, key, 1+rnd.IntN(20), breaker.Success))
				case 3:
					set.Get(key).Trip(time.Hour, "test")
				case 4:
					set.Get(key).Reset("test")
				case 5:
					read()
					set.Remove(key)
					read()
					delete(shown, key)
				case 6:
					set.Get(key).SetMode(breaker.Mode(rnd.IntN(4)), "test")
				case 7:
					time.Sleep(time.Duration(rnd.Int64N(int64(2 * time.Hour))))
				default:
					read()
				}
			}
			read()
		})
	}
}

func TestConcurrentReadings(t *testing.T) {
	set := breaker.NewSet(breaker.Options{MaxKeys: 20})
	m := meter.New(set, 5)
	stop := make(chan struct{})
	var calls sync.WaitGroup
	for worker := range 2 {
		calls.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(worker), 2))
			for {
				select {
				case <-stop:
					return
				default:
					call(set, fmt.Sprint("host", rnd.IntN(30)), 1, breaker.Outcome(rnd.IntN(3)))
				}
			}
		})
	}
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			var other breaker.Totals
			for range 200 {
				r := m.Read()
				assert.LessOrEqual(t, len(r.Circuits), 5)
				if r.Other == nil {
					continue
				}
				now := r.Other.Totals
				assert.GreaterOrEqual(t, now.Successes, other.Successes)
				assert.GreaterOrEqual(t, now.Failures, other.Failures)
				assert.GreaterOrEqual(t, now.Rejected, other.Rejected)
				assert.GreaterOrEqual(t, now.OpenTime, other.OpenTime)
				assert.Less(t, now.OpenTime, time.Hour, "a difference has wrapped")
				other = now
			}
		})
	}
	readers.Wait()
	close(stop)
	calls.Wait()
}

func TestReadingChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := breaker.NewSet(breaker.Options{Config: breaker.Config{OpenFor: time.Second, Jitter: -1}})
		b := set.Get("host")
		b.Trip(time.Second, "test")
		time.Sleep(2 * time.Second)
		m := meter.New(set, 0)
		for range 5 {
			r := m.Read()
			require.Equal(t, breaker.Open, r.Circuits[0].State, "only a call makes the transition")
		}
		permit, err := b.Allow(t.Context())
		require.NoError(t, err)
		assert.True(t, permit.Probe(), "no reading has taken the probe")
		permit.Done(breaker.Success)
	})
}

func TestLabel(t *testing.T) {
	for key, want := range map[string]string{
		"api.example.com": "api.example.com",
		"höst:8443":       "höst:8443",
		"":                `""`,
		"other":           `"other"`,
		`"other"`:         `"\"other\""`,
		"a\xffb":          `"a\xffb"`,
		"two\nlines":      "two\nlines",
	} {
		assert.Equal(t, want, meter.Label(key))
	}
}

func FuzzLabel(f *testing.F) {
	f.Add("other", `"other"`)
	f.Add("a\xff", "a\xfe")
	f.Add("", `""`)
	f.Fuzz(func(t *testing.T, a, b string) {
		la, lb := meter.Label(a), meter.Label(b)
		if !utf8.ValidString(la) || la == meter.Other || la == "" {
			t.Errorf("Label(%q) = %q", a, la)
		}
		if (a == b) != (la == lb) {
			t.Errorf("Label(%q) = %q, Label(%q) = %q", a, la, b, lb)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	set := breaker.NewSet(breaker.Options{})
	for i := range 10_000 {
		call(set, "host"+strings.Repeat("x", i%20)+fmt.Sprint(i), 1, breaker.Success)
	}
	m := meter.New(set, 0)
	for b.Loop() {
		m.Read()
	}
}
