package breaker_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/internal/doctest"
)

// The Configs of docs/coming-from.md, which shows them word for word, and tests
// that they do what the other libraries do.

var textbook = breaker.Config{
	Window:              10 * time.Second,
	MinCalls:            20,
	FailureRate:         0.5,              // opens here,
	ShedRate:            -1,               // rejects no share before
	ConsecutiveFailures: -1,               // and opens by no run
	Chance:              -1,               // that chance may explain
	HangAfter:           -1,               // nor because calls hang
	OpenFor:             10 * time.Second, // to the first probe
	MaxOpenFor:          10 * time.Second, // and to each other one,
	Jitter:              -1,               // to the nanosecond,
	ProbeShare:          -1,               // however many calls are rejected
	SlowStart:           -1,               // one good probe closes it
}

var pythonCircuit = breaker.Config{
	Failures:            4, // maxfail=3 opens at the fourth
	Window:              time.Minute,
	ShedRate:            -1,
	ConsecutiveFailures: -1,
	HangAfter:           -1,
	OpenFor:             10 * time.Second,
	MaxOpenFor:          10 * time.Second, // backoff_cap
	Jitter:              -1,
	ProbeShare:          -1,
	SlowStart:           -1,
}

var pybreaker = breaker.Config{
	ConsecutiveFailures: 5,
	ConsecutiveSpan:     -1,
	Chance:              -1,
	ShedRate:            -1,
	HangAfter:           -1,
	OpenFor:             time.Minute,
	MaxOpenFor:          time.Minute,
	Jitter:              -1,
	ProbeShare:          -1,
	ProbeSuccesses:      1, // success_threshold
	SlowStart:           -1,
}

var gobreaker = breaker.Config{
	ConsecutiveFailures: 6, // ReadyToTrip: more than five
	ConsecutiveSpan:     -1,
	Chance:              -1,
	ShedRate:            -1,
	HangAfter:           -1,
	OpenFor:             time.Minute, // Timeout
	MaxOpenFor:          time.Minute,
	Jitter:              -1,
	ProbeShare:          -1,
	Probes:              1, // MaxRequests is both
	ProbeSuccesses:      1,
	SlowStart:           -1,
}

var gobreakerRatio = breaker.Config{
	Window: time.Minute,
	Trip: func(c breaker.Counts) bool {
		return c.Calls >= 3 && c.FailureRate() >= 0.6
	},
	ShedRate:            -1,
	ConsecutiveFailures: -1,
	HangAfter:           -1,
	OpenFor:             time.Minute,
	MaxOpenFor:          time.Minute,
	Jitter:              -1,
	ProbeShare:          -1,
	SlowStart:           -1,
}

var failsafe = breaker.Config{
	Window:              10 * time.Second,
	MinCalls:            20,
	FailureRate:         0.5, // WithFailureRateThreshold(0.5, 20, 10*time.Second)
	ConsecutiveFailures: -1,
	HangAfter:           -1,
	OpenFor:             5 * time.Second, // WithDelay(5*time.Second)
	MaxOpenFor:          5 * time.Second,
	Jitter:              -1, // or that of WithJitterFactor
	ProbeShare:          -1,
	Probes:              3, // WithSuccessThreshold(3) is both
	ProbeSuccesses:      3,
	SlowStart:           -1,
}

var hystrix = breaker.Config{
	Window:              10 * time.Second,
	MinCalls:            20,  // RequestVolumeThreshold
	FailureRate:         0.5, // ErrorPercentThreshold
	ConsecutiveFailures: -1,
	HangAfter:           -1,
	OpenFor:             5 * time.Second, // SleepWindow
	MaxOpenFor:          5 * time.Second,
	Jitter:              -1,
	ProbeShare:          -1,
	ProbeTimeout:        time.Second, // Timeout
	SlowStart:           -1,
}

var resilience4j = breaker.Config{
	WindowCalls:         100, // slidingWindowSize
	MinCalls:            100, // minimumNumberOfCalls
	FailureRate:         0.5,
	SlowCall:            time.Minute,
	SlowRate:            1,
	ConsecutiveFailures: -1,
	HangAfter:           -1,
	OpenFor:             time.Minute, // waitDurationInOpenState
	MaxOpenFor:          time.Minute,
	Jitter:              -1,
	ProbeShare:          -1,
	Probes:              10, // permittedNumberOfCallsInHalfOpenState
	ProbeSuccesses:      10,
	SlowStart:           -1,
}

