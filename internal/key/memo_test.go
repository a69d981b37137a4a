package key

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMemoAllocatesNothingBeforeItsFirstKeyAndGrowsWithThem(t *testing.T) {
	var m memo
	_, ok := m.get(443, "a.test")
	assert.False(t, ok)
	assert.Nil(t, m.places.Load())

	m.put(443, "a.test", "a.test")
	assert.Len(t, m.places.Load().slots, fewestPlaces)
	remembered := func(n int) (got int) {
		for i := range n {
			s := strconv.Itoa(i)
			m.put(80, s, s+":80")
		}
		for i := range n {
			s := strconv.Itoa(i)
			if key, ok := m.get(80, s); ok {
				require.Equal(t, s+":80", key)
				got++
			}
		}
		return got
	}
	assert.Greater(t, remembered(1000), 950)
	assert.Greater(t, remembered(100_000), mostPlaces/2)
	assert.Len(t, m.places.Load().slots, mostPlaces)
}

func TestMemoTellsNumbersAndStringsApart(t *testing.T) {
	var m memo
	m.put(80, "h", "h:80")
	m.put(443, "h", "h")
	for n, want := range map[int]string{80: "h:80", 443: "h"} {
		key, ok := m.get(n, "h")
		assert.True(t, ok)
		assert.Equal(t, want, key)
	}
	_, ok := m.get(0, "h")
	assert.False(t, ok)
	_, ok = m.get(80, "g")
	assert.False(t, ok)
	for n := 1000; n < 1000+4*fewestPlaces; n++ { // in either place
		_, ok = m.get(n, "h")
		assert.False(t, ok)
	}
}

// What is remembered must not keep a long URL alive.
func TestMemoKeepsNoPieceOfALongString(t *testing.T) {
	var m memo
	long := strings.Repeat("x", 1000) + "h.test"
	m.put(80, long[1000:], "h.test:80")
	for i := range m.places.Load().slots {
		if e := m.places.Load().slots[i].Load(); e != nil {
			assert.NotSame(t, unsafe.StringData(long[1000:]), unsafe.StringData(e.s))
			return
		}
	}
	t.Error("nothing remembered")
}

func TestMemoIsRightWhileItGrows(t *testing.T) {
	var m memo
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := w; i < 20_000; i++ {
				s := strconv.Itoa(i)
				m.put(80, s, s+":80")
				if key, ok := m.get(80, s); ok && key != s+":80" {
					t.Errorf("%s for %s", key, s)
				}
			}
		})
	}
	wg.Wait()
}
