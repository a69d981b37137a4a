package breaker_test

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// badFields has a value for each field of Config that it must not have, with another
// field's where it is bad beside that only.
var badFields = map[string][]func(*breaker.Config){
	"Window": {
		func(c *breaker.Config) { c.Window = -1 },
		func(c *breaker.Config) { c.Window = 9 },
		func(c *breaker.Config) { c.Window = 24*time.Hour + 1 },
	},
	"WindowCalls": {func(c *breaker.Config) { c.WindowCalls = 1_000_001 }},
	"MinCalls": {
		func(c *breaker.Config) { c.WindowCalls, c.MinCalls = 5, 6 },
		func(c *breaker.Config) { c.MinCalls = tooMany },
	},
	"ShedRate": {
		func(c *breaker.Config) { c.ShedRate = 1 },
		func(c *breaker.Config) { c.ShedRate = math.NaN() },
		func(c *breaker.Config) { c.ShedRate = math.Inf(1) },
		func(c *breaker.Config) { c.ShedRate, c.FailureRate = 0.5, 0.5 },
	},
	"FailureRate": {
		func(c *breaker.Config) { c.FailureRate = 1.01 },
		func(c *breaker.Config) { c.FailureRate = math.NaN() },
	},
	"Failures": {
		func(c *breaker.Config) { c.WindowCalls, c.MinCalls, c.Failures = 5, 5, 6 },
		func(c *breaker.Config) { c.Failures = tooMany },
	},
	"ConsecutiveFailures": {func(c *breaker.Config) { c.ConsecutiveFailures = tooMany }},
	"ConsecutiveSpan":     {func(c *breaker.Config) { c.ConsecutiveSpan = 24*time.Hour + 1 }},
	"IndependentFailures": {func(c *breaker.Config) { c.IndependentFailures = tooMany }},
	"Chance": {
		func(c *breaker.Config) { c.Chance = 1 },
		func(c *breaker.Config) { c.Chance = math.NaN() },
	},
	"HangAfter": {
		func(c *breaker.Config) { c.HangAfter = 10*time.Millisecond - 1 },
		func(c *breaker.Config) { c.HangAfter = 24*time.Hour + 1 },
	},
	"SlowCall": {func(c *breaker.Config) { c.SlowCall = 24*time.Hour + 1 }},
	"SlowRate": {
		func(c *breaker.Config) { c.SlowRate = 1.5 },
		func(c *breaker.Config) { c.SlowRate = math.NaN() },
	},
	"OpenFor": {
		func(c *breaker.Config) { c.OpenFor = -1 },
		func(c *breaker.Config) { c.OpenFor = 10*time.Millisecond - 1 },
	},
	"MaxOpenFor": {
		func(c *breaker.Config) { c.MaxOpenFor = -1 },
		func(c *breaker.Config) { c.MaxOpenFor = 5*time.Second - 1 },
		func(c *breaker.Config) { c.OpenFor, c.MaxOpenFor = time.Minute, time.Minute-1 },
	},
	"ProbeShare": {
		func(c *breaker.Config) { c.ProbeShare = 1.01 },
		func(c *breaker.Config) { c.ProbeShare = math.NaN() },
	},
	"Jitter": {
		func(c *breaker.Config) { c.Jitter = 1 },
		func(c *breaker.Config) { c.Jitter = math.NaN() },
	},
	"Probes": {
		func(c *breaker.Config) { c.Probes = -1 },
		func(c *breaker.Config) { c.Probes = 10_001 },
	},
	"ProbeSuccesses": {func(c *breaker.Config) { c.ProbeSuccesses = -1 }},
	"ProbeTimeout": {
		func(c *breaker.Config) { c.ProbeTimeout = -1 },
		func(c *breaker.Config) { c.ProbeTimeout = 10*time.Millisecond - 1 },
		func(c *breaker.Config) { c.ProbeTimeout = 24*time.Hour + 1 },
	},
	"SlowStart": {func(c *breaker.Config) { c.SlowStart = 1_000_001 }},
	"Mode":      {func(c *breaker.Config) { c.Mode = 4 }},
}

// tooMany is more than 31 bits hold. It is not an int constant: an int may have 32.
var tooMany = func() int {
	if math.MaxInt > math.MaxInt32 {
		n := math.MaxInt32
		return n + 1
	}
	return 0 // cannot be said there
}()

// names reports whether one line of err names this field of Config, with its value and
// a rule.
func names(err error, cfg breaker.Config, field string) bool {
	value := reflect.ValueOf(cfg).FieldByName(field)
	shown := fmt.Sprint(value)
	if field == "Mode" {
		shown = fmt.Sprint(value.Uint())
	}
	for _, line := range strings.Split(err.Error(), "\n") {
		if _, rule, ok := strings.Cut(line, "breaker: Config."+field+" = "+shown+"; "); ok && len(rule) > 8 {
			return true
		}
	}
	return false
}

