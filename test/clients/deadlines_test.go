package clients

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// Callers with deadlines below what the host ordinarily takes open its circuit for
// everybody, unless told apart. Deadlines that leave it time enough count all the same.
func TestShortDeadlines(t *testing.T) {
	for _, test := range []struct {
		name     string
		deadline time.Duration
		apart    bool
		want     breaker.Totals
	}{
		{"by default", 10 * time.Millisecond, false, breaker.Totals{Failures: 2}},
		{"told apart", 10 * time.Millisecond, true, breaker.Totals{Ignored: 2}},
		{"long enough", 600 * time.Millisecond, true, breaker.Totals{Failures: 2}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h, circuits := newHost(t, prometheus.answer), opensAfter(3)
			hang := faults["hang"]
			h.fault.Store(&hang)
			config := h.config(t, circuits)
			if test.apart {
				config.Classify = httpbreaker.DeadlinesOver(nil, 500*time.Millisecond)
			}
			call := prometheus.connect(t, setup{url: h.URL, config: config})
			for range 2 {
				ctx, cancel := context.WithTimeout(t.Context(), test.deadline)
				require.ErrorIs(t, call(ctx), context.DeadlineExceeded)
				cancel()
			}
			assert.Equal(t, test.want, circuits.Get(h.name()).Snapshot().Totals)
		})
	}
}
