//go:build unix

package breakerredis

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerredis/fleet"
)

func TestMessagesOfOthersAreIgnored(t *testing.T) {
	for message, want := range map[string]fleet.Event{
		"s host":   {Kind: fleet.Suspected, Key: "host"},
		"o a b":    {Kind: fleet.Opened, Key: "a b"},
		"m":        {Kind: fleet.ModesSet},
		"z host":   {Kind: 'z', Key: "host"}, // the fleet ignores it
		"c \x00ü ": {Kind: fleet.Closed, Key: "\x00ü "},
	} {
		got, ok := eventOf(message)
		assert.True(t, ok)
		assert.Equal(t, want, got)
	}
	for _, message := range []string{"", "hello", "{}", " host", string(make([]byte, 1<<20)), "s " + string(make([]byte, fleet.MaxKey+1))} {
		_, ok := eventOf(message)
		assert.False(t, ok, "%.20q", message)
	}
}

func FuzzEventOf(f *testing.F) {
	f.Add("s host")
	f.Fuzz(func(t *testing.T, message string) {
		if e, ok := eventOf(message); ok && len(e.Key) > fleet.MaxKey {
			t.Fatal("too long")
		}
	})
}

func TestRepliesOfOtherShapesAreIgnored(t *testing.T) {
	assert.Equal(t, fleet.Verdict{}, verdictOf(nil))
	assert.Equal(t, fleet.Verdict{}, verdictOf([]int64{1, 2, 3}))
	v := verdictOf([]int64{1, 1, math.MaxInt64, -5, math.MaxInt64, 0, 7, math.MinInt64, math.MaxInt64, 99, 98})
	assert.Zero(t, v.Bad)
	assert.Positive(t, v.Age)
	assert.Negative(t, v.Due)
	assert.Equal(t, fleet.View{}, viewOf(nil))
	assert.Equal(t, fleet.View{}, viewOf([]any{7, "x", 9, nil}))
	v2 := viewOf([]any{"12", []any{"a", 5, "b"}, []any{
		"x", []any{}, []any{"k", int64(5000), "{"}, []any{"k", "5000", "{}"},
		[]any{"k", int64(5000), `{"mode":"sideways"}`},
		[]any{"k", int64(math.MaxInt64), `{"mode":"observe","reason":"r","new":[1]}`, "more"},
	}, "more"})
	assert.Equal(t, int64(12), v2.Version)
	assert.Equal(t, []string{"a", "b"}, v2.Keys)
	require.Len(t, v2.Modes, 1)
	assert.Equal(t, breaker.Observe, v2.Modes[0].Mode)
	assert.Positive(t, v2.Modes[0].For)
}

// Whatever others leave in the keys, a host has a verdict or none, and the other
// hosts have theirs.
func TestSpoiltKeys(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := single(s.addr)()
	defer client.Close()
	own, err := clientLike(client, Options{Fleet: "test"})
	require.NoError(t, err)
	e := newEngine(own, "test")
	defer e.Close()
	ctx := context.Background()
	report := func(node string) []fleet.Verdict {
		var reports []fleet.Report
		for _, key := range []string{"spoilt", "well"} {
			reports = append(reports, fleet.Report{
				Key: key, Node: node, Opinion: fleet.Bad, TTL: time.Minute, Rejected: 5, Rate: 1, Probe: fleet.Bad,
				Rules: fleet.Rules{MinNodes: 3, Quorum: 0.9, MaxOpenFor: 45 * time.Second},
			})
		}
		verdicts, err := e.Report(ctx, reports)
		require.NoError(t, err)
		return verdicts
	}
	for _, spoil := range [][]any{
		{"SET", "hb1:{test}:i:spoilt", "x"},
		{"SET", "hb1:{test}:b:spoilt", "x"},
		{"RPUSH", "hb1:{test}:g:spoilt", "x"},
		{"HSET", "hb1:{test}:i:spoilt", "since", "nan", "id", "inf", "round", "-1", "level", "1e300", "due", "0x7fffffff", "rejected", "1e15", "quorum", "{}"},
		{"HSET", "hb1:{test}:i:spoilt", "since", "1", "id", "7", "level", "9e14", "began", "9e15", "most", "1e-9", "round", "0"},
		{"HSET", "hb1:{test}:i:spoilt", "since", "9e15", "id", "9e15", "due", "9e15", "lease", "9e15", "opened", "9e15"},
	} {
		s.do("FLUSHALL")
		for _, node := range []string{"a", "b", "c"} {
			report(node)
		}
		time.Sleep(fleet.Doubt)
		if spoil[0] != "HSET" {
			s.do("DEL", spoil[1])
		}
		s.do(spoil...)
		verdicts := report("a")
		assert.NotZero(t, verdicts[1].Incident, "%v", spoil)
		assert.LessOrEqual(t, verdicts[0].Bad, 3)
		assert.LessOrEqual(t, verdicts[0].Lease, fleet.LeaseFor)
	}
	s.do("FLUSHALL")
	s.do("SET", "hb1:{test}:v", "soon")
	s.do("HSET", "hb1:{test}:modes", "k", "x", "l", "99999999999999999999 {}", "m", "9000000000000000 {", "n", "")
	view, err := e.Look(ctx, -1)
	require.NoError(t, err)
	assert.Zero(t, view.Version)
	assert.Empty(t, view.Modes)
	assert.Error(t, e.SetMode(ctx, forceOpen("k")), "the version is no number")
	s.do("DEL", "hb1:{test}:v")
	assert.NoError(t, e.SetMode(ctx, forceOpen("k")))
	assert.Equal(t, []any{"k"}, fields(t, client), "what is spoilt is gone")
	s.do("SET", "hb1:{test}:modes", "x")
	_, err = e.Look(ctx, -1)
	assert.ErrorContains(t, err, "WRONGTYPE")
}

func fields(t *testing.T, client redis.UniversalClient) (names []any) {
	keys, err := client.HKeys(context.Background(), "hb1:{test}:modes").Result()
	require.NoError(t, err)
	for _, k := range keys {
		names = append(names, k)
	}
	return names
}

// Every key has an end.
func TestEveryKeyExpires(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := startNodes(t, single(s.addr))
	n.listening()
	n.breakHost()
	within(t, 5*time.Second, "there is an incident", func() bool { return n.quiet().state() == breaker.Open })
	require.NoError(t, n.all[0].SetMode(context.Background(), fleet.Mode{Key: "x", Mode: breaker.Observe, Reason: "r", For: time.Hour}))
	keys := s.do("KEYS", "*").([]any)
	assert.GreaterOrEqual(t, len(keys), 4)
	for _, key := range keys {
		assert.Regexp(t, `^hb1:\{test\}:([ibgq]:api\.example\.com|live|modes|v)$`, key)
		assert.Positive(t, s.do("PTTL", key), "%v", key)
	}
	n.healHost()
}
