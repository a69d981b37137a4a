package breakerprom_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerprom"
)

func call(set *breaker.Set, key string, n int, o breaker.Outcome) {
	for range n {
		if permit, err := set.Get(key).Allow(context.Background()); err == nil {
			permit.Done(o)
		}
	}
}

// scrape returns what Prometheus would get.
func scrape(t testing.TB, c prometheus.Collector) string {
	reg := prometheus.NewPedanticRegistry()
	require.NoError(t, reg.Register(c))
	w := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	require.Equal(t, 200, w.Code, w.Body)
	return w.Body.String()
}

func TestEverySeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := breaker.NewSet(breaker.Options{Config: breaker.Config{
			ConsecutiveSpan: -1, Jitter: -1, ProbeShare: -1, SlowCall: time.Second, SlowRate: -1}})
		call(set, "up", 7, breaker.Success)
		call(set, "up", 1, breaker.Ignored)
		slow, err := set.Get("up").Allow(t.Context())
		require.NoError(t, err)
		late, err := set.Get("down").Allow(t.Context())
		require.NoError(t, err)
		time.Sleep(1500 * time.Millisecond) // the bubble's clock starts at 2000-01-01
		slow.Done(breaker.Success)
		call(set, "down", 8, breaker.Failure)
		late.Done(breaker.Success)
		inFlight, err := set.Get("up").Allow(t.Context())
		require.NoError(t, err)
		defer inFlight.Done(breaker.Ignored)
		set.Get("up").SetMode(breaker.Observe, "test")
		time.Sleep(2500 * time.Millisecond)

		require.NoError(t, testutil.CollectAndCompare(breakerprom.NewCollector(set, nil), strings.NewReader(`
# HELP httpbreaker_circuit_answered_calls Calls that were answered and have not ended: their bodies are still open.
# TYPE httpbreaker_circuit_answered_calls gauge
httpbreaker_circuit_answered_calls{key="down"} 0
httpbreaker_circuit_answered_calls{key="up"} 0
# HELP httpbreaker_circuit_calls_total Calls that ended in the state of the circuit in which they were admitted, by outcome: success, failure or ignored.
# TYPE httpbreaker_circuit_calls_total counter
httpbreaker_circuit_calls_total{key="down",outcome="failure"} 5
httpbreaker_circuit_calls_total{key="down",outcome="ignored"} 0
httpbreaker_circuit_calls_total{key="down",outcome="success"} 0
httpbreaker_circuit_calls_total{key="up",outcome="failure"} 0
httpbreaker_circuit_calls_total{key="up",outcome="ignored"} 1
httpbreaker_circuit_calls_total{key="up",outcome="success"} 8
# HELP httpbreaker_circuit_in_flight_calls Calls that were let through and have neither been answered nor ended.
# TYPE httpbreaker_circuit_in_flight_calls gauge
httpbreaker_circuit_in_flight_calls{key="down"} 0
httpbreaker_circuit_in_flight_calls{key="up"} 1
# HELP httpbreaker_circuit_late_calls_total Calls that ended after the state in which they were admitted had passed; they have no outcome.
# TYPE httpbreaker_circuit_late_calls_total counter
httpbreaker_circuit_late_calls_total{key="down"} 1
httpbreaker_circuit_late_calls_total{key="up"} 0
# HELP httpbreaker_circuit_let_through_ratio Share of the calls that is let through: 1 closed, 0 open or being probed, something between while a share is rejected or in a slow start.
# TYPE httpbreaker_circuit_let_through_ratio gauge
httpbreaker_circuit_let_through_ratio{key="down"} 0
httpbreaker_circuit_let_through_ratio{key="up"} 1
# HELP httpbreaker_circuit_mode Always 1; the label mode is the circuit's mode: enforce, observe, force-open or disabled.
# TYPE httpbreaker_circuit_mode gauge
httpbreaker_circuit_mode{key="down",mode="enforce"} 1
httpbreaker_circuit_mode{key="up",mode="observe"} 1
# HELP httpbreaker_circuit_open_time_seconds_total How long the circuit has been open; half-open time is not in it.
# TYPE httpbreaker_circuit_open_time_seconds_total counter
httpbreaker_circuit_open_time_seconds_total{key="down"} 2.5
httpbreaker_circuit_open_time_seconds_total{key="up"} 0
# HELP httpbreaker_circuit_openings_total How often the circuit opened, after a failed probe included.
# TYPE httpbreaker_circuit_openings_total counter
httpbreaker_circuit_openings_total{key="down"} 1
httpbreaker_circuit_openings_total{key="up"} 0
# HELP httpbreaker_circuit_origin Always 1, absent while the circuit is closed; the label origin says who moved it into its state: rules, probe, peer, operator or fleet.
# TYPE httpbreaker_circuit_origin gauge
httpbreaker_circuit_origin{key="down",origin="rules"} 1
# HELP httpbreaker_circuit_outage_start_timestamp_seconds When the circuit left closed, in seconds since the epoch, however often it was probed since; absent while the rules have it closed.
# TYPE httpbreaker_circuit_outage_start_timestamp_seconds gauge
httpbreaker_circuit_outage_start_timestamp_seconds{key="down"} 9.466848015e+08
# HELP httpbreaker_circuit_rejected_calls_total Calls that were not let through; in mode observe, that would not have been.
# TYPE httpbreaker_circuit_rejected_calls_total counter
httpbreaker_circuit_rejected_calls_total{key="down"} 3
httpbreaker_circuit_rejected_calls_total{key="up"} 0
# HELP httpbreaker_circuit_since_timestamp_seconds When the circuit came into its state, in seconds since the epoch.
# TYPE httpbreaker_circuit_since_timestamp_seconds gauge
httpbreaker_circuit_since_timestamp_seconds{key="down"} 9.466848015e+08
httpbreaker_circuit_since_timestamp_seconds{key="up"} 9.466848e+08
# HELP httpbreaker_circuit_slow_calls_total Calls, among those with an outcome, that took SlowCall or longer.
# TYPE httpbreaker_circuit_slow_calls_total counter
httpbreaker_circuit_slow_calls_total{key="down"} 0
httpbreaker_circuit_slow_calls_total{key="up"} 1
# HELP httpbreaker_circuit_state State of the circuit: 0 closed, 0.5 half-open, 1 open.
# TYPE httpbreaker_circuit_state gauge
httpbreaker_circuit_state{key="down"} 1
httpbreaker_circuit_state{key="up"} 0
# HELP httpbreaker_circuit_until_timestamp_seconds When the open circuit is tried again, in seconds since the epoch; absent when no time is set. In the past, the next call is the probe.
# TYPE httpbreaker_circuit_until_timestamp_seconds gauge
httpbreaker_circuit_until_timestamp_seconds{key="down"} 9.466848065e+08
# HELP httpbreaker_set_circuits Circuits in the set, one for each key, by state.
# TYPE httpbreaker_set_circuits gauge
httpbreaker_set_circuits{state="closed"} 1
httpbreaker_set_circuits{state="half-open"} 0
httpbreaker_set_circuits{state="open"} 1
# HELP httpbreaker_set_demoted_keys_total Keys with an open or forced circuit that were reduced to a record to make room.
# TYPE httpbreaker_set_demoted_keys_total counter
httpbreaker_set_demoted_keys_total 0
# HELP httpbreaker_set_evicted_active_keys_total Keys that were given up although they were in use, with their counts: the set is too small.
# TYPE httpbreaker_set_evicted_active_keys_total counter
httpbreaker_set_evicted_active_keys_total 0
# HELP httpbreaker_set_evicted_keys_total Keys with a closed circuit that were given up to make room.
# TYPE httpbreaker_set_evicted_keys_total counter
httpbreaker_set_evicted_keys_total 0
# HELP httpbreaker_set_forgotten_records_total Records of open circuits that were lost because there was no room for them either.
# TYPE httpbreaker_set_forgotten_records_total counter
httpbreaker_set_forgotten_records_total 0
# HELP httpbreaker_set_records Open circuits that the full set remembers by a deadline only.
# TYPE httpbreaker_set_records gauge
httpbreaker_set_records 0
`)))
	})
}

func TestHalfOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := breaker.NewSet(breaker.Options{})
		b := set.Get("host")
		b.Trip(time.Second, "test")
		time.Sleep(2 * time.Second)
		probe, err := b.Allow(t.Context())
		require.NoError(t, err)
		defer probe.Done(breaker.Success)

		out := scrape(t, breakerprom.NewCollector(set, nil))
		assert.Contains(t, out, "httpbreaker_circuit_state{key=\"host\"} 0.5\n")
		assert.Contains(t, out, "httpbreaker_set_circuits{state=\"half-open\"} 1\n")
		assert.Contains(t, out, "httpbreaker_circuit_open_time_seconds_total{key=\"host\"} 2\n")
		assert.NotContains(t, out, "httpbreaker_circuit_until")
	})
}

func TestEvictions(t *testing.T) {
	set := breaker.NewSet(breaker.Options{MaxKeys: 2})
	call(set, "a", 1, breaker.Success)
	call(set, "b", 1, breaker.Success)
	call(set, "c", 1, breaker.Success) // for a or b
	for _, key := range []string{"c", "d", "e"} {
		set.Get(key).Trip(time.Hour, "test") // e for one that is open
	}
	stats := set.Stats()
	require.NotZero(t, stats.Evicted)
	require.NotZero(t, stats.Demoted)

	out := scrape(t, breakerprom.NewCollector(set, nil))
	assert.Contains(t, out, fmt.Sprintf("httpbreaker_set_evicted_keys_total %d\n", stats.Evicted))
	assert.Contains(t, out, fmt.Sprintf("httpbreaker_set_evicted_active_keys_total %d\n", stats.EvictedActive))
	assert.Contains(t, out, fmt.Sprintf("httpbreaker_set_demoted_keys_total %d\n", stats.Demoted))
	assert.Contains(t, out, fmt.Sprintf("httpbreaker_set_records %d\n", stats.Records))
	assert.Contains(t, out, "httpbreaker_set_circuits{state=\"open\"} 2\n")
}

