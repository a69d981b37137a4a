package breaker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

var errDown = errors.New("connection refused")

func fail(context.Context) (string, error) { return "", errDown }

func succeed(context.Context) (string, error) { return "pong", nil }

func Example() {
	ctx := context.Background()
	circuits := breaker.NewSet(breaker.Options{Config: breaker.Config{Failures: 3}})

	for range 4 {
		_, err := breaker.Do(ctx, circuits.Get("users-db"), fail)
		var open *breaker.OpenError
		if errors.As(err, &open) {
			fmt.Printf("%s is %s: %s\n", open.Key, open.State, open.Reason)
			fmt.Println("the last failure was:", open.Last)
			continue
		}
		fmt.Println(err)
	}
	answer, _ := breaker.Do(ctx, circuits.Get("orders-db"), succeed)
	fmt.Println(answer)
	// Output:
	// connection refused
	// connection refused
	// connection refused
	// users-db is open: 3 calls failed in 10s
	// the last failure was: connection refused
	// pong
}

func ExampleDo() {
	b := breaker.New("cache", breaker.Config{})
	n, err := breaker.Do(context.Background(), b, func(context.Context) (int, error) { return 42, nil })
	fmt.Println(n, err)
	// Output: 42 <nil>
}

func ExampleBreaker_Allow() {
	b := breaker.New("queue", breaker.Config{})
	handle := func(ctx context.Context) error {
		permit, err := b.Allow(ctx)
		if err != nil {
			return err
		}
		defer permit.Done(breaker.Ignored) // if nothing else ends it: a panic, say

		if err := ctx.Err(); err != nil {
			return err // the caller's doing
		}
		permit.Done(breaker.Success)
		return nil
	}
	fmt.Println(handle(context.Background()), b.Snapshot().Totals.Successes)
	// Output: <nil> 1
}

func ExampleBreaker_Trip() {
	b := breaker.New("billing", breaker.Config{})
	b.Trip(time.Minute, "deploy in progress")
	_, err := b.Allow(context.Background())
	fmt.Println(errors.Is(err, breaker.ErrOpen), b.Snapshot().Reason)
	b.Reset("deployed")
	fmt.Println(b.State())
	// Output:
	// true deploy in progress
	// closed
}

func ExampleBreaker_SetMode() {
	b := breaker.New("search", breaker.Config{Failures: 1})
	b.SetMode(breaker.Observe, "first week")
	for range 3 {
		_, err := breaker.Do(context.Background(), b, fail)
		fmt.Println(err)
	}
	s := b.Snapshot()
	fmt.Printf("%s: would have rejected %d\n", s.State, s.Totals.Rejected)

	b.SetMode(breaker.ForceOpen, "leaks data")
	_, err := b.Allow(context.Background())
	var open *breaker.OpenError
	errors.As(err, &open)
	fmt.Printf("%s: %s, set by the %s\n", open.Mode, open.Reason, open.Origin)
	// Output:
	// connection refused
	// connection refused
	// connection refused
	// open: would have rejected 2
	// force-open: leaks data, set by the operator
}

func ExampleBreaker_Update() {
	b := breaker.New("users", breaker.Config{})
	err := b.Update(breaker.Config{FailureRate: 1.5, Jitter: 1})
	fmt.Println(err)
	fmt.Println(b.Update(breaker.Config{FailureRate: 0.3}))
	// Output:
	// breaker: Config.FailureRate = 1.5; want a share in (0, 1], zero for the default or a negative number for off
	// breaker: Config.Jitter = 1; want a share in [0, 1), or a negative number for none
	// <nil>
}

func ExampleConfig_String() {
	for _, rule := range strings.Split(breaker.Config{}.String(), "; ") {
		fmt.Println(rule)
	}
	// Output:
	// opens when ≥ 5 in a row fail over ≥ 1s (or ≥ 20 that began after the first had failed) and chance does not explain it, or next to no call is answered within 2s
	// rejects a growing share when ≥ 50 % of ≥ 20 calls in 10s fail or half of them hang
	// stays open until it has rejected 10 calls, growing to 50, at most 5s, doubling up to 45s, ± 20 %
	// closes after 1 successful probe (at most 1 at once, each within 10s), then lets 10 calls be in flight, growing with success
}

func ExampleConfig_UnmarshalJSON() {
	cfg := breaker.Config{OpenFor: 2 * time.Second}
	err := json.Unmarshal([]byte(`{"failure_rate": 0.3, "window": "1m"}`), &cfg)
	fmt.Println(cfg.FailureRate, cfg.Window, cfg.OpenFor, err)

	err = json.Unmarshal([]byte(`{"failure_rates": 0.3}`), &cfg)
	fmt.Println(err)
	// Output:
	// 0.3 1m0s 2s <nil>
	// breaker: Config: unknown field "failure_rates"
}