var polly = breaker.Config{
	Window:              30 * time.Second, // SamplingDuration
	MinCalls:            100,              // MinimumThroughput
	FailureRate:         0.1,              // FailureRatio
	ConsecutiveFailures: -1,
	HangAfter:           -1,
	OpenFor:             5 * time.Second, // BreakDuration
	MaxOpenFor:          5 * time.Second,
	Jitter:              -1,
	ProbeShare:          -1,
	SlowStart:           -1,
}

// The page and this file cannot drift apart: each Go block of the page stands
// here, and each Config from here stands there.
func TestComingFromPageShowsTheTestedConfigs(t *testing.T) {
	page := doctest.Check(t, "../docs/coming-from.md", "comingfrom_test.go")
	source := doctest.Sources(t, "comingfrom_test.go")
	oneLine := strings.Join(strings.Fields(page), " ")
	if says := (breaker.Config{}).String(); !strings.Contains(oneLine, says) {
		t.Errorf("the page does not say what the default is: %s", says)
	}
	configs := regexp.MustCompile(`(?sm)^var \w+ = breaker\.Config\{.*?^\}\n`).FindAllString(source, -1)
	for _, config := range configs {
		if !strings.Contains(page, "```go\n"+config+"```") {
			t.Errorf("the page does not show:\n%s", config)
		}
	}
	if len(configs) != 9 {
		t.Errorf("%d configs", len(configs))
	}
}

// Each Config of the page is a plain breaker: no part of it holds back a share of the
// calls, probes by a budget, starts slowly or watches for hangs.
func TestComingFromConfigsArePlain(t *testing.T) {
	for name, cfg := range map[string]breaker.Config{
		"textbook": textbook, "python-circuit": pythonCircuit, "pybreaker": pybreaker, "gobreaker": gobreaker,
		"gobreaker with a ratio": gobreakerRatio, "failsafe-go": failsafe, "hystrix-go": hystrix, "Resilience4j": resilience4j, "Polly": polly,
	} {
		for _, part := range []string{"share", "chance", "until it has rejected", "hang", "unanswered", "answered", "in flight", "doubling", "±"} {
			if says := cfg.String(); strings.Contains(says, part) {
				t.Errorf("%s: %q in %q", name, part, says)
			}
		}
	}
}

// Closed until half of twenty calls have failed, open for ten seconds, closed or open
// again by one probe: nothing else moves it.
func TestTextbookBreaker(t *testing.T) {
	inBubble(t, textbook, func(r rig) {
		for range 3 { // 40 % fail, in runs of thirty, and others hang
			r.succeed(45)
			r.fail(30)
			for range 20 {
				r.admit()
			}
			time.Sleep(time.Second)
		}
		r.want(breaker.Closed)
		r.fail(45)
		r.wantOpenFor(10 * time.Second)
		for range 100 {
			for range 100 {
				r.reject()
			}
			time.Sleep(100*time.Millisecond - time.Nanosecond)
		}
		r.reject()
		time.Sleep(100 * time.Nanosecond)
		r.fail(1)
		r.wantOpenFor(10 * time.Second)
		time.Sleep(10 * time.Second)
		probe := r.admit()
		r.reject()
		probe.Done(breaker.Success)
		r.want(breaker.Closed)
		for range 1000 {
			r.admit()
		}
		r.wantSeen(breaker.Open, breaker.HalfOpen, breaker.Open, breaker.HalfOpen, breaker.Closed)
	})
	inBubble(t, textbook, func(r rig) {
		r.fail(19)
		time.Sleep(time.Second)
		r.want(breaker.Closed) // too few
		r.fail(1)
		r.want(breaker.Open)
	})
}

