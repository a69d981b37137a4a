package breaker

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// textLogger returns a logger without times, and what it has written.
func textLogger(level slog.Level) (*slog.Logger, *bytes.Buffer) {
	var out bytes.Buffer
	return slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey && len(groups) == 0 {
				return slog.Attr{}
			}
			return a
		},
	})), &out
}

func lines(out *bytes.Buffer) []string {
	if out.Len() == 0 {
		return nil
	}
	return strings.Split(strings.TrimSpace(out.String()), "\n")
}

func TestLogHooksTellAnOutage(t *testing.T) {
	logger, out := textLogger(slog.LevelDebug)
	hooks := LogHooks(logger)
	start := time.Date(2024, 5, 1, 3, 0, 0, 0, time.UTC)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }

	for _, tr := range []Transition{
		{Key: "a", From: Closed, To: Open, Since: at(-900), At: at(0), Until: at(5), Reason: "12 of 20 calls failed in 10s",
			Counts:      Counts{Calls: 20, Failures: 12, Slow: 3, Overdue: 2, ConsecutiveFailures: 4},
			OutageSince: at(0), OutageOpened: 1, LastFailure: "503 Service Unavailable"},
		{Key: "a", From: Open, To: HalfOpen, Since: at(0), At: at(6), Reason: "being probed", OutageSince: at(0), OutageOpened: 1, OutageRejected: 1000, Share: 0.01},
		{Key: "a", From: HalfOpen, To: Open, Since: at(6), At: at(7), Until: at(17), Reason: "a probe failed", Origin: ByProbe,
			OutageSince: at(0), OutageOpened: 2, OutageRejected: 1020, LastFailure: "connect: connection refused"},
		{Key: "a", From: Open, To: HalfOpen, Since: at(7), At: at(118), OutageSince: at(0), OutageOpened: 2, OutageRejected: 1320},
		{Key: "a", From: HalfOpen, To: Closed, Since: at(118), At: at(119), Reason: "1 probe succeeded", Origin: ByProbe,
			OutageSince: at(0), OutageOpened: 2, OutageRejected: 1324},
	} {
		hooks.StateChanged(tr)
	}
	since := " since=2024-05-01T03:00:00.000Z"
	assert.Equal(t, []string{
		`level=WARN msg="circuit opened" key=a from=closed to=open origin=rules reason="12 of 20 calls failed in 10s"` +
			` last_failure="503 Service Unavailable"` +
			` counts.calls=20 counts.failures=12 counts.slow=3 counts.overdue=2 counts.consecutive_failures=4` +
			` next_try=2024-05-01T03:00:05.000Z` + since + ` openings=1 rejected=0`,
		`level=DEBUG msg="circuit half-open" key=a from=open to=half-open origin=rules reason="being probed"` +
			` share=0.01` + since + ` duration=6s openings=1 rejected=1000`,
		`level=DEBUG msg="circuit open" key=a from=half-open to=open origin=probe reason="a probe failed" last_failure="connect: connection refused"` +
			` next_try=2024-05-01T03:00:17.000Z` + since + ` duration=7s openings=2 rejected=1020`,
		`level=INFO msg="circuit still half-open" key=a from=open to=half-open origin=rules reason=""` +
			` share=0` + since + ` duration=1m58s openings=2 rejected=1320`,
		`level=INFO msg="circuit closed" key=a from=half-open to=closed origin=probe reason="1 probe succeeded"` +
			since + ` duration=1m59s openings=2 rejected=1324`,
	}, lines(out))
}

