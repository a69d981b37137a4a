package statuspage

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// pastOf is what the page is told of a key.
func pastOf(t *testing.T, h *handler, key string) past {
	t.Helper()
	doc := decode[document](t, get(h, "/circuits?history"))
	for _, e := range doc.Circuits {
		if e.Key == key {
			require.NotNil(t, e.History)
			return e.past
		}
	}
	t.Fatalf("no circuit %q", key)
	return past{}
}

// A page that is opened after the alert shows what led to it: nobody has looked
// before.
func TestHistoryBeforeAnybodyLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := breaker.NewSet(breaker.Options{Config: breaker.Config{Window: 3 * time.Second, OpenFor: 30 * time.Second, Jitter: -1}})
		h := New(set, nil).(*handler)
		b := set.Get("a")
		for range 150 { // a minute with one failure in four
			end(b, breaker.Success, 3)
			end(b, breaker.Failure, 1)
			time.Sleep(400 * time.Millisecond)
		}
		for b.State() == breaker.Closed {
			end(b, breaker.Failure, 1)
			time.Sleep(100 * time.Millisecond)
		}
		counts := b.Snapshot().Counts
		opened := time.Now()
		time.Sleep(31 * time.Second)
		end(b, breaker.Failure, 1) // the probe
		time.Sleep(12 * time.Second)

		p := pastOf(t, h, "a")
		assert.Equal(t, historyStep, p.History.Step)
		require.Equal(t, len(p.History.Rates), len(p.History.States))
		now := len(p.History.States)
		open := int(time.Since(opened) / historyStep)
		assert.InDelta(t, open, strings.Count(p.History.States, "o"), 1)
		assert.Equal(t, strings.Repeat("o", open-1), p.History.States[now-open+1:], "a probe does not hide that it is open")
		before := p.History.States[:now-open-1]
		assert.Equal(t, strings.Repeat("c", len(before)), before)
		for _, rate := range p.History.Rates[2 : now-open-3] {
			assert.InDelta(t, 25, rate, 15)
		}
		for _, rate := range p.History.Rates[now-open+1:] {
			assert.Equal(t, -1, rate, "no calls")
		}
		require.NotNil(t, p.OpenedOn)
		assert.Equal(t, counts.Failures, p.OpenedOn.Failures, "the counts that opened it")

		time.Sleep(9 * time.Minute)
		p = pastOf(t, h, "a")
		assert.Equal(t, strings.Repeat("o", historySlots), p.History.States, "five minutes and no more")
		assert.Equal(t, slices.Repeat([]int{-1}, historySlots), p.History.Rates)
		b.Reset("test")
		assert.Nil(t, pastOf(t, h, "a").OpenedOn, "closed")
		time.Sleep(historySlots * historyStep)
		assert.Equal(t, strings.Repeat("c", historySlots), pastOf(t, h, "a").History.States)
	})
}

// What was not seen is not told: not as no failures either.
func TestHistoryOfACircuitThatIsFirstLookedAtNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := newSet("open", "closed")
		time.Sleep(10 * time.Second)
		h := New(set, nil).(*handler)
		p := pastOf(t, h, "open")
		assert.Equal(t, "oooo", p.History.States, "since it opened")
		assert.Equal(t, []int{-1, -1, -1, -1}, p.History.Rates)
		assert.Nil(t, p.OpenedOn)
		assert.Equal(t, "cccc", pastOf(t, h, "closed").History.States)

		end(set.Get("closed"), breaker.Success, 1)
		time.Sleep(historyStep)
		assert.Equal(t, []int{-1, -1, -1, -1, 0}, pastOf(t, h, "closed").History.Rates)
	})
}

// Nobody has looked while it was open.
func TestHistoryOfAnOutageThatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := newSet("open")
		time.Sleep(3 * historyStep)
		h := New(set, nil).(*handler)
		set.Get("open").Reset("test")
		assert.Equal(t, "oooo", pastOf(t, h, "open").History.States)
	})
}

func TestHistoryLooksOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := newSet()
		h := New(set, nil).(*handler)
		b := set.Get("a")
		rate := func() int {
			rates := h.histories.byKey["a"].past().History.Rates
			return rates[len(rates)-1]
		}
		end(b, breaker.Success, 3)
		end(b, breaker.Failure, 1)
		assert.Equal(t, 25, rate())
		end(b, breaker.Failure, 1)
		assert.Equal(t, 25, rate())
		time.Sleep(sampleEvery)
		end(b, breaker.Failure, 1)
		assert.Equal(t, 50, rate())
		end(b, breaker.Success, 4)
		time.Sleep(sampleEvery)
		pastOf(t, h, "a")
		assert.Equal(t, 50, rate(), "the highest")
	})
}

func TestHistoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := breaker.NewSet(breaker.Options{})
		hs := New(set, nil).(*handler).histories
		failing := func(key string) { hs.failed(breaker.Call{Key: key}) }
		for i := range 3 * historyKeys {
			failing(fmt.Sprint(i))
		}
		assert.Len(t, hs.byKey, historyKeys)
		assert.Contains(t, hs.byKey, "0")
		for range 150 { // the first goes on failing, the others are quiet
			time.Sleep(2 * time.Second)
			failing("0")
		}
		failing("new")
		assert.Contains(t, hs.byKey, "0")
		assert.Contains(t, hs.byKey, "new")
		assert.Len(t, hs.byKey, 2, "who was quiet for five minutes makes room")
	})
}

// Transitions may be told late, and be older than what was seen since.
func TestHistoryOfLateTransitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := newSet("a", "well")
		h := New(set, nil).(*handler)
		at := time.Now()
		for _, late := range []time.Duration{0, time.Second, time.Minute, time.Hour} {
			time.Sleep(late)
			pastOf(t, h, "a")
			h.histories.stateChanged(breaker.Transition{Key: "a", From: breaker.Open, To: breaker.HalfOpen, At: at, Since: at.Add(-time.Hour)})
			h.histories.stateChanged(breaker.Transition{Key: "b", From: breaker.Closed, To: breaker.Open, At: at, Since: at.Add(-24 * time.Hour)})
			assert.True(t, strings.HasSuffix(h.histories.byKey["b"].past().History.States, "o"))
			h.histories.stateChanged(breaker.Transition{Key: "well", From: breaker.Closed, To: breaker.Open, At: at, Since: at})
			pastOf(t, h, "a")
		}
		time.Sleep(4 * historyStep)
		assert.True(t, strings.HasSuffix(pastOf(t, h, "well").History.States, "occcc"), "as it is")
	})

	h := history{newest: 300}
	h.was(breaker.Open, 0, 250)
	assert.Equal(t, 50, bytes.Count(h.states[:], []byte("o")), "of the last five minutes")
	failing := breaker.Snapshot{Counts: breaker.Counts{Calls: 1, Failures: 1}}
	h.sample(200, &failing)
	assert.Zero(t, h.rates[0], "older than that")
	h.sample(201, &failing)
	assert.EqualValues(t, 100, h.rates[1])
	failing.State = breaker.Open
	h.sample(300, &failing)
	assert.Zero(t, h.rates[0], "an open circuit has no rate")
}

func BenchmarkHistoryOfAFailure(b *testing.B) {
	set := newSet("a")
	hs := New(set, nil).(*handler).histories
	c := breaker.Call{Key: "a"}
	for b.Loop() {
		hs.failed(c)
	}
}
