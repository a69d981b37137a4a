package breaker

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"time"
)

// Config is the rules of a breaker. The zero Config is the default, and a zero
// field is that field's default; a negative number switches off what can be
// off. Config.String says in words what the rules in force are.
type Config struct {
	// A closed circuit opens as soon as any one of the following rules holds.
	// They are asked when a call has failed, was slow or is overdue.

	// Window is how far back the window reaches: rates and Failures are over the
	// calls that ended in it, whenever they began. It is kept in ten buckets, so
	// that a call leaves it after nine tenths of Window to all of it. The
	// failure rate over a time window opens nothing while all failures stand in
	// one bucket: that is one event, such as one lost connection.
	// Default 10s, at most 24h.
	Window time.Duration
	// WindowCalls, if positive, makes the window the last so many calls instead.
	// Such a breaker takes a lock for each call. Default off, at most 1,000,000.
	WindowCalls int
	// MinCalls is the smallest number of calls in the window over which a rate
	// is judged. Default 20, or WindowCalls if that is less. Negative: no
	// minimum.
	MinCalls int
	// FailureRate is the share of calls in the window, in (0, 1], that failed.
	// Default 0.5. Negative: off.
	FailureRate float64
	// SlowCall is when a call counts as slow: once it has taken this long, ended
	// or not. A call in flight for longer is overdue: it counts as slow, and as
	// a failure in the consecutive run, as soon as a later call notices it,
	// which happens within a sixteenth of SlowCall. Default off, at most
	// 24h.
	SlowCall time.Duration
	// SlowRate is the share of calls, in (0, 1], that were slow or are overdue.
	// It is judged only with SlowCall. Default 0.5. Negative: off.
	SlowRate float64
	// Failures is a number of failures in the window, whatever the rate.
	// Default off.
	Failures int
	// ConsecutiveFailures is a number of failures with no success between them,
	// however far apart. Default 5. Negative: off.
	ConsecutiveFailures int
	// ConsecutiveSpan is how long the run of ConsecutiveFailures must have
	// lasted: many calls that fail at one moment are one event. Default 1s.
	// Negative: no wait.
	ConsecutiveSpan time.Duration
	// Trip is one more rule, asked after the others with the counts of the
	// window. It runs under no lock, on the goroutine of the call that failed;
	// if it panics it has said no. Default none.
	Trip func(Counts) bool

	// OpenFor is how long the circuit stays open before it is probed, doubled
	// each time that it opens again before having closed. Default 5s.
	OpenFor time.Duration
	// MaxOpenFor caps OpenFor's doubling, before jitter. Default 45s, or OpenFor
	// if that is more.
	MaxOpenFor time.Duration
	// BusyCalls is the number of calls that an open circuit has to reject for it
	// to be probed after OpenFor, whatever the doubling: where there are many
	// callers, one probe more costs little and waiting costs much. A circuit that
	// was opened by Trip waits for its time. Default 100. Negative: off.
	BusyCalls int
	// Jitter spreads the open time by a random share within ±Jitter, in [0, 1),
	// drawn once for each opening, so that a fleet does not come back in step.
	// Default 0.2. Negative: none.
	Jitter float64

	// Probes is how many calls a half-open circuit lets through at once.
	// Default 1.
	Probes int
	// ProbeSuccesses is how many probes in a row must succeed to close the
	// circuit; any failed or slow one reopens it. Default 1.
	ProbeSuccesses int
	// ProbeTimeout is the time after which a probe without an outcome has
	// failed, so that a lost one cannot keep the circuit half-open.
	// Default 10s.
	ProbeTimeout time.Duration
	// Ramp, if positive, is the time after closing in which a growing share of
	// the calls is let through, from a tenth to all. Default off, at most 24h.
	Ramp time.Duration

	// Mode is the mode in which the breaker starts. Default Enforce.
	Mode Mode
}

const (
	maxSpan        = 24 * time.Hour
	maxWindowCalls = 1_000_000
)

