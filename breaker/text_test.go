package breaker

import (
	"encoding"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What people read.

func TestTextOfARejection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ago := func(d time.Duration) time.Time { return time.Now().Add(-d) }
		for want, e := range map[string]OpenError{
			`breaker: circuit is open`: {State: Open},
			`breaker: circuit "peer" is open for 1.5s: 3 calls failed; last failure: broken; next try in 2s`: {
				Key: "peer", State: Open, Reason: "3 calls failed", Since: ago(1500 * time.Millisecond),
				Last: errors.New("broken"), Until: ago(-2 * time.Second),
			},
			`breaker: circuit "peer" is half-open for 1m0s: being probed after: broken`: {
				Key: "peer", State: HalfOpen, Reason: "being probed after: broken", Since: ago(time.Second),
				OutageSince: ago(time.Minute), Last: errors.New("broken"),
			},
			`breaker: circuit "peer" is forced open for 1ms: by hand; until it is set back`: {
				Key: "peer", State: Open, Mode: ForceOpen, Reason: "by hand", Since: ago(time.Millisecond),
			},
			`breaker: circuit "peer" is open: just now`: {
				Key: "peer", State: Open, Reason: "just now", Since: ago(time.Millisecond - 1), Until: time.Now(),
			},
		} {
			if got := e.Error(); got != want {
				t.Errorf("%s\nwant %s", got, want)
			}
		}
	})
}

func TestDurationsAreShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 7: "7ns", 1234: "1.23µs", 999_400: "999µs", 12_344_000: "12.34ms",
		1_234_567_890: "1.23s", 99_990 * time.Millisecond: "1m39.99s", 100_400 * time.Millisecond: "1m40s",
	} {
		if got := roundDuration(d).String(); got != want {
			t.Errorf("%v is rounded to %s, want %s", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		time.Minute: "1m", time.Hour: "1h", 90 * time.Minute: "1h30m", 90 * time.Second: "1m30s", 10 * time.Second: "10s",
	} {
		if got := short(d); got != want {
			t.Errorf("%v is told as %s, want %s", d, got, want)
		}
	}
}

func TestTextOfRules(t *testing.T) {
	for want, cfg := range map[string]Config{
		"≥ 5 in a row fail or stay unanswered for 2s over ≥ 1s":        {SlowCall: 2 * time.Second},
		", or the Trip function says so; ":                             {Trip: func(Counts) bool { return false }},
		"; rejects a growing share when half of the calls hang; ":      {ShedRate: -1},
		"calls in 10s fail or half of them hang; ":                     {},
		"; rejects a growing share when ≥ 50 % of ≥ 20 calls in 10s f": {HangAfter: -1},
	} {
		if got := cfg.String(); !strings.Contains(got, want) {
			t.Errorf("%q does not say %q", got, want)
		}
	}
	if got := (Config{HangAfter: -1}).String(); strings.Contains(got, "hang") {
		t.Errorf("%q speaks of hangs", got)
	}
	if got := (Config{HangAfter: -1, ShedRate: -1}).String(); strings.Contains(got, "share") {
		t.Errorf("%q speaks of a share", got)
	}
}

// A name is read back as what it was written for, and an unknown one changes nothing.
func TestNamesAreReadBack(t *testing.T) {
	state, outcome, mode, origin := HalfOpen, Failure, Disabled, ByOperator
	var readState State
	var readOutcome Outcome
	var readMode Mode
	var readOrigin Origin
	for _, test := range []struct {
		wrote encoding.TextMarshaler
		read  encoding.TextUnmarshaler
		same  func() bool
	}{
		{state, &readState, func() bool { return readState == state }},
		{outcome, &readOutcome, func() bool { return readOutcome == outcome }},
		{mode, &readMode, func() bool { return readMode == mode }},
		{origin, &readOrigin, func() bool { return readOrigin == origin }},
	} {
		text, err := test.wrote.MarshalText()
		if err != nil {
			t.Error(err)
		}
		if err := test.read.UnmarshalText(text); err != nil || !test.same() {
			t.Errorf("%s is not read back: %v", text, err)
		}
		if err := test.read.UnmarshalText([]byte("nonsense")); err == nil || !test.same() {
			t.Errorf("%s was changed by nonsense, and the error is %v", text, err)
		}
	}
}
