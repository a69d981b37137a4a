package breakerotel

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/internal/meter"
)

const scope = "github.com/seed-0b728cf8/httpbreaker/contrib/breakerotel"

// Attributes of metrics and span events.
const (
	keyAttribute      = attribute.Key("httpbreaker.key")
	stateAttribute    = attribute.Key("httpbreaker.state")
	previousAttribute = attribute.Key("httpbreaker.previous_state")
	modeAttribute     = attribute.Key("httpbreaker.mode")
	outcomeAttribute  = attribute.Key("httpbreaker.outcome")
	reasonAttribute   = attribute.Key("httpbreaker.reason")
	originAttribute   = attribute.Key("httpbreaker.origin")
	sinceAttribute    = attribute.Key("httpbreaker.since")
	failureAttribute  = attribute.Key("httpbreaker.last_failure")
	shareAttribute    = attribute.Key("httpbreaker.let_through")
	retryAttribute    = attribute.Key("httpbreaker.retry_after")
)

// Options adjust [Register]. The zero Options is the default.
type Options struct {
	// MeterProvider is where the instruments are made. If nil,
	// otel.GetMeterProvider is asked.
	MeterProvider metric.MeterProvider
	// MaxKeys is how many keys get series of their own, about twenty each; all
	// others are counted together under the key "other". Zero means 100, a
	// negative number no bound. The SDK's own limit on the number of attribute
	// sets applies beside it.
	MaxKeys int
	// Attributes are added to everything that is observed, to tell this set from
	// another one in the same process.
	Attributes []attribute.KeyValue
}

// Register makes the instruments that the package comment lists and observes
// set with them at each collection, until the registration's Unregister is
// called; nil opts are the default ones. An error is that of the meter provider;
// then nothing is observed. It panics if set is nil.
//
// Two sets with the same meter provider need Options.Attributes to tell them
// apart.
func Register(set *breaker.Set, opts *Options) (metric.Registration, error) {
	if set == nil {
		panic("breakerotel: Register: set is nil")
	}
	if opts == nil {
		opts = &Options{}
	}
	provider := opts.MeterProvider
	if provider == nil {
		provider = otel.GetMeterProvider()
	}
	o := &observer{meter: meter.New(set, opts.MaxKeys), common: opts.Attributes}
	m := provider.Meter(scope)
	instruments, err := o.instruments(m)
	if err != nil {
		return nil, err
	}
	return m.RegisterCallback(o.observe, instruments...)
}

type observer struct {
	meter  *meter.Meter
	common []attribute.KeyValue

	state, letThrough                          metric.Float64ObservableGauge
	since, outageStart, until                  metric.Float64ObservableGauge
	mode, origin                               metric.Int64ObservableGauge
	inFlight, answered                         metric.Int64ObservableUpDownCounter
	calls, lateCalls, slowCalls, rejectedCalls metric.Int64ObservableCounter
	openings                                   metric.Int64ObservableCounter
	openTime                                   metric.Float64ObservableCounter
	circuits, records                          metric.Int64ObservableUpDownCounter
	evictedKeys, evictedActiveKeys             metric.Int64ObservableCounter
	demotedKeys, forgottenRecords              metric.Int64ObservableCounter
}

// instruments makes all instruments of o.
func (o *observer) instruments(m metric.Meter) ([]metric.Observable, error) {
	var (
		all  []metric.Observable
		errs []error
	)
	float64Gauge := func(name, unit, text string) metric.Float64ObservableGauge {
		i, err := m.Float64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(text))
		all, errs = append(all, i), append(errs, err)
		return i
	}
	int64Gauge := func(name, unit, text string) metric.Int64ObservableGauge {
		i, err := m.Int64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(text))
		all, errs = append(all, i), append(errs, err)
		return i
	}
	counter := func(name, unit, text string) metric.Int64ObservableCounter {
		i, err := m.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(text))
		all, errs = append(all, i), append(errs, err)
		return i
	}
	float64Counter := func(name, unit, text string) metric.Float64ObservableCounter {
		i, err := m.Float64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(text))
		all, errs = append(all, i), append(errs, err)
		return i
	}
	upDown := func(name, unit, text string) metric.Int64ObservableUpDownCounter {
		i, err := m.Int64ObservableUpDownCounter(name, metric.WithUnit(unit), metric.WithDescription(text))
		all, errs = append(all, i), append(errs, err)
		return i
	}

	o.state = float64Gauge("httpbreaker.circuit.state", "{state}",
		"State of the circuit: 0 closed, 0.5 half-open, 1 open.")
	o.letThrough = float64Gauge("httpbreaker.circuit.let_through", "1",
		"Share of the calls that is let through: 1 closed, 0 open or being probed, something between while a share is rejected or in a slow start.")
	o.mode = int64Gauge("httpbreaker.circuit.mode", "{mode}",
		"Always 1; the attribute httpbreaker.mode is the circuit's mode.")
	o.origin = int64Gauge("httpbreaker.circuit.origin", "{origin}",
		"Always 1, absent while the circuit is closed; the attribute httpbreaker.origin says who moved it into its state.")
	o.since = float64Gauge("httpbreaker.circuit.since.timestamp", "s",
		"When the circuit came into its state, since the epoch.")
	o.outageStart = float64Gauge("httpbreaker.circuit.outage_start.timestamp", "s",
		"When the circuit left closed, since the epoch, however often it was probed since; absent while the rules have it closed.")
	o.until = float64Gauge("httpbreaker.circuit.until.timestamp", "s",
		"When the open circuit is tried again, since the epoch; absent when no time is set. In the past, the next call is the probe.")
	o.inFlight = upDown("httpbreaker.circuit.in_flight_calls", "{call}",
		"Calls that were let through and have neither been answered nor ended.")
	o.answered = upDown("httpbreaker.circuit.answered_calls", "{call}",
		"Calls that were answered and have not ended: their bodies are still open.")
	o.calls = counter("httpbreaker.circuit.calls", "{call}",
		"Calls that ended in the state of the circuit in which they were admitted, by outcome.")
	o.lateCalls = counter("httpbreaker.circuit.late_calls", "{call}",
		"Calls that ended after the state in which they were admitted had passed; they have no outcome.")
	o.slowCalls = counter("httpbreaker.circuit.slow_calls", "{call}",
		"Calls, among those with an outcome, that took SlowCall or longer.")
	o.rejectedCalls = counter("httpbreaker.circuit.rejected_calls", "{call}",
		"Calls that were not let through; in mode observe, that would not have been.")
	o.openings = counter("httpbreaker.circuit.openings", "{opening}",
		"How often the circuit opened, after a failed probe included.")
	o.openTime = float64Counter("httpbreaker.circuit.open_time", "s",
		"How long the circuit has been open; half-open time is not in it.")

	o.circuits = upDown("httpbreaker.set.circuits", "{circuit}",
		"Circuits in the set, one for each key, by state.")
	o.records = upDown("httpbreaker.set.records", "{record}",
		"Open circuits that the full set remembers by a deadline only.")
	o.evictedKeys = counter("httpbreaker.set.evicted_keys", "{key}",
		"Keys with a closed circuit that were given up to make room.")
	o.evictedActiveKeys = counter("httpbreaker.set.evicted_active_keys", "{key}",
		"Keys that were given up although they were in use, with their counts: the set is too small.")
	o.demotedKeys = counter("httpbreaker.set.demoted_keys", "{key}",
		"Keys with an open or forced circuit that were reduced to a record to make room.")
	o.forgottenRecords = counter("httpbreaker.set.forgotten_records", "{record}",
		"Records of open circuits that were lost because there was no room for them either.")
	return all, errors.Join(errs...)
}

