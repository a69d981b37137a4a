package breakerprom

import (
	"encoding/json"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/internal/meter"
)

// Options adjust a collector. The zero Options is the default.
type Options struct {
	// MaxKeys is how many keys get series of their own, about twenty each; all
	// others are counted together under key="other". Zero means 100, a negative
	// number no bound.
	MaxKeys int
	// Fleet, if set, is this process's part in a fleet, what breakerredis.New
	// returned: its JSON has the names of fleet.Status. Default none.
	Fleet json.Marshaler
}

// NewCollector returns a collector of set's metrics; nil opts are the default
// ones. The package comment lists the metrics. The collector is safe for
// concurrent use, may be gathered by any number of scrapers, and holds nothing
// that must be closed. NewCollector panics if set is nil.
//
// Two collectors in one registry need a label that tells them apart:
//
//	prometheus.WrapRegistererWith(prometheus.Labels{"client": "billing"}, reg).MustRegister(
//		breakerprom.NewCollector(set, nil))
func NewCollector(set *breaker.Set, opts *Options) prometheus.Collector {
	if set == nil {
		panic("breakerprom: NewCollector: set is nil")
	}
	if opts == nil {
		opts = &Options{}
	}
	return &collector{meter.New(set, opts.MaxKeys), *opts}
}

type collector struct {
	meter *meter.Meter
	opts  Options
}

var (
	circuitState = desc("circuit_state",
		"State of the circuit: 0 closed, 0.5 half-open, 1 open.", "key")
	circuitMode = desc("circuit_mode",
		"Always 1; the label mode is the circuit's mode: enforce, observe, force-open or disabled.", "key", "mode")
	circuitSince = desc("circuit_since_timestamp_seconds",
		"When the circuit came into its state, in seconds since the epoch.", "key")
	circuitOutageStart = desc("circuit_outage_start_timestamp_seconds",
		"When the circuit left closed, in seconds since the epoch, however often it was probed since; absent while the rules have it closed.", "key")
	circuitUntil = desc("circuit_until_timestamp_seconds",
		"When the open circuit is tried again, in seconds since the epoch; absent when no time is set. In the past, the next call is the probe.", "key")
	circuitOrigin = desc("circuit_origin",
		"Always 1, absent while the circuit is closed; the label origin says who moved it into its state: rules, probe, peer, operator or fleet.", "key", "origin")
	circuitLetThrough = desc("circuit_let_through_ratio",
		"Share of the calls that is let through: 1 closed, 0 open or being probed, something between while a share is rejected or in a slow start.", "key")
	circuitInFlight = desc("circuit_in_flight_calls",
		"Calls that were let through and have neither been answered nor ended.", "key")
	circuitAnswered = desc("circuit_answered_calls",
		"Calls that were answered and have not ended: their bodies are still open.", "key")
	circuitCalls = desc("circuit_calls_total",
		"Calls that ended in the state of the circuit in which they were admitted, by outcome: success, failure or ignored.", "key", "outcome")
	circuitLate = desc("circuit_late_calls_total",
		"Calls that ended after the state in which they were admitted had passed; they have no outcome.", "key")
	circuitSlow = desc("circuit_slow_calls_total",
		"Calls, among those with an outcome, that took SlowCall or longer.", "key")
	circuitRejected = desc("circuit_rejected_calls_total",
		"Calls that were not let through; in mode observe, that would not have been.", "key")
	circuitOpenings = desc("circuit_openings_total",
		"How often the circuit opened, after a failed probe included.", "key")
	circuitOpenTime = desc("circuit_open_time_seconds_total",
		"How long the circuit has been open; half-open time is not in it.", "key")

	setCircuits = desc("set_circuits",
		"Circuits in the set, one for each key, by state.", "state")
	setRecords = desc("set_records",
		"Open circuits that the full set remembers by a deadline only.")
	setEvicted = desc("set_evicted_keys_total",
		"Keys with a closed circuit that were given up to make room.")
	setEvictedActive = desc("set_evicted_active_keys_total",
		"Keys that were given up although they were in use, with their counts: the set is too small.")
	setDemoted = desc("set_demoted_keys_total",
		"Keys with an open or forced circuit that were reduced to a record to make room.")
	setForgotten = desc("set_forgotten_records_total",
		"Records of open circuits that were lost because there was no room for them either.")

	all = []*prometheus.Desc{
		circuitState, circuitMode, circuitSince, circuitOutageStart, circuitUntil, circuitOrigin, circuitLetThrough,
		circuitInFlight, circuitAnswered, circuitCalls, circuitLate, circuitSlow, circuitRejected, circuitOpenings,
		circuitOpenTime, setCircuits, setRecords, setEvicted, setEvictedActive, setDemoted, setForgotten,
	}
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("httpbreaker_"+name, help, labels, nil)
}

