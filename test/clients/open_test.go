package clients

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// Through an open circuit nothing is sent, so these tests run in virtual time: with the
// waits that each library comes with, and at no cost.

func TestAttemptsAtAnOpenCircuit(t *testing.T) {
	for _, lib := range libraries {
		for _, told := range []bool{false, true} {
			want, name := lib.plain, lib.name+" as it comes"
			if told {
				want, name = lib.told, lib.name+" as docs say"
			}
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					cut := allOpen()
					call := lib.connect(t, setup{url: nowhere, config: httpbreaker.Config{Breakers: cut}, told: told})
					start := time.Now()
					err := call(t.Context())
					took := time.Since(start)

					assert.Equal(t, want.attempts, rejections(cut))
					assert.GreaterOrEqual(t, took, want.least)
					assert.LessOrEqual(t, took, want.most)
					require.Error(t, err)
					assert.Equal(t, !want.lost, errors.Is(err, httpbreaker.ErrOpen), "%v", err)
				})
			})
		}
	}
}

// A client that sleeps on until its caller's deadline reports the deadline, and nobody
// learns of the circuit.
func TestADeadlineWhileAClientWaitsHidesTheCircuit(t *testing.T) {
	for _, lib := range libraries {
		t.Run(lib.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
				defer cancel()
				config := httpbreaker.Config{Breakers: allOpen()}
				require.ErrorIs(t, lib.connect(t, setup{url: nowhere, config: config, told: true})(ctx), httpbreaker.ErrOpen)
				if lib.plain.least > 250*time.Millisecond && !lib.plain.lost {
					err := lib.connect(t, setup{url: nowhere, config: config})(ctx)
					require.ErrorIs(t, err, context.DeadlineExceeded)
					require.NotErrorIs(t, err, httpbreaker.ErrOpen)
				}
			})
		})
	}
}

// minio-go has no way to be told, except by an answer. Then it may keep its retries.
func TestAnAnswerEndsTheRetriesOfMinio(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cut := allOpen()
		config := httpbreaker.Config{
			Breakers: cut,
			Fallback: httpbreaker.Respond(http.StatusFailedDependency, nil, []byte(`<Error><Code>CircuitOpen</Code></Error>`)),
		}
		start := time.Now()
		require.ErrorIs(t, connectMinio(t, setup{url: nowhere, config: config})(t.Context()), httpbreaker.ErrOpen)
		assert.Zero(t, time.Since(start))
		assert.EqualValues(t, 1, rejections(cut))
	})
}

// nowhere is never asked.
const nowhere = "http://192.0.2.1:80"

// allOpen makes circuits that are all forced open.
func allOpen() *breaker.Set {
	return breaker.NewSet(breaker.Options{Config: breaker.Config{Mode: breaker.ForceOpen}})
}

// rejections counts them.
func rejections(circuits *breaker.Set) (n uint64) {
	for _, circuit := range circuits.All() {
		n += circuit.Snapshot().Totals.Rejected
	}
	return n
}