func TestLogHooksSayWhatBeganIt(t *testing.T) {
	logger, out := textLogger(slog.LevelInfo)
	hooks := LogHooks(logger)
	until := time.Now().Add(time.Minute)
	for _, c := range []struct {
		t    Transition
		want string
	}{
		{Transition{To: Open, Until: until}, `level=WARN msg="circuit opened" `},
		{Transition{To: Open}, `level=WARN msg="circuit opened until it is set back" `},
		{Transition{To: HalfOpen, Share: 0.7}, `level=WARN msg="circuit rejects a share of the calls" `},
		{Transition{To: HalfOpen, Share: 0.7}, ` share=0.7 `},
		{Transition{To: Open, Until: until, Mode: Observe}, ` mode=observe `},
		{Transition{To: Open, Origin: ByPeer}, ` origin=peer `},
	} {
		out.Reset()
		hooks.StateChanged(c.t)
		require.Len(t, lines(out), 1)
		assert.Contains(t, out.String(), c.want)
	}
}

// refuse calls b at this rate for d, of which every call that is let through
// fails.
func refuse(t *testing.T, b *Breaker, rate int, d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second / time.Duration(rate)) {
		if p, err := b.Allow(t.Context()); err == nil {
			p.Fail(fmt.Errorf("connect: connection refused"))
		}
	}
}

// One host down for an hour: a record when it begins, one when it ends, and one
// for each minute between them.
func TestLogHooksOfAnHour(t *testing.T) {
	for _, rate := range []int{1, 10, 100} {
		t.Run(fmt.Sprint(rate, " calls a second"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				logger, out := textLogger(slog.LevelInfo)
				b := New("a", Config{}, LogHooks(logger))
				refuse(t, b, rate, time.Hour)
				for b.State() != Closed {
					if p, err := b.Allow(t.Context()); err == nil {
						p.Done(Success)
					}
					time.Sleep(time.Second / time.Duration(rate))
				}
				got := lines(out)
				assert.LessOrEqual(t, len(got), 65)
				assert.GreaterOrEqual(t, len(got), 45, "and something is heard of it all the time")
				assert.Contains(t, got[0], `level=WARN msg="circuit opened"`)
				for _, line := range got[1 : len(got)-1] {
					assert.Contains(t, line, `level=INFO msg="circuit still `)
				}
				last := got[len(got)-1]
				s := b.Snapshot()
				assert.Contains(t, last, `level=INFO msg="circuit closed"`)
				assert.Contains(t, last, fmt.Sprintf("openings=%d rejected=%d", s.Totals.Opened, s.Totals.Rejected))
				assert.Regexp(t, ` duration=(59m5|1h0m)\d`, last)
			})
		})
	}
}

func TestLogHooksTellWhatOperatorsDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, out := textLogger(slog.LevelInfo)
		set := NewSet(Options{Hooks: []Hooks{LogHooks(logger)}})
		b := set.Get("a")
		b.SetMode(Observe, "on trial, by alice")
		b.SetMode(Enforce, "trial over, by alice")
		b.Trip(time.Minute, "moving the database, by bob")
		b.Reset("moved, by bob")
		set.SetMode(Disabled, "the breakers are to blame, by eve")
		set.SetMode(Enforce, "they were not, by eve")

		var acts []string
		for _, line := range lines(out) {
			if !strings.Contains(line, " from=") {
				acts = append(acts, line)
			}
		}
		assert.Equal(t, []string{
			`level=INFO msg="circuit mode set" key=a mode=observe reason="on trial, by alice"`,
			`level=INFO msg="circuit mode set" key=a mode=enforce reason="trial over, by alice"`,
			`level=INFO msg="circuit tripped" key=a mode=enforce reason="moving the database, by bob"`,
			`level=INFO msg="circuit reset" key=a mode=enforce reason="moved, by bob"`,
			`level=WARN msg="mode of all circuits set" mode=disabled reason="the breakers are to blame, by eve"`,
			`level=WARN msg="mode of all circuits set" mode=enforce reason="they were not, by eve"`,
		}, acts)
	})
}

