package main

import (
	"bytes"
	"context"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// want is what the example prints, but for the real time that calls took.
const want = `invoice 1: written for Ada
invoice 2: written for Grace
(the database goes down, for the next four calls)
invoice 3: memory: connection refused
invoice 3: memory: connection refused
invoice 3: memory: connection refused
invoice 3: waits: breaker: circuit "invoices-db" is open: 3 calls in a row failed; last failure: memory: connection-refused; next try in 200ms
invoice 3: memory: connection refused
invoice 3: waits: breaker: circuit "invoices-db" is open for 200ms: a probe failed, after: 3 calls in a row failed; last failure: memory: connection-refused; next try in 400ms
invoice 3: written for Barbara
invoice 2: dropped: memory: duplicate key
invoice 4: dropped: no such customer
9 calls succeeded, 4 failed, 2 were rejected; the circuit opened 2 times.
`

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var out bytes.Buffer
		require.NoError(t, run(t.Context(), &out))
		assert.Equal(t, want, out.String())
		assert.Equal(t, 600*time.Millisecond, time.Since(began))
	})
}

// TestRunInRealTime runs the example as a user does.
func TestRunInRealTime(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	times := regexp.MustCompile(` over [^;]*| for [0-9.]+m?s|next try in .*`)
	assert.Equal(t, times.ReplaceAllString(want, ""), times.ReplaceAllString(out.String(), ""))
}

func TestRunStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		var out bytes.Buffer
		assert.ErrorIs(t, run(ctx, &out), context.DeadlineExceeded, "it waits for the circuit then")
		assert.Contains(t, out.String(), "a probe failed, after: 3 calls in a row failed; last failure: memory: connection-refused; next try in 400ms")
	})
}
