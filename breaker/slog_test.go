package breaker

import (
	"bytes"
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
func textLogger() (*slog.Logger, *bytes.Buffer) {
	var out bytes.Buffer
	return slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey && len(groups) == 0 {
				return slog.Attr{}
			}
			return a
		},
	})), &out
}

func lines(out *bytes.Buffer) []string {
	return strings.Split(strings.TrimSpace(out.String()), "\n")
}

func TestLogHooksFollowAnOutage(t *testing.T) {
	logger, out := textLogger()
	hooks := LogHooks(logger)
	start := time.Date(2024, 5, 1, 3, 0, 0, 0, time.UTC)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }

	for _, tr := range []Transition{
		{Key: "a", From: Closed, To: Open, At: at(0), Until: at(5), Reason: "12 of 20 calls failed in 10s",
			Counts: Counts{Calls: 20, Failures: 12, Slow: 3, Overdue: 2, ConsecutiveFailures: 4}, Rejected: 7},
		{Key: "a", From: Open, To: HalfOpen, At: at(6), Reason: "open time over", Rejected: 1000},
		{Key: "a", From: HalfOpen, To: Open, At: at(7), Until: at(17), Reason: "probe failed", Rejected: 20},
		{Key: "a", From: Open, To: HalfOpen, At: at(18), Reason: "open time over", Rejected: 300},
		{Key: "a", From: HalfOpen, To: Closed, At: at(19), Reason: "probe succeeded", Rejected: 4},
	} {
		hooks.StateChanged(tr)
	}
	none := " counts.calls=0 counts.failures=0 counts.slow=0 counts.overdue=0 counts.consecutive_failures=0"
	assert.Equal(t, []string{
		`level=WARN msg="circuit open" key=a from=closed to=open reason="12 of 20 calls failed in 10s"` +
			` counts.calls=20 counts.failures=12 counts.slow=3 counts.overdue=2 counts.consecutive_failures=4 rejected=7 open_for=5s`,
		`level=INFO msg="circuit half-open" key=a from=open to=half-open reason="open time over"` + none + ` rejected=1000 open_duration=6s`,
		`level=WARN msg="circuit open" key=a from=half-open to=open reason="probe failed"` + none + ` rejected=20 open_for=10s open_duration=7s`,
		`level=INFO msg="circuit half-open" key=a from=open to=half-open reason="open time over"` + none + ` rejected=300 open_duration=18s`,
		`level=INFO msg="circuit closed" key=a from=half-open to=closed reason="probe succeeded"` + none + ` rejected=4 open_duration=19s`,
		`level=INFO msg="circuit rejected calls" key=a rejected=1324 opened=2 open_duration=19s`,
	}, lines(out))
}

func TestLogHooksKeepOutagesApart(t *testing.T) {
	logger, out := textLogger()
	hooks := LogHooks(logger)
	for _, tr := range []Transition{
		{Key: "a", From: Closed, To: Open},
		{Key: "b", From: Closed, To: Open},
		{Key: "b", From: Open, To: Closed, Rejected: 2},
		{Key: "a", From: Open, To: Closed},
		{Key: "b", From: Closed, To: Open},
		{Key: "b", From: Open, To: Closed, Rejected: 3},
	} {
		hooks.StateChanged(tr)
	}
	var summaries []string
	for _, line := range lines(out) {
		if _, summary, ok := strings.Cut(line, `msg="circuit rejected calls" `); ok {
			summaries = append(summaries, summary)
		}
	}
	assert.Equal(t, []string{"key=b rejected=2 opened=1", "key=b rejected=3 opened=1"}, summaries,
		"a rejected nothing, and outages of b are counted one by one")
}

func TestLogHooksForgetEvicted(t *testing.T) {
	logger, out := textLogger()
	hooks := LogHooks(logger)
	hooks.StateChanged(Transition{Key: "a", From: Closed, To: Open, At: time.Unix(0, 0), Rejected: 1})
	hooks.StateChanged(Transition{Key: "a", From: Open, To: HalfOpen, At: time.Unix(5, 0), Rejected: 9})
	hooks.Evicted("a")
	out.Reset()
	hooks.StateChanged(Transition{Key: "a", From: HalfOpen, To: Closed, At: time.Unix(9, 0), Rejected: 2})

	assert.NotContains(t, out.String(), "open_duration", "nobody knows when this breaker opened")
	assert.Contains(t, lines(out)[1], "rejected=2 opened=0")
}

// A logger set with slog.SetDefault after LogHooks was called is used.
func TestLogHooksDefaultLogger(t *testing.T) {
	hooks := LogHooks(nil)
	logger, out := textLogger()
	old := slog.Default()
	slog.SetDefault(logger)
	defer slog.SetDefault(old)
	hooks.StateChanged(Transition{Key: "a", From: Closed, To: Open, Reason: "a\nforged=line"})

	assert.Len(t, lines(out), 1)
	assert.Contains(t, out.String(), `reason="a\nforged=line"`)
}

func TestLogHooksConcurrently(t *testing.T) {
	logger, out := textLogger()
	hooks := LogHooks(logger)
	var wg sync.WaitGroup
	for _, key := range []string{"a", "b", "c", "d"} {
		wg.Go(func() {
			for range 50 {
				hooks.StateChanged(Transition{Key: key, From: Closed, To: Open})
				hooks.StateChanged(Transition{Key: key, From: Open, To: Closed, Rejected: 1})
			}
		})
	}
	wg.Wait()
	assert.Equal(t, 4*50, strings.Count(out.String(), `msg="circuit rejected calls"`))
	assert.Equal(t, 4*50, strings.Count(out.String(), "rejected=1 opened=1"))
}

// An outage of a real breaker: three records for its transitions and one for
// all that it rejected.
func TestLogHooksOnABreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, out := textLogger()
		b := New("a", Config{
			ConsecutiveFailures: 2, ConsecutiveSpan: -1, OpenFor: 10 * time.Second, ProbeShare: -1, Jitter: -1, SlowStart: -1,
		}, LogHooks(logger))
		for range 1000 {
			if p, err := b.Allow(t.Context()); err == nil {
				p.Done(Failure)
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		p, err := b.Allow(t.Context())
		require.NoError(t, err)
		time.Sleep(time.Second)
		p.Done(Success)

		got := lines(out)
		require.Len(t, got, 4)
		assert.Contains(t, got[0], `level=WARN msg="circuit open" key=a from=closed to=open reason="2 calls in a row failed`)
		assert.Contains(t, got[0], "open_for=10s")
		assert.Contains(t, got[1], `level=INFO msg="circuit half-open"`)
		assert.Contains(t, got[2], `level=INFO msg="circuit closed"`)
		assert.Contains(t, got[3], `msg="circuit rejected calls" key=a rejected=998 opened=1 open_duration=11.999s`)
	})
}