// Ten thousand hosts down for an hour.
func TestLogHooksInAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, out := textLogger(slog.LevelInfo)
		hooks := LogHooks(logger)
		start := time.Now()
		const circuits = 10_000
		for i := range circuits {
			hooks.StateChanged(Transition{Key: fmt.Sprint(i), From: Closed, To: Open, At: start, OutageSince: start})
		}
		assert.Len(t, lines(out), logBurst)
		for range 60 {
			before := time.Now()
			time.Sleep(time.Minute)
			for i := range circuits {
				hooks.StateChanged(Transition{Key: fmt.Sprint(i), From: Open, To: HalfOpen, Since: before, At: time.Now(), OutageSince: start})
			}
		}
		assert.LessOrEqual(t, len(lines(out)), logBurst+3600)

		// None is left out unsaid.
		time.Sleep(time.Minute)
		hooks.StateChanged(Transition{Key: "last", From: Closed, To: Open})
		got := lines(out)
		assert.Contains(t, got[len(got)-1], "key=last ")
		left := 0
		for _, line := range got {
			if _, n, ok := strings.Cut(line, " left_out="); ok {
				var k int
				_, err := fmt.Sscan(n, &k)
				require.NoError(t, err)
				left += k
			}
		}
		assert.Equal(t, 61*circuits+1, len(got)+left)
	})
}

// A circuit that is forced open while it is well has no outage, and the log
// says nevertheless for how long it was open and what that cost.
func TestLogHooksOfAForcedCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, out := textLogger(slog.LevelInfo)
		b := New("a", Config{}, LogHooks(logger))
		time.Sleep(time.Hour)
		b.SetMode(ForceOpen, "maintenance, by alice")
		refuse(t, b, 1, time.Minute)
		b.SetMode(Enforce, "done, by alice")
		since := ` since=2000-01-01T01:00:00.000Z`
		assert.Contains(t, out.String(), `level=WARN msg="circuit opened until it is set back" key=a from=closed to=open origin=operator reason="maintenance, by alice" mode=force-open`)
		assert.Contains(t, out.String(), since+` rejected=0`)
		assert.Contains(t, out.String(), `level=INFO msg="circuit closed" key=a from=open to=closed origin=operator reason="done, by alice"`+since+` duration=1m0s rejected=60`)
	})
}

// What a breaker that is no longer in the set does to its circuit is told, and
// nothing is kept of it.
func TestLogHooksKeepNothing(t *testing.T) {
	logger, out := textLogger(slog.LevelInfo)
	set := NewSet(Options{Config: Config{ConsecutiveFailures: 1, ConsecutiveSpan: -1}, Hooks: []Hooks{LogHooks(logger)}})
	permit, err := set.Get("a").Allow(t.Context())
	require.NoError(t, err)
	set.Remove("a")
	permit.Done(Failure)
	assert.Len(t, lines(out), 1)

	hooks := LogHooks(slog.New(slog.DiscardHandler))
	tr := Transition{From: Closed, To: Open, OutageSince: time.Now()}
	one := testing.AllocsPerRun(100, func() { hooks.StateChanged(tr) })
	assert.Zero(t, one, "a record that nobody wants costs nothing")
}

// A logger set with slog.SetDefault after LogHooks was called is used.
func TestLogHooksDefaultLogger(t *testing.T) {
	hooks := LogHooks(nil)
	logger, out := textLogger(slog.LevelInfo)
	old := slog.Default()
	slog.SetDefault(logger)
	defer slog.SetDefault(old)
	hooks.StateChanged(Transition{Key: "a", From: Closed, To: Open, Reason: "a\nforged=line"})

	assert.Len(t, lines(out), 1)
	assert.Contains(t, out.String(), `reason="a\nforged=line"`)
}

func TestLogHooksConcurrently(t *testing.T) {
	logger, out := textLogger(slog.LevelInfo)
	hooks := LogHooks(logger)
	var wg sync.WaitGroup
	for _, key := range []string{"a", "b", "c", "d"} {
		wg.Go(func() {
			for range 50 {
				hooks.StateChanged(Transition{Key: key, From: Closed, To: Open})
				hooks.StateChanged(Transition{Key: key, From: Open, To: Closed})
			}
		})
	}
	wg.Wait()
	assert.GreaterOrEqual(t, len(lines(out)), logBurst)
}
