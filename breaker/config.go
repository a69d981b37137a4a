package breaker

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"time"
)

// Config is the rules of a breaker. The zero Config is the default and needs no
// setting for most hosts. A zero field is that field's default; a negative number
// switches off what can be off. Config.String says in words what the rules in force
// are. docs/coming-from.md has the plain breaker of the textbooks as one Config.
type Config struct {
	// Window is how far back the window reaches: rates and Failures are over the
	// calls that ended in it, whenever they began. It is kept in ten buckets, so
	// that a call leaves it after nine tenths of Window to all of it. A failure
	// rate over a time window moves nothing while all failures stand in one
	// bucket: that is one event, such as one lost connection.
	// Default 10s, at most 24h.
	Window time.Duration
	// WindowCalls, if positive, makes the window the last WindowCalls calls instead.
	// Such a breaker takes a lock and 16 bytes for each. Default off, at most 1,000,000.
	WindowCalls int
	// MinCalls is the smallest number of calls in the window over which a rate
	// is judged. Default 20, or WindowCalls if that is less. Negative: no
	// minimum.
	MinCalls int

	// ShedRate is the share of calls in the window, in (0, 1), that failed, from
	// which a share of the calls is rejected while others still succeed: none at
	// this rate, more the more fail. If the share let through would fall below
	// ProbeShare, the circuit opens. Default 0.5, or off if FailureRate is set.
	// Negative: off.
	ShedRate float64
	// FailureRate is the share of calls in the window, in (0, 1], that failed, at
	// which the circuit opens. Default off.
	FailureRate float64
	// Failures is a number of failures in the window, whatever the rate, at which
	// the circuit opens. Default off.
	Failures int
	// Trip is one more rule, asked after the others with the counts of the
	// window. It runs under no lock, on the goroutine of the call that failed;
	// if it panics it has said no. Default none.
	Trip func(Counts) bool

	// ConsecutiveFailures is a number of failures with no success between them,
	// however far apart, at which the circuit opens. Default 5. Negative: off,
	// IndependentFailures with it.
	ConsecutiveFailures int
	// ConsecutiveSpan is how long the run of ConsecutiveFailures must have
	// lasted: many calls that fail at one moment are one event. A pause in which the
	// next call to fail was waiting may be that of a frozen process: at most half of
	// ConsecutiveSpan counts of it, except of the pause before the last failure that
	// is needed. Default 1s. Negative: no wait.
	ConsecutiveSpan time.Duration
	// IndependentFailures is a number of failures in a run, over a tenth of a
	// second at least, that opens the circuit without waiting for ConsecutiveSpan.
	// Only calls that began after the first failure of the run had ended count:
	// no single event explains them. Default 20. Negative: off.
	IndependentFailures int
	// Chance is the probability, in (0, 1), below which chance does not explain a
	// run. A run that is likelier than this at the failure rate of the other calls
	// in the window, if there are ten or more, opens nothing. Default 0.00001.
	// Negative: off, every run counts.
	Chance float64

	// HangAfter is the shortest time, in which a call is not answered, that may
	// mean that the peer hangs; where good answers took longer of late, it is
	// three times the slowest of them. If at least eight calls have waited for so
	// long, and no fewer than were answered meanwhile, a share of the calls is
	// rejected, or all of them if next to none is answered. Both are known from
	// counts, so that it costs next to nothing. It is judged once 20 calls have
	// succeeded, ever: a peer that hangs from the first call on is opened by the run
	// of calls that end without an answer. Default 2s, at most 24h.
	// Negative: off.
	HangAfter time.Duration
	// SlowCall is when a call counts as slow: once it has taken this long, ended
	// or not. Calls in flight for longer are overdue: they count as slow, and as
	// failures in the run, as soon as a later call notices, which happens within
	// a sixteenth of SlowCall. Counts.Overdue is a lower bound: calls that end
	// meanwhile are taken for the oldest. Default off, at most 24h.
	SlowCall time.Duration
	// SlowRate is the share of calls, in (0, 1], that were slow or are overdue,
	// at which the circuit opens. It is judged only with SlowCall. Default 0.5.
	// Negative: off.
	SlowRate float64

	// OpenFor is the longest time for which an open circuit waits for its first
	// probe, doubled each time that it opens again before a probe has succeeded.
	// Default 5s.
	OpenFor time.Duration
	// MaxOpenFor caps OpenFor's doubling, before jitter. Default 45s, or OpenFor
	// if that is more.
	MaxOpenFor time.Duration
	// ProbeShare is the share of the rejected calls, in (0, 1], that may be probes
	// instead. A busy circuit is probed sooner than OpenFor says: first after a
	// fifth of 1 / ProbeShare calls, then after more, up to 1 / ProbeShare. The
	// time is fixed when the circuit opens, by the rate of calls until then, and
	// is 0.1s at least, growing to 2s, and to half a per cent of the age of a long
	// outage. Default 0.02. Negative: off, the circuit is probed after OpenFor.
	ProbeShare float64
	// Jitter spreads the open time by a random share within ±Jitter, in [0, 1),
	// drawn once for each opening, so that a fleet does not come back in step.
	// Default 0.2. Negative: none.
	Jitter float64

	// Probes is how many calls a circuit that is being probed lets through at
	// once. Default 1.
	Probes int
	// ProbeSuccesses is how many probes in a row must succeed; any failed or slow
	// one reopens the circuit. Default 1.
	ProbeSuccesses int
	// ProbeTimeout is the time after which a probe without an outcome has
	// failed, so that a lost one cannot keep the circuit half-open. After a hang
	// it is as short as a hang takes to be noticed, if that is less. A call of a
	// slow start gives its place back after ProbeTimeout. Default 10s.
	ProbeTimeout time.Duration
	// SlowStart is how many calls may be in flight at first after the probes have
	// succeeded: fewer where fewer than ten times as many come in a second, more
	// where more were in flight before the outage. The number grows with success
	// and is halved when more calls fail than did before the outage; the circuit
	// closes after two seconds of calls, 50 at most, with nothing rejected between
	// them, and after three minutes in any case. A circuit with less than one call
	// a second closes at once. Default 10. Negative: off, every circuit closes at
	// once.
	SlowStart int

	// Mode is the mode in which the breaker starts. Default Enforce.
	Mode Mode
}