// Describe implements [prometheus.Collector].
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range all {
		ch <- d
	}
	if c.opts.Fleet == nil {
		return
	}
	for _, d := range allOfFleet {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	reading := c.meter.Read()
	for _, circuit := range reading.Circuits {
		collectPresent(ch, circuit)
		collectTotals(ch, circuit)
	}
	if reading.Other != nil {
		collectTotals(ch, *reading.Other)
	}

	for i, n := range reading.States {
		gauge(ch, setCircuits, float64(n), breaker.State(i).String())
	}
	gauge(ch, setRecords, float64(reading.Stats.Records))
	counter(ch, setEvicted, float64(reading.Stats.Evicted))
	counter(ch, setEvictedActive, float64(reading.Stats.EvictedActive))
	counter(ch, setDemoted, float64(reading.Stats.Demoted))
	counter(ch, setForgotten, float64(reading.Stats.Forgotten))
	if c.opts.Fleet != nil {
		collectFleet(ch, c.opts.Fleet, c.opts.MaxKeys)
	}
}

// collectPresent sends what only one circuit can have.
func collectPresent(ch chan<- prometheus.Metric, c meter.Circuit) {
	gauge(ch, circuitState, stateValue(c.State), c.Label)
	gauge(ch, circuitMode, 1, c.Label, c.Mode.String())
	timestamp(ch, circuitSince, c.Since, c.Label)
	timestamp(ch, circuitOutageStart, c.OutageSince, c.Label)
	timestamp(ch, circuitUntil, c.Until, c.Label)
	gauge(ch, circuitLetThrough, c.Share, c.Label)
	if c.State != breaker.Closed {
		gauge(ch, circuitOrigin, 1, c.Label, c.Origin.String())
	}
}

// collectTotals sends what can be added up over circuits.
func collectTotals(ch chan<- prometheus.Metric, c meter.Circuit) {
	gauge(ch, circuitInFlight, float64(c.InFlight), c.Label)
	gauge(ch, circuitAnswered, float64(c.Answered), c.Label)
	counter(ch, circuitCalls, float64(c.Totals.Failures), c.Label, breaker.Failure.String())
	counter(ch, circuitCalls, float64(c.Totals.Ignored), c.Label, breaker.Ignored.String())
	counter(ch, circuitCalls, float64(c.Totals.Successes), c.Label, breaker.Success.String())
	counter(ch, circuitLate, float64(c.Totals.Late), c.Label)
	counter(ch, circuitSlow, float64(c.Totals.Slow), c.Label)
	counter(ch, circuitRejected, float64(c.Totals.Rejected), c.Label)
	counter(ch, circuitOpenings, float64(c.Totals.Opened), c.Label)
	counter(ch, circuitOpenTime, c.Totals.OpenTime.Seconds(), c.Label)
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

func gauge(ch chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func counter(ch chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
}

func timestamp(ch chan<- prometheus.Metric, d *prometheus.Desc, t time.Time, labels ...string) {
	if !t.IsZero() {
		gauge(ch, d, float64(t.UnixMilli())/1000, labels...)
	}
}