// Each bad value is refused, wherever it comes in, and the error names field, value and
// rule.
func TestEachBadFieldIsNamed(t *testing.T) {
	for i := range reflect.TypeFor[breaker.Config]().NumField() {
		field := reflect.TypeFor[breaker.Config]().Field(i).Name
		if field != "Trip" && len(badFields[field]) == 0 {
			t.Errorf("no bad value for %s", field)
		}
	}
	for field, edits := range badFields {
		for n, edit := range edits {
			var cfg breaker.Config
			edit(&cfg)
			if reflect.ValueOf(cfg).FieldByName(field).IsZero() {
				continue // tooMany for 32 bits
			}
			refusesEverywhere(t, fmt.Sprintf("%s, value %d", field, n+1), cfg, field)
		}
	}
}

// All bad fields are named at once.
func TestAllBadFieldsAreNamedAtOnce(t *testing.T) {
	var cfg breaker.Config
	for _, edits := range badFields {
		var bad breaker.Config
		edits[0](&bad)
		for i := range reflect.TypeFor[breaker.Config]().NumField() {
			if field := reflect.ValueOf(bad).Field(i); !field.IsZero() {
				reflect.ValueOf(&cfg).Elem().Field(i).Set(field)
			}
		}
	}
	cfg.WindowCalls, cfg.MinCalls, cfg.Failures = 1_000_001, 1_000_002, 1_000_002
	var fields []string
	for field := range badFields {
		if !reflect.ValueOf(cfg).FieldByName(field).IsZero() { // tooMany is, for 32 bits
			fields = append(fields, field)
		}
	}
	refusesEverywhere(t, "all", cfg, fields...)
}

func refusesEverywhere(t *testing.T, what string, cfg breaker.Config, fields ...string) {
	t.Helper()
	check := func(where string, err error) {
		t.Helper()
		if err == nil {
			t.Errorf("%s: %s accepts it", what, where)
			return
		}
		for _, field := range fields {
			if !names(err, cfg, field) {
				t.Errorf("%s: %s does not name Config.%s = %v with a rule: %v", what, where, field,
					reflect.ValueOf(cfg).FieldByName(field), err)
			}
		}
	}
	panics := func(make func()) (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("%v", p)
			}
		}()
		make()
		return nil
	}
	check("Validate", cfg.Validate())
	check("New", panics(func() { breaker.New("peer", cfg) }))
	check("NewSet", panics(func() { breaker.NewSet(breaker.Options{Config: cfg}) }))

	b := breaker.New("peer", runRule)
	check("Breaker.Update", b.Update(cfg))
	set := breaker.NewSet(breaker.Options{Config: runRule})
	set.Get("a")
	check("Set.Update", set.Update(breaker.Options{Config: cfg}))
	check("Set.Update by Override", set.Update(breaker.Options{Config: runRule, Override: func(_ string, c *breaker.Config) { *c = cfg }}))
	for _, b := range []*breaker.Breaker{b, set.Get("a"), set.Get("b")} { // nothing is changed
		for range 3 {
			if p, err := b.Allow(t.Context()); err == nil {
				p.Done(breaker.Failure)
			}
		}
		if b.State() != breaker.Open {
			t.Errorf("%s: a refused Update has changed the rules", what)
		}
	}

	cfg.Mode = breaker.Enforce // JSON has a mode's name only
	data, err := json.Marshal(cfg)
	if err != nil || cfg.Validate() == nil { // NaN has no JSON
		return
	}
	fields = slices.DeleteFunc(fields, func(field string) bool { return field == "Mode" })
	into := runRule
	check("UnmarshalJSON", json.Unmarshal(data, &into))
	if !reflect.DeepEqual(into, runRule) {
		t.Errorf("%s: a refused UnmarshalJSON has changed %+v", what, into)
	}
}

