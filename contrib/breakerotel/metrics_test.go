package breakerotel_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerotel"
)

func call(set *breaker.Set, key string, n int, o breaker.Outcome) {
	for range n {
		if permit, err := set.Get(key).Allow(context.Background()); err == nil {
			permit.Done(o)
		}
	}
}

// collect returns each point as a line "name{unit} attributes = value", sorted.
func collect(t testing.TB, reader sdkmetric.Reader) []string {
	var data metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(context.Background(), &data))
	var lines []string
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			assert.NotEmpty(t, m.Description, m.Name)
			switch d := m.Data.(type) {
			case metricdata.Gauge[int64]:
				lines = append(lines, points("gauge", m, d.DataPoints)...)
			case metricdata.Gauge[float64]:
				lines = append(lines, points("gauge", m, d.DataPoints)...)
			case metricdata.Sum[int64]:
				lines = append(lines, points(kind(d.IsMonotonic), m, d.DataPoints)...)
			case metricdata.Sum[float64]:
				lines = append(lines, points(kind(d.IsMonotonic), m, d.DataPoints)...)
			default:
				t.Errorf("%s is a %T", m.Name, d)
			}
		}
	}
	slices.Sort(lines)
	return lines
}

func kind(monotonic bool) string {
	if monotonic {
		return "counter"
	}
	return "up-down"
}

func points[N int64 | float64](kind string, m metricdata.Metrics, list []metricdata.DataPoint[N]) []string {
	var lines []string
	for _, p := range list {
		of := p.Attributes.Encoded(attribute.DefaultEncoder())
		lines = append(lines, fmt.Sprintf("%s (%s, %s) [%s] = %v", m.Name, kind, m.Unit, of, p.Value))
	}
	return lines
}

func register(t testing.TB, set *breaker.Set, maxKeys int) sdkmetric.Reader {
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	_, err := breakerotel.Register(set, &breakerotel.Options{MeterProvider: provider, MaxKeys: maxKeys})
	require.NoError(t, err)
	return reader
}

func TestEverySeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := breaker.NewSet(breaker.Options{Config: breaker.Config{
			ConsecutiveSpan: -1, Jitter: -1, ProbeShare: -1, SlowCall: time.Second, SlowRate: -1}})
		reader := register(t, set, 0)
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

		assert.Equal(t, strings.Split(strings.TrimSpace(`
httpbreaker.circuit.answered_calls (up-down, {call}) [httpbreaker.key=down] = 0
httpbreaker.circuit.answered_calls (up-down, {call}) [httpbreaker.key=up] = 0
httpbreaker.circuit.calls (counter, {call}) [httpbreaker.key=down,httpbreaker.outcome=failure] = 5
httpbreaker.circuit.calls (counter, {call}) [httpbreaker.key=down,httpbreaker.outcome=ignored] = 0
httpbreaker.circuit.calls (counter, {call}) [httpbreaker.key=down,httpbreaker.outcome=success] = 0
httpbreaker.circuit.calls (counter, {call}) [httpbreaker.key=up,httpbreaker.outcome=failure] = 0
httpbreaker.circuit.calls (counter, {call}) [httpbreaker.key=up,httpbreaker.outcome=ignored] = 1
httpbreaker.circuit.calls (counter, {call}) [httpbreaker.key=up,httpbreaker.outcome=success] = 8
httpbreaker.circuit.in_flight_calls (up-down, {call}) [httpbreaker.key=down] = 0
httpbreaker.circuit.in_flight_calls (up-down, {call}) [httpbreaker.key=up] = 1
httpbreaker.circuit.late_calls (counter, {call}) [httpbreaker.key=down] = 1
httpbreaker.circuit.late_calls (counter, {call}) [httpbreaker.key=up] = 0
httpbreaker.circuit.let_through (gauge, 1) [httpbreaker.key=down] = 0
httpbreaker.circuit.let_through (gauge, 1) [httpbreaker.key=up] = 1
httpbreaker.circuit.mode (gauge, {mode}) [httpbreaker.key=down,httpbreaker.mode=enforce] = 1
httpbreaker.circuit.mode (gauge, {mode}) [httpbreaker.key=up,httpbreaker.mode=observe] = 1
httpbreaker.circuit.open_time (counter, s) [httpbreaker.key=down] = 2.5
httpbreaker.circuit.open_time (counter, s) [httpbreaker.key=up] = 0
httpbreaker.circuit.openings (counter, {opening}) [httpbreaker.key=down] = 1
httpbreaker.circuit.openings (counter, {opening}) [httpbreaker.key=up] = 0
httpbreaker.circuit.origin (gauge, {origin}) [httpbreaker.key=down,httpbreaker.origin=rules] = 1
httpbreaker.circuit.outage_start.timestamp (gauge, s) [httpbreaker.key=down] = 9.466848015e+08
httpbreaker.circuit.rejected_calls (counter, {call}) [httpbreaker.key=down] = 3
httpbreaker.circuit.rejected_calls (counter, {call}) [httpbreaker.key=up] = 0
httpbreaker.circuit.since.timestamp (gauge, s) [httpbreaker.key=down] = 9.466848015e+08
httpbreaker.circuit.since.timestamp (gauge, s) [httpbreaker.key=up] = 9.466848e+08
httpbreaker.circuit.slow_calls (counter, {call}) [httpbreaker.key=down] = 0
httpbreaker.circuit.slow_calls (counter, {call}) [httpbreaker.key=up] = 1
httpbreaker.circuit.state (gauge, {state}) [httpbreaker.key=down] = 1
httpbreaker.circuit.state (gauge, {state}) [httpbreaker.key=up] = 0
httpbreaker.circuit.until.timestamp (gauge, s) [httpbreaker.key=down] = 9.466848065e+08
httpbreaker.set.circuits (up-down, {circuit}) [httpbreaker.state=closed] = 1
httpbreaker.set.circuits (up-down, {circuit}) [httpbreaker.state=half-open] = 0
httpbreaker.set.circuits (up-down, {circuit}) [httpbreaker.state=open] = 1
httpbreaker.set.demoted_keys (counter, {key}) [] = 0
httpbreaker.set.evicted_active_keys (counter, {key}) [] = 0
httpbreaker.set.evicted_keys (counter, {key}) [] = 0
httpbreaker.set.forgotten_records (counter, {record}) [] = 0
httpbreaker.set.records (up-down, {record}) [] = 0
`), "\n"), collect(t, reader))
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
		assert.Contains(t, collect(t, register(t, set, 0)),
			"httpbreaker.circuit.state (gauge, {state}) [httpbreaker.key=host] = 0.5")
	})
}

func TestKeysComeAndGo(t *testing.T) {
	set := breaker.NewSet(breaker.Options{})
	reader := register(t, set, 2)
	call(set, "big", 100, breaker.Success)
	call(set, "small", 10, breaker.Success)
	call(set, "bad\xffkey", 5, breaker.Success)
	call(set, "other", 5, breaker.Success)

	lines := collect(t, reader)
	calls := func(key string, n int) string {
		return fmt.Sprintf("httpbreaker.circuit.calls (counter, {call}) [httpbreaker.key=%s,httpbreaker.outcome=success] = %d", key, n)
	}
	assert.Contains(t, lines, calls("big", 100))
	assert.Contains(t, lines, calls("small", 10))
	assert.Contains(t, lines, calls("other", 10))
	assert.NotContains(t, strings.Join(lines, "\n"), "bad")

	set.Remove("big")
	set.Get("bad\xffkey").Trip(time.Hour, "test")
	text := strings.Join(collect(t, reader), "\n")
	assert.NotContains(t, text, "big", "removed keys disappear")
	assert.Contains(t, text, `httpbreaker.circuit.state (gauge, {state}) [httpbreaker.key="bad\\xffkey"] = 1`)
	assert.Contains(t, text, calls("other", 10), "what was counted in other stays there")

	set.Get("other").Trip(time.Hour, "test")
	assert.Contains(t, strings.Join(collect(t, reader), "\n"), `[httpbreaker.key="other"] = 1`)
}