func TestComingFromPythonCircuit(t *testing.T) {
	// The fourth error within a minute opens for ten seconds.
	inBubble(t, pythonCircuit, func(r rig) {
		r.fail(3)
		r.want(breaker.Closed)
		r.fail(1)
		r.wantOpenFor(10 * time.Second)
		time.Sleep(10 * time.Second)
		r.fail(1)
		r.wantOpenFor(10 * time.Second) // no backoff_cap, no backoff
	})
	// Just within the minute, and just not.
	for last, want := range map[time.Duration]breaker.State{
		59900 * time.Millisecond: breaker.Open,
		60 * time.Second:         breaker.Closed,
	} {
		inBubble(t, pythonCircuit, func(r rig) {
			r.failAt(0, 20*time.Second, 40*time.Second, last)
			r.want(want)
		})
	}
	// What is old has left.
	inBubble(t, pythonCircuit, func(r rig) {
		r.failAt(0, 20*time.Second, 40*time.Second, 60*time.Second)
		if got := r.b.Snapshot().Counts.Failures; got != 3 {
			r.Errorf("%d failures in the window, want 3", got)
		}
	})
	// Successes do not dilute errors.
	inBubble(t, pythonCircuit, func(r rig) {
		r.fail(3)
		r.succeed(1000)
		r.sleepUntil(30 * time.Second)
		r.fail(1)
		r.want(breaker.Open)
	})
	// With backoff_cap=64 the open time doubles up to it.
	inBubble(t, with(pythonCircuit, func(c *breaker.Config) { c.MaxOpenFor = 64 * time.Second }), func(r rig) {
		r.fail(4)
		for _, open := range []time.Duration{10, 20, 40, 64, 64} {
			r.wantOpenFor(open * time.Second)
			time.Sleep(open * time.Second)
			r.fail(1)
		}
	})
}

func TestComingFromPybreaker(t *testing.T) {
	// Five in a row, at whatever pace, open for a minute.
	inBubble(t, pybreaker, func(r rig) {
		r.failAt(0, time.Second, time.Minute, time.Hour)
		r.want(breaker.Closed)
		r.fail(1)
		r.wantOpenFor(time.Minute)
		time.Sleep(59 * time.Second)
		r.reject()
		time.Sleep(time.Second)
		r.fail(1)
		r.wantOpenFor(time.Minute)
		time.Sleep(time.Minute)
		r.succeed(1)
		r.want(breaker.Closed)
	})
	// A success ends the run. So does an excluded error, if it is
	// classified as a Success.
	inBubble(t, with(pybreaker, func(c *breaker.Config) { c.ConsecutiveFailures = 3 }), func(r rig) {
		r.fail(2)
		r.succeed(1)
		r.fail(2)
		r.want(breaker.Closed)
		if got := r.b.Snapshot().Counts.ConsecutiveFailures; got != 2 {
			r.Errorf("a run of %d, want 2", got)
		}
	})
	// Success_threshold.
	inBubble(t, with(pybreaker, func(c *breaker.Config) { c.ProbeSuccesses = 3 }), func(r rig) {
		r.fail(5)
		time.Sleep(time.Minute)
		r.succeed(2)
		r.want(breaker.HalfOpen)
		r.succeed(1)
		r.want(breaker.Closed)
	})
}

func TestComingFromGobreaker(t *testing.T) {
	inBubble(t, gobreaker, func(r rig) {
		r.fail(5)
		r.want(breaker.Closed)
		r.fail(1)
		r.wantOpenFor(time.Minute)
		time.Sleep(time.Minute)
		r.admit().Done(breaker.Success)
		r.want(breaker.Closed)
	})
	// MaxRequests 3: three at once, and three successes close.
	inBubble(t, with(gobreaker, func(c *breaker.Config) { c.Probes, c.ProbeSuccesses = 3, 3 }), func(r rig) {
		r.fail(6)
		time.Sleep(time.Minute)
		probes := []*breaker.Permit{r.admit(), r.admit(), r.admit()}
		r.reject()
		for _, p := range probes {
			r.want(breaker.HalfOpen)
			p.Done(breaker.Success)
		}
		r.want(breaker.Closed)
	})
	// Its README's ReadyToTrip: at least three requests, 60 % of them failed.
	inBubble(t, gobreakerRatio, func(r rig) {
		r.fail(2)
		r.succeed(2)
		r.want(breaker.Closed)
		r.fail(1)
		r.wantOpenFor(time.Minute) // three of five
	})
	inBubble(t, gobreakerRatio, func(r rig) {
		r.fail(2)
		r.want(breaker.Closed)
		r.fail(1)
		r.want(breaker.Open)
	})
}

