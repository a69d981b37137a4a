package record_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/record"
)

// disk is a writer in memory that can be full, slow, or break in other ways.
type disk struct {
	mu     sync.Mutex
	text   bytes.Buffer
	writes int
	before func(p []byte) (int, error) // nil: everything is taken
}

func (d *disk) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writes++
	if d.before != nil {
		n, err := d.before(p)
		d.text.Write(p[:n])
		return n, err
	}
	return d.text.Write(p)
}

func (d *disk) become(before func(p []byte) (int, error)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.before = before
}

// lines are those that tell of calls.
func (d *disk) lines() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := strings.FieldsFunc(d.text.String(), func(c rune) bool { return c == '\n' })
	return slices.DeleteFunc(all, func(line string) bool { return strings.HasPrefix(line, `{"begin":`) })
}

var errFull = errors.New("no space left on device")

func full([]byte) (int, error) { return 0, errFull }

// call tells the hooks of a call to a key.
func call(h breaker.Hooks, key string, o breaker.Outcome, took time.Duration) {
	h.Done(context.Background(), breaker.Call{Key: key, Outcome: o, Duration: took})
}

func TestLinesAreAsDocumented(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d disk
		r := record.New(&d, nil)
		b := breaker.New("api.example.com", breaker.Config{ConsecutiveFailures: 1, ConsecutiveSpan: -1}, r.Hooks())
		end := func(took time.Duration, o breaker.Outcome) {
			p, err := b.Allow(t.Context())
			require.NoError(t, err)
			time.Sleep(took)
			p.Done(o)
		}
		end(51234567, breaker.Success)
		end(2*time.Second, breaker.Ignored)
		end(100*time.Millisecond, breaker.Failure)
		_, err := b.Allow(t.Context())
		require.Error(t, err)
		require.NoError(t, r.Close())

		assert.Equal(t, []string{
			`{"end":"2000-01-01T00:00:00.051234567Z","key":"api.example.com","took":0.051234567,"outcome":"success"}`,
			`{"end":"2000-01-01T00:00:02.051234567Z","key":"api.example.com","took":2,"outcome":"ignored"}`,
			`{"end":"2000-01-01T00:00:02.151234567Z","key":"api.example.com","took":0.1,"outcome":"failure"}`,
			`{"end":"2000-01-01T00:00:02.151234567Z","key":"api.example.com","outcome":"rejected"}`,
		}, d.lines())
		assert.Equal(t, record.Stats{Written: 4}, r.Stats())
		begin, _, _ := strings.Cut(d.text.String(), "\n")
		assert.Equal(t, `{"begin":"2000-01-01T00:00:00Z"}`, begin)
	})
}

func TestACallThatObserveLetsThroughIsOneLine(t *testing.T) {
	var d disk
	r := record.New(&d, nil)
	b := breaker.New("a", breaker.Config{ConsecutiveFailures: 1, ConsecutiveSpan: -1, Mode: breaker.Observe}, r.Hooks())
	for range 3 {
		p, err := b.Allow(t.Context())
		require.NoError(t, err)
		p.Done(breaker.Failure)
	}
	require.NoError(t, r.Close())
	assert.EqualValues(t, 2, b.Snapshot().Totals.Rejected)
	assert.Len(t, d.lines(), 3)
}

func TestLinesAreWrittenWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d disk
		r := record.New(&d, nil)
		defer r.Close()
		call(r.Hooks(), "a", breaker.Success, 0)
		assert.Empty(t, d.lines())
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Len(t, d.lines(), 1)
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Equal(t, 2, d.writes, "nothing is written where nothing has happened")
	})
}

func TestABusyRecorderWritesBeforeItsBufferIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d disk
		r := record.New(&d, &record.Options{Buffer: 100_000})
		defer r.Close()
		for range 10_000 { // 1 MB
			call(r.Hooks(), "a", breaker.Success, 0)
			synctest.Wait()
		}
		assert.Zero(t, r.Stats().Dropped)
		assert.Greater(t, d.writes, 10)
	})
}

func TestAFullDiskLosesLinesAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d disk
		r := record.New(&d, nil)
		step := func(key string) {
			call(r.Hooks(), key, breaker.Success, 0)
			time.Sleep(time.Second)
			synctest.Wait()
		}
		step("before")
		d.become(full)
		step("lost 1")
		step("lost 2")
		assert.Equal(t, record.Stats{Written: 1, Dropped: 2, Err: errFull}, r.Stats())
		d.become(nil)
		step("after")
		require.ErrorIs(t, r.Close(), errFull)
		assert.Equal(t, record.Stats{Written: 2, Dropped: 2, Err: errFull}, r.Stats())
		lines := d.lines()
		require.Len(t, lines, 3)
		assert.Contains(t, lines[0], `"before"`)
		assert.Contains(t, lines[1], `"after"`)
		assert.Contains(t, lines[2], `"dropped":2}`)
	})
}

func TestALineThatIsTornIsFollowedByANewOne(t *testing.T) {
	for _, taken := range []int{0, 1, 40, 72, 73, 74, 100, 145, 146} {
		t.Run(fmt.Sprint(taken), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var d disk
				r := record.New(&d, nil)
				synctest.Wait() // the beginning is written
				call(r.Hooks(), "first", breaker.Success, 0)
				call(r.Hooks(), "second", breaker.Success, 0)
				d.become(func(p []byte) (int, error) { return min(taken, len(p)), errFull })
				time.Sleep(time.Second)
				synctest.Wait()
				d.become(nil)
				call(r.Hooks(), "third", breaker.Success, 0)
				require.Error(t, r.Close())

				whole, calls := 0, uint64(0)
				for _, line := range d.lines() {
					var l struct{ Dropped uint64 }
					if json.Unmarshal([]byte(line), &l) == nil {
						whole++
						calls += max(1, l.Dropped)
					}
				}
				assert.EqualValues(t, 3, calls, d.lines())
				s := r.Stats()
				assert.EqualValues(t, 3, s.Written+s.Dropped)
				assert.GreaterOrEqual(t, len(d.lines()), whole)
			})
		})
	}
}

func TestAWriterThatHangsDelaysNoCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d disk
		hang := make(chan struct{})
		d.become(func(p []byte) (int, error) { <-hang; return len(p), nil })
		r := record.New(&d, &record.Options{Buffer: 20_000})
		for range 1000 { // all of them in no time: the clock stands still
			call(r.Hooks(), "a", breaker.Failure, time.Second)
			synctest.Wait()
		}
		dropped := r.Stats().Dropped
		assert.Greater(t, dropped, uint64(700))
		d2 := make(chan struct{})
		go func() { _ = r.Close(); close(d2) }()
		close(hang)
		<-d2
		s := r.Stats()
		assert.EqualValues(t, 1000, s.Written+s.Dropped)
		assert.Contains(t, d.lines()[len(d.lines())-1], fmt.Sprintf(`"dropped":%d}`, dropped))
	})
}

func TestAWriterMayMisbehave(t *testing.T) {
	for name, before := range map[string]func(p []byte) (int, error){
		"panics":                       func([]byte) (int, error) { panic("out of order") },
		"takes less without an error":  func(p []byte) (int, error) { return len(p) / 2, nil },
		"fails although it takes all":  func(p []byte) (int, error) { return len(p), errFull },
		"takes nothing and says so":    full,
		"takes nothing and says fine":  func([]byte) (int, error) { return 0, nil },
		"fails with an unhelpful word": func([]byte) (int, error) { return 0, io.EOF },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var d disk
				d.become(before)
				r := record.New(&d, nil)
				for range 10 {
					call(r.Hooks(), "a", breaker.Success, 0)
				}
				assert.Error(t, r.Close())
				s := r.Stats()
				assert.EqualValues(t, 10, s.Written+s.Dropped)
			})
		})
	}
}

func TestNothingIsRecordedAfterClose(t *testing.T) {
	var d disk
	r := record.New(&d, nil)
	require.NoError(t, r.Close())
	require.NoError(t, r.Close())
	call(r.Hooks(), "a", breaker.Success, 0)
	r.Hooks().Rejected(t.Context(), &breaker.OpenError{Key: "a"})
	assert.Equal(t, record.Stats{}, r.Stats())
	assert.Empty(t, d.lines())
}

func TestManyMayRecordAtOnce(t *testing.T) {
	var d disk
	r := record.New(&d, nil)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				call(r.Hooks(), "a", breaker.Success, time.Millisecond)
				_ = r.Stats()
			}
		})
	}
	wg.Wait()
	require.NoError(t, r.Close())
	lines := d.lines()
	require.Len(t, lines, 1600)
	last := ""
	for _, line := range lines {
		var l struct{ End time.Time }
		require.NoError(t, json.Unmarshal([]byte(line), &l))
		now := l.End.Format("2006-01-02T15:04:05.000000000")
		assert.GreaterOrEqual(t, now, last, "times do not go back")
		last = now
	}
}