func TestRemovedKeysDisappear(t *testing.T) {
	set := breaker.NewSet(breaker.Options{})
	call(set, "stays", 1, breaker.Success)
	call(set, "goes", 1, breaker.Success)
	c := breakerprom.NewCollector(set, nil)
	require.Contains(t, scrape(t, c), `"goes"`)

	set.Remove("goes")
	out := scrape(t, c)
	assert.NotContains(t, out, `"goes"`)
	assert.Contains(t, out, `"stays"`)
}

func TestKeysThatAreNoLabels(t *testing.T) {
	set := breaker.NewSet(breaker.Options{})
	for _, key := range []string{"", "other", `"other"`, "a\xff", "a\xfe", "line\nbreak", `<script>"'\`, "höst", strings.Repeat("x", 10_000)} {
		call(set, key, 1, breaker.Success)
	}
	for i := range 20 {
		call(set, fmt.Sprint("host", i), 10, breaker.Success)
	}
	out := scrape(t, breakerprom.NewCollector(set, &breakerprom.Options{MaxKeys: -1}))
	for _, label := range []string{`"\"\""`, `"\"other\""`, `"\"a\\xff\""`, `"\"a\\xfe\""`, `"line\nbreak"`, `"<script>\"'\\"`} {
		assert.Contains(t, out, "{key="+label+"}")
	}
	assert.NotContains(t, out, `{key="other"}`)

	c := breakerprom.NewCollector(set, &breakerprom.Options{MaxKeys: 5})
	out = scrape(t, c)
	assert.Contains(t, out, `httpbreaker_circuit_calls_total{key="other",outcome="success"} 159`)
	assert.NotContains(t, out, `httpbreaker_circuit_state{key="other"}`)
	assert.Equal(t, 5, strings.Count(out, "httpbreaker_circuit_state{"))
}

// Two scrapers of one collector, while calls go on, see nothing fall.
func TestConcurrentScrapes(t *testing.T) {
	set := breaker.NewSet(breaker.Options{})
	c := breakerprom.NewCollector(set, &breakerprom.Options{MaxKeys: 2})
	var wg sync.WaitGroup
	for worker := range 3 {
		wg.Go(func() {
			for i := range 30 {
				call(set, fmt.Sprint("host", (worker+i)%5), 20, breaker.Success)
				scrape(t, c)
			}
		})
	}
	wg.Wait()
	n, err := testutil.GatherAndCount(registryOf(t, c), "httpbreaker_circuit_state")
	require.NoError(t, err)
	assert.Equal(t, 2, n)
}

func TestNoSet(t *testing.T) {
	assert.Panics(t, func() { breakerprom.NewCollector(nil, nil) })
}

func TestTwoCollectorsInOneRegistry(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	for _, client := range []string{"billing", "search"} {
		set := breaker.NewSet(breaker.Options{})
		call(set, "host", 1, breaker.Success)
		prometheus.WrapRegistererWith(prometheus.Labels{"client": client}, reg).
			MustRegister(breakerprom.NewCollector(set, nil))
	}
	n, err := testutil.GatherAndCount(reg, "httpbreaker_circuit_state")
	require.NoError(t, err)
	assert.Equal(t, 2, n)
}

func registryOf(t testing.TB, c prometheus.Collector) *prometheus.Registry {
	reg := prometheus.NewPedanticRegistry()
	require.NoError(t, reg.Register(c))
	return reg
}

// The names, units and help texts keep Prometheus' conventions.
func TestPromtoolCheckMetrics(t *testing.T) {
	promtool := program(t, "promtool")
	set := breaker.NewSet(breaker.Options{})
	call(set, "up", 1, breaker.Success)
	set.Get("down").Trip(time.Hour, "test")

	check := exec.Command(promtool, "check", "metrics")
	check.Stdin = strings.NewReader(scrape(t, breakerprom.NewCollector(set, &breakerprom.Options{MaxKeys: 1})))
	out, err := check.CombinedOutput()
	assert.NoError(t, err)
	assert.Empty(t, string(out))
}

func TestPromtoolRules(t *testing.T) {
	promtool := program(t, "promtool")
	for _, args := range [][]string{
		{"check", "rules", "alerts.yml"},
		{"test", "rules", "testdata/alerts_test.yml"},
	} {
		out, err := exec.Command(promtool, args...).CombinedOutput()
		assert.NoError(t, err, "%s\n%s", args, out)
	}
}

func TestTenThousandKeys(t *testing.T) {
	set := breaker.NewSet(breaker.Options{})
	for i := range 10_000 {
		call(set, fmt.Sprintf("host%d.example.com", i), 1, breaker.Success)
	}
	out := scrape(t, breakerprom.NewCollector(set, nil))
	assert.Equal(t, 100, strings.Count(out, "httpbreaker_circuit_state{"))
	assert.Contains(t, out, `httpbreaker_circuit_calls_total{key="other",outcome="success"} 9900`)
	assert.Contains(t, out, `httpbreaker_set_circuits{state="closed"} 10000`)
}

// A flood: ten thousand circuits in trouble cost no more series than others.
func TestTenThousandKeysInTrouble(t *testing.T) {
	set := breaker.NewSet(breaker.Options{})
	for i := range 10_000 {
		set.Get(fmt.Sprintf("host%d.example.com", i)).Trip(time.Hour, "test")
	}
	start := time.Now()
	out := scrape(t, breakerprom.NewCollector(set, nil))
	t.Logf("%d bytes in %v", len(out), time.Since(start).Round(time.Millisecond))
	assert.Equal(t, 100, strings.Count(out, "httpbreaker_circuit_state{"))
	assert.Equal(t, 100, strings.Count(out, "httpbreaker_circuit_origin{"))
	assert.Contains(t, out, `httpbreaker_set_circuits{state="open"} 10000`)
	assert.Less(t, len(out), 300_000)
	assert.Less(t, time.Since(start), 5*time.Second) // the benchmark measures it; this only notices a blunder
}

func BenchmarkScrape(b *testing.B) {
	set := breaker.NewSet(breaker.Options{})
	for i := range 10_000 {
		call(set, fmt.Sprintf("host%d.example.com", i), 1, breaker.Success)
	}
	for name, maxKeys := range map[string]int{"keys=10000/series=100": 0, "keys=10000/series=10000": -1} {
		b.Run(name, func(b *testing.B) {
			reg := prometheus.NewRegistry()
			reg.MustRegister(breakerprom.NewCollector(set, &breakerprom.Options{MaxKeys: maxKeys}))
			handler := promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
			for b.Loop() {
				handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/metrics", nil))
			}
		})
	}
}

// A collector that is scraped all the time costs a call nothing.
func BenchmarkCall(b *testing.B) {
	for _, scraped := range []bool{false, true} {
		b.Run(fmt.Sprintf("scraped=%t", scraped), func(b *testing.B) {
			set := breaker.NewSet(breaker.Options{})
			circuit := set.Get("host")
			if scraped {
				c := breakerprom.NewCollector(set, nil)
				ctx, cancel := context.WithCancel(b.Context())
				var wg sync.WaitGroup
				wg.Go(func() {
					tick := time.NewTicker(10 * time.Millisecond)
					defer tick.Stop()
					for {
						select {
						case <-ctx.Done():
							return
						case <-tick.C:
							scrape(b, c)
						}
					}
				})
				defer wg.Wait()
				defer cancel()
			}
			b.ReportAllocs()
			for b.Loop() {
				permit, err := circuit.Allow(context.Background())
				if err != nil {
					b.Fatal(err)
				}
				permit.Done(breaker.Success)
			}
		})
	}
}
