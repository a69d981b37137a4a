package breaker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// String says in words which rules are in force, defaults included:
//
//	opens when ≥ 50 % of ≥ 20 calls in 10s fail, or ≥ 5 in a row fail over ≥ 1s; …
func (c Config) String() string {
	c = c.withDefaults()
	var rules []string
	rule := func(format string, args ...any) { rules = append(rules, fmt.Sprintf(format, args...)) }
	window := "in " + short(c.Window)
	if c.WindowCalls > 0 {
		window = fmt.Sprintf("of the last %d", c.WindowCalls)
	}
	calls := "calls"
	if c.MinCalls > 0 {
		calls = fmt.Sprintf("≥ %d calls", c.MinCalls)
	}
	if c.FailureRate > 0 {
		rule("≥ %s of %s %s fail", percent(c.FailureRate), calls, window)
	}
	if c.SlowCall > 0 && c.SlowRate > 0 {
		rule("≥ %s of %s %s take ≥ %s", percent(c.SlowRate), calls, window, short(c.SlowCall))
	}
	if c.Failures > 0 {
		rule("≥ %d calls %s fail", c.Failures, window)
	}
	if c.ConsecutiveFailures > 0 {
		run := fmt.Sprintf("≥ %d in a row fail", c.ConsecutiveFailures)
		if c.SlowCall > 0 {
			run += " or stay unanswered for " + short(c.SlowCall)
		}
		if c.ConsecutiveSpan > 0 {
			run += " over ≥ " + short(c.ConsecutiveSpan)
		}
		rules = append(rules, run)
	}
	if c.Trip != nil {
		rule("the Trip function says so")
	}

	var s strings.Builder
	switch c.Mode {
	case Enforce:
	case Observe:
		s.WriteString("rejects nothing (observe); ")
	case ForceOpen:
		s.WriteString("starts forced open; ")
	case Disabled:
		s.WriteString("starts disabled; ")
	}
	if len(rules) == 0 {
		s.WriteString("never opens by itself")
	} else {
		s.WriteString("opens when " + strings.Join(rules, ", or "))
	}
	s.WriteString("; stays open " + short(c.OpenFor))
	if c.MaxOpenFor > c.OpenFor {
		s.WriteString(", doubling up to " + short(c.MaxOpenFor))
		if c.BusyCalls > 0 {
			fmt.Fprintf(&s, " unless it rejects ≥ %d calls meanwhile", c.BusyCalls)
		}
	}
	if c.Jitter > 0 {
		s.WriteString(", ± " + percent(c.Jitter))
	}
	fmt.Fprintf(&s, "; closes after %s (at most %d at once, each within %s)",
		plural(c.ProbeSuccesses, "successful probe"), c.Probes, short(c.ProbeTimeout))
	if c.Ramp > 0 {
		s.WriteString(", then lets 10 % of the calls through, growing to all over " + short(c.Ramp))
	}
	return s.String()
}

func percent(share float64) string {
	return strconv.FormatFloat(share*100, 'g', 4, 64) + " %"
}

// short prints a duration without zero units at the end: "1m", not "1m0s".
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// configJSON is Config as JSON has it: Trip has no place in it.
type configJSON struct {
	Window              *duration `json:"window,omitempty"`
	WindowCalls         *int      `json:"window_calls,omitempty"`
	MinCalls            *int      `json:"min_calls,omitempty"`
	FailureRate         *float64  `json:"failure_rate,omitempty"`
	SlowCall            *duration `json:"slow_call,omitempty"`
	SlowRate            *float64  `json:"slow_rate,omitempty"`
	Failures            *int      `json:"failures,omitempty"`
	ConsecutiveFailures *int      `json:"consecutive_failures,omitempty"`
	ConsecutiveSpan     *duration `json:"consecutive_span,omitempty"`
	OpenFor             *duration `json:"open_for,omitempty"`
	MaxOpenFor          *duration `json:"max_open_for,omitempty"`
	BusyCalls           *int      `json:"busy_calls,omitempty"`
	Jitter              *float64  `json:"jitter,omitempty"`
	Probes              *int      `json:"probes,omitempty"`
	ProbeSuccesses      *int      `json:"probe_successes,omitempty"`
	ProbeTimeout        *duration `json:"probe_timeout,omitempty"`
	Ramp                *duration `json:"ramp,omitempty"`
	Mode                *Mode     `json:"mode,omitempty"`
}

// over returns the JSON form whose fields are those of c.
func (c *Config) over() *configJSON {
	return &configJSON{
		(*duration)(&c.Window), &c.WindowCalls, &c.MinCalls, &c.FailureRate,
		(*duration)(&c.SlowCall), &c.SlowRate, &c.Failures,
		&c.ConsecutiveFailures, (*duration)(&c.ConsecutiveSpan),
		(*duration)(&c.OpenFor), (*duration)(&c.MaxOpenFor), &c.BusyCalls, &c.Jitter,
		&c.Probes, &c.ProbeSuccesses, (*duration)(&c.ProbeTimeout), (*duration)(&c.Ramp), &c.Mode,
	}
}

// MarshalJSON writes every field but Trip, under its name in snake_case, with
// durations as "10s". Zero values are written as they are, and mean the
// default when they are read back.
func (c Config) MarshalJSON() ([]byte, error) {
	return json.Marshal(c.over())
}

// UnmarshalJSON reads what MarshalJSON writes. Fields that are absent keep what
// c held. Unknown fields, values of the wrong kind and a Config that Validate
// refuses are errors; c is unchanged then.
func (c *Config) UnmarshalJSON(data []byte) error {
	next := *c
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(next.over()); err != nil {
		return fmt.Errorf("breaker: Config: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("breaker: Config: more than one JSON value")
	}
	if err := next.Validate(); err != nil {
		return err
	}
	*c = next
	return nil
}

// duration is a time.Duration that is written as "1m30s" in JSON.
type duration time.Duration

func (d duration) MarshalText() ([]byte, error) {
	return []byte(time.Duration(d).String()), nil
}

func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err == nil {
		*d = duration(v)
	}
	return err
}
