//go:build unix

package breakerredis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerredis/fleet"
)

// step is a report at a moment, and what the store in memory made of it.
type step struct {
	at      time.Duration
	report  fleet.Report
	verdict fleet.Verdict
}

// The script reaches the same verdicts as the store in memory: the same random
// history is played to both. Only the clock of the script is replaced.
func TestTheScriptDoesWhatTheStoreInMemoryDoes(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := redis.NewClient(&redis.Options{Addr: s.addr})
	defer client.Close()
	const clock = "redis.call('TIME')"
	require.Equal(t, 1, strings.Count(reportLua, clock))
	script := redis.NewScript(strings.Replace(reportLua, clock, "{ARGV[14], ARGV[15]}", 1))

	opened, closed, leases, good := 0, 0, 0, 0
	for seed := range uint64(20) {
		e := newEngine(ownClient{}, fmt.Sprintf("seed-%d", seed))
		var last fleet.Verdict
		for i, step := range history(t, seed) {
			keys, args := e.reportArgs(step.report)
			args = append(args, int64(step.at/time.Second), int64(step.at%time.Second/time.Microsecond))
			numbers, err := script.Run(context.Background(), client, keys, args...).Int64Slice()
			require.NoError(t, err)
			require.Equal(t, step.verdict, verdictOf(numbers), "seed %d, step %d: %+v", seed, i, step.report)
			v := step.verdict
			if v.Incident != 0 && last.Incident == 0 {
				opened++
			}
			if v.Incident == 0 && last.Incident != 0 {
				closed++
			}
			if v.Lease > 0 {
				leases++
			}
			if step.report.Probe == fleet.Good && v.Incident != 0 {
				good++
			}
			last = v
		}
	}
	t.Logf("%d incidents, %d ends, %d leases, %d good probes that were not enough", opened, closed, leases, good)
	assert.Greater(t, opened, 50)
	assert.Greater(t, closed, 40)
	assert.Greater(t, leases, 200)
	assert.Greater(t, good, 10)
}

// history plays random reports to a store in memory, in virtual time.
func history(t *testing.T, seed uint64) (steps []step) {
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(seed, 1))
		start := time.Now()
		engine := fleet.NewMemory().Connect(fleet.Link{})
		nodes := []int{3, 6, 30}[rng.IntN(3)]
		mood := 0.9
		leased, known := map[string]int64{}, map[string]int64{}
		for range 600 {
			time.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond)
			if rng.IntN(100) == 0 {
				mood = rng.Float64()
			}
			r := fleet.Report{
				Key: "h", Node: fmt.Sprint(rng.IntN(nodes)), Opinion: fleet.Opinion(rng.IntN(2)),
				TTL: time.Duration(1000+rng.IntN(9000)) * time.Millisecond, Rejected: rng.IntN(40),
				Rate:  float64(rng.IntN(3)) / 2,
				Rules: fleet.Rules{MinNodes: 2 + rng.IntN(2), Quorum: 0.75, MaxOpenFor: time.Duration(20+rng.IntN(20)) * time.Second},
			}
			if rng.Float64() < mood {
				r.Opinion = fleet.Bad
			}
			if rng.IntN(3) > 0 {
				r.Incident = known[r.Node]
			}
			if at, ok := leased[r.Node]; ok && rng.IntN(2) == 0 {
				delete(leased, r.Node)
				r.Round, r.Probe = at, fleet.Bad
				if rng.Float64() > mood {
					r.Probe = fleet.Good
				}
			}
			at := time.Since(start)
			verdicts, err := engine.Report(t.Context(), []fleet.Report{r})
			require.NoError(t, err)
			v := verdicts[0]
			if v.Lease > 0 {
				leased[r.Node] = v.Round
			}
			known[r.Node] = v.Incident
			steps = append(steps, step{at, r, v})
		}
	})
	return steps
}