func TestComingFromFailsafe(t *testing.T) {
	inBubble(t, failsafe, func(r rig) {
		r.fail(9)
		time.Sleep(time.Second)
		r.succeed(10)
		r.want(breaker.Closed) // 19 executions are too few
		r.fail(1)
		r.wantOpenFor(5 * time.Second)
		time.Sleep(5 * time.Second)
		probes := []*breaker.Permit{r.admit(), r.admit(), r.admit()}
		r.reject()
		for _, p := range probes {
			r.want(breaker.HalfOpen)
			p.Done(breaker.Success)
		}
		r.want(breaker.Closed)
	})
	// Three of three have to succeed: one failed trial reopens, for as long again.
	inBubble(t, failsafe, func(r rig) {
		r.fail(10)
		time.Sleep(time.Second)
		r.fail(10)
		time.Sleep(5 * time.Second)
		r.succeed(2)
		r.fail(1)
		r.wantOpenFor(5 * time.Second)
	})
	// WithFailureThresholdRatio(5, 10): five of the last ten, and no minimum.
	ratio := func(c *breaker.Config) {
		c.WindowCalls, c.Failures = 10, 5
		c.FailureRate, c.MinCalls = 0, 0
		c.ShedRate = -1
	}
	inBubble(t, with(failsafe, ratio), func(r rig) {
		r.fail(4)
		r.succeed(6)
		r.fail(4) // in place of the first four
		r.want(breaker.Closed)
		r.succeed(6)
		r.fail(5)
		r.wantOpenFor(5 * time.Second)
	})
	inBubble(t, with(failsafe, ratio), func(r rig) {
		r.fail(5)
		r.want(breaker.Open)
	})
}

func TestComingFromHystrix(t *testing.T) {
	inBubble(t, hystrix, func(r rig) {
		r.fail(9)
		time.Sleep(time.Second)
		r.succeed(10)
		r.want(breaker.Closed) // 19 requests are too few
		r.fail(1)
		r.wantOpenFor(5 * time.Second)
		time.Sleep(5 * time.Second)
		r.admit() // a test that hangs has failed after Timeout
		time.Sleep(time.Second)
		r.reject()
		r.wantOpenFor(5 * time.Second)
		time.Sleep(5 * time.Second)
		r.succeed(1)
		r.want(breaker.Closed)
	})
	inBubble(t, hystrix, func(r rig) {
		r.fail(10)
		time.Sleep(11 * time.Second) // what is older than the window counts no more
		r.succeed(11)
		r.fail(9)
		r.want(breaker.Closed)
	})
}

func TestComingFromResilience4j(t *testing.T) {
	inBubble(t, resilience4j, func(r rig) {
		r.fail(50)
		r.succeed(49)
		r.want(breaker.Closed)
		r.succeed(51) // the window holds the last hundred calls: no failure asks
		r.want(breaker.Closed)
		r.succeed(100)
		r.fail(49)
		r.want(breaker.Closed)
		r.fail(1)
		r.wantOpenFor(time.Minute)
		time.Sleep(time.Minute)
		var probes []*breaker.Permit
		for range 10 {
			probes = append(probes, r.admit())
		}
		r.reject()
		for _, p := range probes {
			p.Done(breaker.Success)
		}
		r.want(breaker.Closed)
	})
	// All of a hundred calls are slow.
	inBubble(t, resilience4j, func(r rig) {
		for range 100 {
			r.want(breaker.Closed)
			p := r.admit()
			time.Sleep(time.Minute)
			p.Done(breaker.Success)
		}
		r.want(breaker.Open)
	})
}

func TestComingFromPolly(t *testing.T) {
	inBubble(t, polly, func(r rig) {
		r.succeed(90)
		r.fail(9)
		time.Sleep(3 * time.Second)
		r.want(breaker.Closed)
		r.fail(1)
		r.wantOpenFor(5 * time.Second)
		time.Sleep(5 * time.Second)
		r.fail(1)
		r.wantOpenFor(5 * time.Second)
		time.Sleep(5 * time.Second)
		r.succeed(1)
		r.want(breaker.Closed)
	})
}