func TestTwoSetsWithOneProvider(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	for i, client := range []string{"billing", "search"} {
		set := breaker.NewSet(breaker.Options{})
		call(set, "host", i+1, breaker.Success)
		_, err := breakerotel.Register(set, &breakerotel.Options{
			MeterProvider: provider,
			Attributes:    []attribute.KeyValue{attribute.String("client", client)},
		})
		require.NoError(t, err)
	}
	lines := collect(t, reader)
	assert.Contains(t, lines, "httpbreaker.circuit.calls (counter, {call}) [client=billing,httpbreaker.key=host,httpbreaker.outcome=success] = 1")
	assert.Contains(t, lines, "httpbreaker.circuit.calls (counter, {call}) [client=search,httpbreaker.key=host,httpbreaker.outcome=success] = 2")
	assert.Contains(t, lines, "httpbreaker.set.records (up-down, {record}) [client=search] = 0")
}

func TestNoSet(t *testing.T) {
	assert.Panics(t, func() { _, _ = breakerotel.Register(nil, nil) })
}

func TestUnregister(t *testing.T) {
	set := breaker.NewSet(breaker.Options{})
	call(set, "host", 1, breaker.Success)
	reader := sdkmetric.NewManualReader()
	registration, err := breakerotel.Register(set, &breakerotel.Options{
		MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))})
	require.NoError(t, err)
	require.NotEmpty(t, collect(t, reader))
	require.NoError(t, registration.Unregister())
	assert.Empty(t, collect(t, reader))
}

func TestTheGlobalMeterProviderIsTheDefault(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	before := otel.GetMeterProvider()
	otel.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	defer otel.SetMeterProvider(before)
	registration, err := breakerotel.Register(breaker.NewSet(breaker.Options{}), nil)
	require.NoError(t, err)
	assert.NotEmpty(t, collect(t, reader))
	require.NoError(t, registration.Unregister())
}

// failing is a meter provider whose meters refuse one kind of instrument.
type failing struct{ noop.MeterProvider }

func (failing) Meter(string, ...metric.MeterOption) metric.Meter { return failingMeter{} }

var errRefused = errors.New("refused")

type failingMeter struct{ noop.Meter }

func (failingMeter) Int64ObservableCounter(string, ...metric.Int64ObservableCounterOption) (metric.Int64ObservableCounter, error) {
	return nil, errRefused
}

func TestRegisterTellsOfErrors(t *testing.T) {
	_, err := breakerotel.Register(breaker.NewSet(breaker.Options{}), &breakerotel.Options{MeterProvider: failing{}})
	assert.ErrorIs(t, err, errRefused)
}

// The package comment lists the instruments that there are, with kind and unit.
func TestDocumentedInstruments(t *testing.T) {
	set := breaker.NewSet(breaker.Options{})
	set.Get("host").Trip(time.Hour, "test")
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)

	documented := make(map[string]string)
	for _, m := range regexp.MustCompile(`(?m)^//\t(httpbreaker\.(?:circuit|set)\S*) +(gauge|counter|up-down)(?:, (\S+))?`).FindAllSubmatch(doc, -1) {
		documented[string(m[1])] = string(m[2]) + ", " + string(m[3])
	}
	actual := make(map[string]string)
	for _, line := range collect(t, register(t, set, 0)) {
		m := regexp.MustCompile(`^(\S+) \(([^)]+)\)`).FindStringSubmatch(line)
		actual[m[1]] = strings.NewReplacer("{state}", "", "{mode}", "", "{origin}", "").Replace(m[2])
	}
	assert.Equal(t, actual, documented)
}

func BenchmarkCollect(b *testing.B) {
	set := breaker.NewSet(breaker.Options{})
	for i := range 10_000 {
		call(set, fmt.Sprintf("host%d.example.com", i), 1, breaker.Success)
	}
	reader := register(b, set, 0)
	for b.Loop() {
		var data metricdata.ResourceMetrics
		require.NoError(b, reader.Collect(b.Context(), &data))
	}
}