// Validate returns nil, or an error that names every bad field with its value
// and the rule that it breaks.
func (c Config) Validate() error {
	var bad []error
	check := func(ok bool, field string, value any, rule string) {
		if !ok {
			bad = append(bad, fmt.Errorf("breaker: Config.%s = %v; %s", field, value, rule))
		}
	}
	rate := func(field string, v float64) {
		check(v <= 1, field, v, "want a share in (0, 1], zero for the default or a negative number for off")
	}
	span := func(field string, v time.Duration) {
		check(v <= maxSpan, field, v, "want at most 24h")
	}
	notNegative := func(field string, v time.Duration) {
		check(v >= 0, field, v, "want a positive duration, or zero for the default")
	}

	notNegative("Window", c.Window)
	check(c.Window <= 0 || c.Window >= windowBuckets, "Window", c.Window, "want at least 10ns")
	span("Window", c.Window)
	check(c.WindowCalls <= maxWindowCalls, "WindowCalls", c.WindowCalls, "want at most 1,000,000")
	if c.WindowCalls > 0 {
		check(c.MinCalls <= c.WindowCalls, "MinCalls", c.MinCalls,
			fmt.Sprintf("a window of WindowCalls = %d can never reach it", c.WindowCalls))
		check(c.Failures <= c.WindowCalls, "Failures", c.Failures,
			fmt.Sprintf("a window of WindowCalls = %d can never reach it", c.WindowCalls))
	}
	check(c.MinCalls <= math.MaxInt32, "MinCalls", c.MinCalls, "want at most 2147483647")
	rate("FailureRate", c.FailureRate)
	span("SlowCall", c.SlowCall)
	rate("SlowRate", c.SlowRate)
	check(c.Failures <= math.MaxInt32, "Failures", c.Failures, "want at most 2147483647")
	check(c.ConsecutiveFailures <= math.MaxInt32, "ConsecutiveFailures", c.ConsecutiveFailures, "want at most 2147483647")
	span("ConsecutiveSpan", c.ConsecutiveSpan)

	notNegative("OpenFor", c.OpenFor)
	notNegative("MaxOpenFor", c.MaxOpenFor)
	if c.MaxOpenFor > 0 {
		openFor := cmp.Or(c.OpenFor, defaultConfig.OpenFor)
		check(c.MaxOpenFor >= openFor, "MaxOpenFor", c.MaxOpenFor, fmt.Sprintf("want at least OpenFor = %v", openFor))
	}
	check(c.Jitter < 1, "Jitter", c.Jitter, "want a share in [0, 1), or a negative number for none")

	check(c.Probes >= 0, "Probes", c.Probes, "want at least 1, or zero for the default")
	check(c.Probes <= maxProbes, "Probes", c.Probes, "want at most 10,000")
	check(c.ProbeSuccesses >= 0, "ProbeSuccesses", c.ProbeSuccesses, "want at least 1, or zero for the default")
	notNegative("ProbeTimeout", c.ProbeTimeout)
	span("ProbeTimeout", c.ProbeTimeout)
	span("Ramp", c.Ramp)
	check(int(c.Mode) < len(modeNames), "Mode", uint8(c.Mode), fmt.Sprintf("want one of %q", modeNames))

	if r := c.withDefaults(); r.Mode != Disabled && r.FailureRate < 0 && (r.SlowCall <= 0 || r.SlowRate < 0) &&
		r.Failures <= 0 && r.ConsecutiveFailures < 0 && r.Trip == nil {
		bad = append(bad, errors.New("breaker: Config: every rule is off, so nothing could open the circuit; "+
			"set a rule, or Mode to Disabled"))
	}
	return errors.Join(bad...)
}

const maxProbes = 10_000

var defaultConfig = Config{
	Window:              10 * time.Second,
	MinCalls:            20,
	FailureRate:         0.5,
	SlowRate:            0.5,
	ConsecutiveFailures: 5,
	ConsecutiveSpan:     time.Second,
	OpenFor:             5 * time.Second,
	MaxOpenFor:          45 * time.Second,
	BusyCalls:           100,
	Jitter:              0.2,
	Probes:              1,
	ProbeSuccesses:      1,
	ProbeTimeout:        10 * time.Second,
}

// withDefaults returns c with each zero field at its default.
func (c Config) withDefaults() Config {
	d := defaultConfig
	c.Window = cmp.Or(c.Window, d.Window)
	if c.MinCalls == 0 {
		c.MinCalls = d.MinCalls
		if c.WindowCalls > 0 {
			c.MinCalls = min(c.MinCalls, c.WindowCalls)
		}
	}
	c.FailureRate = cmp.Or(c.FailureRate, d.FailureRate)
	c.SlowRate = cmp.Or(c.SlowRate, d.SlowRate)
	c.ConsecutiveFailures = cmp.Or(c.ConsecutiveFailures, d.ConsecutiveFailures)
	c.ConsecutiveSpan = cmp.Or(c.ConsecutiveSpan, d.ConsecutiveSpan)
	c.OpenFor = cmp.Or(c.OpenFor, d.OpenFor)
	c.MaxOpenFor = cmp.Or(c.MaxOpenFor, max(d.MaxOpenFor, c.OpenFor))
	c.BusyCalls = cmp.Or(c.BusyCalls, d.BusyCalls)
	c.Jitter = cmp.Or(c.Jitter, d.Jitter)
	c.Probes = cmp.Or(c.Probes, d.Probes)
	c.ProbeSuccesses = cmp.Or(c.ProbeSuccesses, d.ProbeSuccesses)
	c.ProbeTimeout = cmp.Or(c.ProbeTimeout, d.ProbeTimeout)
	return c
}