// A rule of one's own: many failures in all, but only at night.
func ExampleConfig_trip() {
	night := true
	b := breaker.New("batch", breaker.Config{
		Trip: func(c breaker.Counts) bool { return night && c.Failures >= 2 },
	})
	for range 2 {
		breaker.Do(context.Background(), b, fail)
	}
	fmt.Println(b.State(), b.Snapshot().Reason)
	// Output: open the Trip rule held at 2 failures of 2 calls
}

func ExamplePermit_Trip() {
	b := breaker.New("mail", breaker.Config{})
	permit, _ := b.Allow(context.Background())
	permit.Trip(30*time.Second, "the server asked for a pause")
	_, err := b.Allow(context.Background())
	var open *breaker.OpenError
	errors.As(err, &open)
	fmt.Println(open.Reason, open.RetryAfter().Round(time.Second))
	// Output: the server asked for a pause 30s
}

func ExamplePermit_Answered() {
	b := breaker.New("stream", breaker.Config{SlowCall: time.Second})
	permit, _ := b.Allow(context.Background())
	fmt.Println("in flight:", b.Snapshot().InFlight)
	permit.Answered() // the first byte is there; the rest may take its time
	fmt.Println("in flight:", b.Snapshot().InFlight)
	permit.Done(breaker.Success)
	// Output:
	// in flight: 1
	// in flight: 0
}

func ExampleHooks() {
	b := breaker.New("geo", breaker.Config{Failures: 1}, breaker.Hooks{
		StateChanged: func(t breaker.Transition) {
			fmt.Printf("%s: %s → %s: %s\n", t.Key, t.From, t.To, t.Reason)
		},
		Rejected: func(_ context.Context, err *breaker.OpenError) {
			fmt.Printf("%s: rejected\n", err.Key)
		},
		Done: func(_ context.Context, c breaker.Call) {
			fmt.Printf("%s: %s\n", c.Key, c.Outcome)
		},
	})
	for range 2 {
		breaker.Do(context.Background(), b, fail)
	}
	// Output:
	// geo: closed → open: 1 call failed in 10s
	// geo: failure
	// geo: rejected
}

// Other rules for one key, and new rules for all while the set is in use.
func ExampleSet() {
	options := breaker.Options{
		Config: breaker.Config{FailureRate: 0.5},
		Override: func(key string, c *breaker.Config) {
			if key == "flaky" {
				c.FailureRate = 0.9
			}
		},
	}
	set := breaker.NewSet(options)
	set.Get("flaky").Trip(time.Minute, "for the example")
	set.Get("steady")

	options.Config.OpenFor = 10 * time.Second
	fmt.Println(set.Update(options), set.Len())
	b, ok := set.Lookup("flaky")
	fmt.Println(ok, b.State())
	_, ok = set.Lookup("unknown")
	fmt.Println(ok)
	// Output:
	// <nil> 2
	// true open
	// false
}

func ExampleSet_All() {
	set := breaker.NewSet(breaker.Options{})
	set.Get("a").Trip(time.Minute, "for the example")
	set.Get("b")
	for key, b := range set.All() {
		if b.State() == breaker.Open {
			fmt.Println(key, "is open")
		}
	}
	// Output: a is open
}

func ExampleSet_Watch() {
	set := breaker.NewSet(breaker.Options{})
	stop := set.Watch(breaker.Hooks{
		StateChanged: func(t breaker.Transition) { fmt.Println(t.Key, "is", t.To) },
	})
	set.Get("a").Trip(time.Minute, "for the example")
	stop()
	set.Get("b").Trip(time.Minute, "unseen")
	// Output: a is open
}

func ExampleSet_Remove() {
	set := breaker.NewSet(breaker.Options{})
	set.Get("tenant-7").Trip(time.Minute, "for the example")
	set.Remove("tenant-7")
	fmt.Println(set.Len(), set.Get("tenant-7").State())
	// Output: 0 closed
}

func ExampleSet_Stats() {
	set := breaker.NewSet(breaker.Options{MaxKeys: 2})
	for _, key := range []string{"a", "b", "c"} {
		set.Get(key)
	}
	s := set.Stats()
	fmt.Println(s.Keys, "kept,", s.Evicted, "evicted")
	// Output: 2 kept, 1 evicted
}

func ExampleOpenError() {
	b := breaker.New("pay", breaker.Config{})
	b.Trip(time.Hour, "5 calls in a row failed")
	_, err := b.Allow(context.Background())

	wrapped := fmt.Errorf("charging the card: %w", err)
	var open *breaker.OpenError
	if errors.As(wrapped, &open) {
		fmt.Println(open.Key, open.State, open.RetryAfter().Round(time.Minute))
	}
	fmt.Println(errors.Is(wrapped, breaker.ErrOpen))
	// Output:
	// pay open 1h0m0s
	// true
}

func ExampleSnapshot() {
	b := breaker.New("geo", breaker.Config{})
	breaker.Do(context.Background(), b, succeed)
	breaker.Do(context.Background(), b, fail)
	s := b.Snapshot()
	fmt.Printf("%s: %s, %.0f %% of %d failed\n", s.Key, s.State, 100*s.Counts.FailureRate(), s.Counts.Calls)
	// Output: geo: closed, 50 % of 2 failed
}