// observe is the callback of all instruments.
func (o *observer) observe(_ context.Context, to metric.Observer) error {
	reading := o.meter.Read()
	for _, c := range reading.Circuits {
		o.observePresent(to, c)
		o.observeTotals(to, c)
	}
	if reading.Other != nil {
		o.observeTotals(to, *reading.Other)
	}

	for i, n := range reading.States {
		to.ObserveInt64(o.circuits, int64(n), o.attributes(stateAttribute.String(breaker.State(i).String())))
	}
	none := o.attributes()
	to.ObserveInt64(o.records, int64(reading.Stats.Records), none)
	to.ObserveInt64(o.evictedKeys, int64(reading.Stats.Evicted), none)
	to.ObserveInt64(o.evictedActiveKeys, int64(reading.Stats.EvictedActive), none)
	to.ObserveInt64(o.demotedKeys, int64(reading.Stats.Demoted), none)
	to.ObserveInt64(o.forgottenRecords, int64(reading.Stats.Forgotten), none)
	return nil
}

// observePresent observes what only one circuit can have.
func (o *observer) observePresent(to metric.Observer, c meter.Circuit) {
	key := keyAttribute.String(c.Label)
	only := o.attributes(key)
	to.ObserveFloat64(o.state, stateValue(c.State), only)
	to.ObserveInt64(o.mode, 1, o.attributes(key, modeAttribute.String(c.Mode.String())))
	observeTime(to, o.since, c.Since, only)
	observeTime(to, o.outageStart, c.OutageSince, only)
	observeTime(to, o.until, c.Until, only)
	to.ObserveFloat64(o.letThrough, c.Share, only)
	if c.State != breaker.Closed {
		to.ObserveInt64(o.origin, 1, o.attributes(key, originAttribute.String(c.Origin.String())))
	}
}

func observeTime(to metric.Observer, i metric.Float64Observable, t time.Time, of metric.MeasurementOption) {
	if !t.IsZero() {
		to.ObserveFloat64(i, float64(t.UnixMilli())/1000, of)
	}
}

// observeTotals observes what can be added up over circuits.
func (o *observer) observeTotals(to metric.Observer, c meter.Circuit) {
	key := keyAttribute.String(c.Label)
	outcome := func(of breaker.Outcome) metric.MeasurementOption {
		return o.attributes(key, outcomeAttribute.String(of.String()))
	}
	to.ObserveInt64(o.calls, int64(c.Totals.Successes), outcome(breaker.Success))
	to.ObserveInt64(o.calls, int64(c.Totals.Failures), outcome(breaker.Failure))
	to.ObserveInt64(o.calls, int64(c.Totals.Ignored), outcome(breaker.Ignored))

	only := o.attributes(key)
	to.ObserveInt64(o.inFlight, int64(c.InFlight), only)
	to.ObserveInt64(o.answered, int64(c.Answered), only)
	to.ObserveInt64(o.lateCalls, int64(c.Totals.Late), only)
	to.ObserveInt64(o.slowCalls, int64(c.Totals.Slow), only)
	to.ObserveInt64(o.rejectedCalls, int64(c.Totals.Rejected), only)
	to.ObserveInt64(o.openings, int64(c.Totals.Opened), only)
	to.ObserveFloat64(o.openTime, c.Totals.OpenTime.Seconds(), only)
}

func (o *observer) attributes(own ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(append(own, o.common...)...))
}

func stateValue(s breaker.State) float64 {
	switch s {
	case breaker.Open:
		return 1
	case breaker.HalfOpen:
		return 0.5
	default:
		return 0
	}
}
