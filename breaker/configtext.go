package breaker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
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
			if c.IndependentFailures > 0 {
				run += fmt.Sprintf(" (or ≥ %d that began after the first had failed)", c.IndependentFailures)
			}
		}
		if c.Chance > 0 {
			run += " and chance does not explain it"
		}
		rules = append(rules, run)
	}
	if c.HangAfter > 0 {
		rule("next to no call is answered within %s", short(c.HangAfter))
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
	if c.ShedRate > 0 {
		fmt.Fprintf(&s, "; rejects a growing share when ≥ %s of %s %s fail", percent(c.ShedRate), calls, window)
		if c.HangAfter > 0 {
			s.WriteString(" or half of them hang")
		}
	} else if c.HangAfter > 0 {
		s.WriteString("; rejects a growing share when half of the calls hang")
	}
	s.WriteString("; stays open ")
	if c.ProbeShare > 0 {
		fmt.Fprintf(&s, "until it has rejected %g calls, growing to %g, at most ", firstShare/c.ProbeShare, 1/c.ProbeShare)
	}
	s.WriteString(short(c.OpenFor))
	if c.MaxOpenFor > c.OpenFor {
		s.WriteString(", doubling up to " + short(c.MaxOpenFor))
	}
	if c.Jitter > 0 {
		s.WriteString(", ± " + percent(c.Jitter))
	}
	fmt.Fprintf(&s, "; closes after %s (at most %d at once, each within %s)",
		plural(c.ProbeSuccesses, "successful probe"), c.Probes, short(c.ProbeTimeout))
	if c.SlowStart > 0 {
		fmt.Fprintf(&s, ", then lets %s be in flight, growing with success", plural(c.SlowStart, "call"))
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

// configField is a field of Config as JSON has it. Trip has no place there.
type configField struct {
	name  string
	value any // a pointer into the Config
}

func (c *Config) fields() []configField {
	return []configField{
		{"window", (*duration)(&c.Window)},
		{"window_calls", &c.WindowCalls},
		{"min_calls", &c.MinCalls},
		{"shed_rate", &c.ShedRate},
		{"failure_rate", &c.FailureRate},
		{"failures", &c.Failures},
		{"consecutive_failures", &c.ConsecutiveFailures},
		{"consecutive_span", (*duration)(&c.ConsecutiveSpan)},
		{"independent_failures", &c.IndependentFailures},
		{"chance", &c.Chance},
		{"hang_after", (*duration)(&c.HangAfter)},
		{"slow_call", (*duration)(&c.SlowCall)},
		{"slow_rate", &c.SlowRate},
		{"open_for", (*duration)(&c.OpenFor)},
		{"max_open_for", (*duration)(&c.MaxOpenFor)},
		{"probe_share", &c.ProbeShare},
		{"jitter", &c.Jitter},
		{"probes", &c.Probes},
		{"probe_successes", &c.ProbeSuccesses},
		{"probe_timeout", (*duration)(&c.ProbeTimeout)},
		{"slow_start", &c.SlowStart},
		{"mode", &c.Mode},
	}
}

// MarshalJSON writes every field but Trip, under its name in snake_case, with
// durations as "10s". Zero values are written as they are, and mean the
// default when they are read back.
func (c Config) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	for i, f := range c.fields() {
		value, err := json.Marshal(f.value)
		if err != nil {
			return nil, fmt.Errorf("breaker: Config: %q: %w", f.name, err)
		}
		fmt.Fprintf(&out, "%c%q:%s", "{,"[min(i, 1)], f.name, value)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// UnmarshalJSON reads what MarshalJSON writes. Fields that are absent or null
// keep what c held. Unknown fields, values of the wrong kind and a Config that
// Validate refuses are errors, all of which are named at once; c is unchanged
// then.
func (c *Config) UnmarshalJSON(data []byte) error {
	var given map[string]json.RawMessage
	if err := json.Unmarshal(data, &given); err != nil {
		return fmt.Errorf("breaker: Config: %w", err)
	}
	next := *c
	var bad []error
	for _, f := range next.fields() {
		if value, ok := given[f.name]; ok {
			if err := json.Unmarshal(value, f.value); err != nil {
				bad = append(bad, fmt.Errorf("breaker: Config: %q = %s; %w", f.name, value, err))
			}
			delete(given, f.name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		bad = append(bad, fmt.Errorf("breaker: Config: unknown field %q", name))
	}
	if err := errors.Join(append(bad, next.Validate())...); err != nil {
		return err
	}
	*c = next
	return nil
}

// duration is a time.Duration that is written as "1m30s" in JSON.
type duration time.Duration

func (d duration) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Duration(d).String())
}

func (d *duration) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return errors.New(`want a duration such as "1m30s"`)
	}
	v, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf(`want a duration such as "1m30s": %w`, err)
	}
	*d = duration(v)
	return nil
}