const (
	maxSpan        = 24 * time.Hour
	maxWindowCalls = 1_000_000
	maxSlowStart   = 1_000_000
	minWait        = 10 * time.Millisecond
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
	shortest := func(field string, v time.Duration) {
		check(v <= 0 || v >= minWait, field, v, "want at least 10ms")
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
	check(c.ShedRate < 1, "ShedRate", c.ShedRate, "want a share in (0, 1), zero for the default or a negative number for off")
	if c.FailureRate > 0 {
		check(c.ShedRate < c.FailureRate, "ShedRate", c.ShedRate,
			fmt.Sprintf("want less than FailureRate = %v, at which the circuit opens", c.FailureRate))
	}
	check(c.Chance < 1, "Chance", c.Chance, "want a probability in (0, 1), zero for the default or a negative number for off")
	check(c.IndependentFailures <= math.MaxInt32, "IndependentFailures", c.IndependentFailures, "want at most 2147483647")
	shortest("HangAfter", c.HangAfter)
	span("HangAfter", c.HangAfter)
	span("SlowCall", c.SlowCall)
	rate("SlowRate", c.SlowRate)
	check(c.Failures <= math.MaxInt32, "Failures", c.Failures, "want at most 2147483647")
	check(c.ConsecutiveFailures <= math.MaxInt32, "ConsecutiveFailures", c.ConsecutiveFailures, "want at most 2147483647")
	span("ConsecutiveSpan", c.ConsecutiveSpan)

	notNegative("OpenFor", c.OpenFor)
	shortest("OpenFor", c.OpenFor)
	notNegative("MaxOpenFor", c.MaxOpenFor)
	if c.MaxOpenFor > 0 {
		openFor := cmp.Or(c.OpenFor, defaultConfig.OpenFor)
		check(c.MaxOpenFor >= openFor, "MaxOpenFor", c.MaxOpenFor, fmt.Sprintf("want at least OpenFor = %v", openFor))
	}
	rate("ProbeShare", c.ProbeShare)
	check(c.Jitter < 1, "Jitter", c.Jitter, "want a share in [0, 1), or a negative number for none")

	check(c.Probes >= 0, "Probes", c.Probes, "want at least 1, or zero for the default")
	check(c.Probes <= maxProbes, "Probes", c.Probes, "want at most 10,000")
	check(c.ProbeSuccesses >= 0, "ProbeSuccesses", c.ProbeSuccesses, "want at least 1, or zero for the default")
	notNegative("ProbeTimeout", c.ProbeTimeout)
	span("ProbeTimeout", c.ProbeTimeout)
	shortest("ProbeTimeout", c.ProbeTimeout)
	check(c.SlowStart <= maxSlowStart, "SlowStart", c.SlowStart, "want at most 1,000,000")
	check(int(c.Mode) < len(modeNames), "Mode", uint8(c.Mode), fmt.Sprintf("want one of %q", modeNames))

	if r := c.withDefaults(); r.Mode != Disabled && r.FailureRate <= 0 && r.ShedRate < 0 && r.HangAfter < 0 && (r.SlowCall <= 0 || r.SlowRate < 0) &&
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
	ShedRate:            0.5,
	SlowRate:            0.5,
	ConsecutiveFailures: 5,
	ConsecutiveSpan:     time.Second,
	IndependentFailures: 20,
	Chance:              1e-5,
	HangAfter:           2 * time.Second,
	OpenFor:             5 * time.Second,
	MaxOpenFor:          45 * time.Second,
	ProbeShare:          0.02,
	Jitter:              0.2,
	Probes:              1,
	ProbeSuccesses:      1,
	ProbeTimeout:        10 * time.Second,
	SlowStart:           10,
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
	if c.ShedRate == 0 {
		c.ShedRate = d.ShedRate
		if c.FailureRate > 0 {
			c.ShedRate = -1
		}
	}
	c.SlowRate = cmp.Or(c.SlowRate, d.SlowRate)
	c.ConsecutiveFailures = cmp.Or(c.ConsecutiveFailures, d.ConsecutiveFailures)
	c.ConsecutiveSpan = cmp.Or(c.ConsecutiveSpan, d.ConsecutiveSpan)
	c.IndependentFailures = cmp.Or(c.IndependentFailures, d.IndependentFailures)
	c.Chance = cmp.Or(c.Chance, d.Chance)
	c.HangAfter = cmp.Or(c.HangAfter, d.HangAfter)
	c.OpenFor = cmp.Or(c.OpenFor, d.OpenFor)
	c.MaxOpenFor = cmp.Or(c.MaxOpenFor, max(d.MaxOpenFor, c.OpenFor))
	c.ProbeShare = cmp.Or(c.ProbeShare, d.ProbeShare)
	c.Jitter = cmp.Or(c.Jitter, d.Jitter)
	c.Probes = cmp.Or(c.Probes, d.Probes)
	c.ProbeSuccesses = cmp.Or(c.ProbeSuccesses, d.ProbeSuccesses)
	c.ProbeTimeout = cmp.Or(c.ProbeTimeout, d.ProbeTimeout)
	c.SlowStart = cmp.Or(c.SlowStart, d.SlowStart)
	return c
}

// rules is a Config with its defaults. It is immutable.
type rules struct {
	Config
	bucket int64 // width of a bucket of the window in nanoseconds
}

func newRules(cfg Config) (*rules, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return cfg.rules(), nil
}

func (c Config) rules() *rules {
	c = c.withDefaults()
	return &rules{Config: c, bucket: int64(c.Window) / windowBuckets}
}
