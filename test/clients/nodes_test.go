package clients

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
)

// elasticsearch asks its nodes in turn, and the next attempt goes to the next node. Where
// there are several, an open circuit should not end the retries.
func TestSeveralNodesOfElasticsearch(t *testing.T) {
	one, other := newHost(t, elastic.answer), newHost(t, elastic.answer)
	for _, told := range []bool{false, true} {
		circuits := opensAfter(2)
		circuits.Get(one.name()).Trip(time.Hour, "test")
		call := callElastic(t, setup{config: one.config(t, circuits), told: told}, one.URL, other.URL)
		var rejected int
		for range 2 {
			if err := call(t.Context()); err != nil {
				require.ErrorIs(t, err, httpbreaker.ErrOpen)
				rejected++
			}
		}
		if told {
			assert.Equal(t, 1, rejected)
		} else {
			assert.Zero(t, rejected)
		}
	}
	assert.Zero(t, one.asked.Load())
}

// OpenSearch ends the call that is rejected, and then leaves that node out for a while.
func TestSeveralNodesOfOpenSearch(t *testing.T) {
	one, other := newHost(t, openSearch.answer), newHost(t, openSearch.answer)
	circuits := opensAfter(2)
	circuits.Get(one.name()).Trip(time.Hour, "test")
	call := callOpenSearch(t, setup{config: one.config(t, circuits)}, one.URL, other.URL)
	var rejected int
	for range 10 {
		if err := call(t.Context()); err != nil {
			require.ErrorIs(t, err, httpbreaker.ErrOpen)
			rejected++
		}
	}
	assert.Equal(t, 1, rejected)
	assert.Zero(t, one.asked.Load())
}