func TestKeysAreHashedIfAskedFor(t *testing.T) {
	for _, secret := range []string{"s", strings.Repeat("long", 100)} {
		var d disk
		r := record.New(&d, &record.Options{KeySecret: []byte(secret)})
		for _, key := range []string{"api.example.com", "", strings.Repeat("k", 300), "api.example.com"} {
			call(r.Hooks(), key, breaker.Success, 0)
		}
		require.NoError(t, r.Close())
		lines := d.lines()
		require.Len(t, lines, 4)
		for i, key := range []string{"api.example.com", "", strings.Repeat("k", 300), "api.example.com"} {
			mac := hmac.New(sha256.New, []byte(secret))
			mac.Write([]byte(key))
			assert.Contains(t, lines[i], `"key":"`+hex.EncodeToString(mac.Sum(nil)[:8])+`"`)
			assert.NotContains(t, lines[i], "example")
		}
	}
}

func TestALineCostsNoAllocation(t *testing.T) {
	for name, o := range map[string]*record.Options{"plain": nil, "hashed": {KeySecret: []byte("s")}} {
		r := record.New(io.Discard, o)
		h := r.Hooks()
		err := &breaker.OpenError{Key: "api.example.com"}
		allocs := testing.AllocsPerRun(1000, func() {
			call(h, "api.example.com", breaker.Success, 51234567)
			h.Rejected(context.Background(), err)
		})
		assert.Zero(t, allocs, name)
		require.NoError(t, r.Close())
	}
}

func FuzzLineIsJSON(f *testing.F) {
	for _, key := range []string{"api.example.com", `"`, "\\", "\x00\x1f\x7f", "\xff\xfe", "\u2028<>&", "日本"} {
		f.Add(key, int64(1))
	}
	f.Fuzz(func(t *testing.T, key string, took int64) {
		var d disk
		r := record.New(&d, &record.Options{Buffer: 100 + 20*len(key)})
		if took < 0 {
			took = -(took + 1)
		}
		call(r.Hooks(), key, breaker.Failure, time.Duration(took))
		require.NoError(t, r.Close())
		lines := d.lines()
		require.Len(t, lines, 1)
		var l struct {
			Key  string
			Took json.Number
		}
		require.NoError(t, json.Unmarshal([]byte(lines[0]), &l), lines[0])
		assert.Equal(t, strings.ToValidUTF8(key, "\ufffd"), collapse(l.Key))
		want := fmt.Sprintf("%d.%09d", took/1e9, took%1e9)
		assert.Equal(t, strings.TrimRight(strings.TrimRight(want, "0"), "."), l.Took.String())
	})
}

// collapse makes one U+FFFD of several, as strings.ToValidUTF8 does.
func collapse(s string) string {
	for strings.Contains(s, "\ufffd\ufffd") {
		s = strings.ReplaceAll(s, "\ufffd\ufffd", "\ufffd")
	}
	return s
}

func BenchmarkLine(b *testing.B) {
	for name, o := range map[string]*record.Options{"plain": nil, "hashed": {KeySecret: []byte("s")}} {
		b.Run(name, func(b *testing.B) {
			r := record.New(io.Discard, o)
			h := r.Hooks()
			b.ReportAllocs()
			for b.Loop() {
				call(h, "api.example.com", breaker.Success, 51234567)
			}
			b.ReportMetric(float64(r.Stats().Dropped)/float64(b.N), "dropped/op")
			_ = r.Close()
		})
	}
}

// BenchmarkCall is a call through a circuit with and without a recorder.
func BenchmarkCall(b *testing.B) {
	r := record.New(io.Discard, nil)
	defer r.Close()
	for _, c := range []struct {
		name  string
		hooks []breaker.Hooks
	}{
		{"not recorded", nil},
		{"an empty hook", []breaker.Hooks{{Done: func(context.Context, breaker.Call) {}}}},
		{"recorded", []breaker.Hooks{r.Hooks()}},
	} {
		b.Run(c.name, func(b *testing.B) {
			circuit := breaker.New("api.example.com", breaker.Config{}, c.hooks...)
			b.ReportAllocs()
			for b.Loop() {
				p, _ := circuit.Allow(context.Background())
				p.Done(breaker.Success)
			}
		})
	}
}