// At its bounds each field is good.
func TestBoundsOfConfigAreGood(t *testing.T) {
	for i, cfg := range []breaker.Config{
		{}, with(plain, func(c *breaker.Config) { c.Failures = 1 }),
		{Window: 10, WindowCalls: 1_000_000, MinCalls: 1_000_000},
		{Window: 24 * time.Hour, ConsecutiveSpan: 24 * time.Hour, HangAfter: 24 * time.Hour, SlowCall: 24 * time.Hour, ProbeTimeout: 24 * time.Hour},
		{OpenFor: 10 * time.Millisecond, MaxOpenFor: 10 * time.Millisecond, ProbeTimeout: 10 * time.Millisecond, HangAfter: 10 * time.Millisecond},
		{FailureRate: 1, SlowRate: 1, ProbeShare: 1}, {ShedRate: 0.99, FailureRate: 1}, {ShedRate: -1, FailureRate: 0.1},
		{OpenFor: math.MaxInt64, MaxOpenFor: math.MaxInt64, Probes: 10_000, SlowStart: 1_000_000, Jitter: 0.999},
		{MinCalls: math.MaxInt32, Failures: math.MaxInt32, ConsecutiveFailures: math.MaxInt32, IndependentFailures: math.MaxInt32},
	} {
		if err := cfg.Validate(); err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// A Config by which nothing can open is a mistake, unless it says Disabled. Any one rule
// is enough.
func TestConfigNeedsARule(t *testing.T) {
	off := plain
	if err := off.Validate(); err == nil || !strings.Contains(err.Error(), "every rule is off") {
		t.Errorf("every rule is off: %v", err)
	}
	for name, on := range map[string]func(*breaker.Config){
		"shed rate":            func(c *breaker.Config) { c.ShedRate = 0 },
		"failure rate":         func(c *breaker.Config) { c.FailureRate = 0.5 },
		"failures":             func(c *breaker.Config) { c.Failures = 1 },
		"consecutive failures": func(c *breaker.Config) { c.ConsecutiveFailures = 0 },
		"hangs":                func(c *breaker.Config) { c.HangAfter = 0 },
		"slow calls":           func(c *breaker.Config) { c.SlowCall = 1 },
		"trip":                 func(c *breaker.Config) { c.Trip = func(breaker.Counts) bool { return false } },
		"disabled":             func(c *breaker.Config) { c.Mode = breaker.Disabled },
	} {
		if err := with(off, on).Validate(); err != nil {
			t.Errorf("%s alone: %v", name, err)
		}
	}
	for name, still := range map[string]func(*breaker.Config){
		"a rate of slow calls without SlowCall": func(c *breaker.Config) { c.SlowRate = 0.5 },
		"slow calls without their rate":         func(c *breaker.Config) { c.SlowCall, c.SlowRate = time.Second, -1 },
		"independent failures without a run":    func(c *breaker.Config) { c.IndependentFailures = 0 },
	} {
		if with(off, still).Validate() == nil {
			t.Errorf("%s: accepted, and can open nothing", name)
		}
	}
}

// What MarshalJSON writes is what UnmarshalJSON reads, for every field.
func TestConfigSurvivesJSON(t *testing.T) {
	full := breaker.Config{
		Window: time.Minute, WindowCalls: 100, MinCalls: 10, ShedRate: 0.3, FailureRate: 0.6, Failures: 7,
		ConsecutiveFailures: 6, ConsecutiveSpan: 2 * time.Second, IndependentFailures: 9, Chance: 1e-4,
		HangAfter: 3 * time.Second, SlowCall: 4 * time.Second, SlowRate: 0.7, OpenFor: 6 * time.Second,
		MaxOpenFor: 8 * time.Second, ProbeShare: 0.02, Jitter: 0.1, Probes: 2, ProbeSuccesses: 3,
		ProbeTimeout: 11 * time.Second, SlowStart: 12, Mode: breaker.Observe,
	}
	v := reflect.ValueOf(full)
	for i := range v.NumField() {
		if name := v.Type().Field(i).Name; name != "Trip" && v.Field(i).IsZero() {
			t.Errorf("%s is not set: the test is out of date", name)
		}
	}
	for _, cfg := range []breaker.Config{{}, full, runRule, textbook} {
		data, err := json.Marshal(cfg)
		if err != nil {
			t.Fatal(err)
		}
		var back breaker.Config
		if err := json.Unmarshal(data, &back); err != nil || !reflect.DeepEqual(back, cfg) {
			t.Errorf("%s\n comes back as %+v\n want         %+v, %v", data, back, cfg, err)
		}
	}
}

// Every part of the rules is in the words of Config.String, with its figure.
func TestConfigStringSaysEveryRule(t *testing.T) {
	cfg := breaker.Config{
		Window: time.Minute, MinCalls: 11, ShedRate: 0.3, FailureRate: 0.6, Failures: 7,
		ConsecutiveFailures: 6, ConsecutiveSpan: 2 * time.Second, IndependentFailures: 9,
		HangAfter: 3 * time.Second, SlowCall: 4 * time.Second, SlowRate: 0.7, OpenFor: 6 * time.Second,
		MaxOpenFor: 8 * time.Second, ProbeShare: 0.02, Jitter: 0.15, Probes: 2, ProbeSuccesses: 13,
		ProbeTimeout: 14 * time.Second, SlowStart: 12, Mode: breaker.Observe,
	}
	for _, part := range []string{
		"in 1m", "≥ 11 calls", "≥ 30 %", "≥ 60 %", "≥ 7 calls", "≥ 6 in a row", "over ≥ 2s", "≥ 9 that", "chance", "3s", "4s", "70 %",
		"6s", "8s", "rejected 10 calls, growing to 50", "± 15 %", "2 at once", "13 successful probes", "14s", "12 calls", "observe",
	} {
		if says := cfg.String(); !strings.Contains(says, part) {
			t.Errorf("%q does not say %q", says, part)
		}
	}
	for mode, says := range map[breaker.Mode]string{breaker.ForceOpen: "forced open", breaker.Disabled: "disabled"} {
		if got := (breaker.Config{Mode: mode}).String(); !strings.Contains(got, says) {
			t.Errorf("%v: %q", mode, got)
		}
	}
	if got := with(plain, func(c *breaker.Config) { c.Mode = breaker.Disabled }).String(); !strings.Contains(got, "never opens by itself") {
		t.Errorf("%q", got)
	}
}
