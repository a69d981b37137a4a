// Package settings lists the settings of a breaker that are worth trying: in which
// words a person reads them, and from where to where.
package settings

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// Kind is what the value of a setting is.
type Kind string

const (
	Count    Kind = "count"
	Share    Kind = "share"
	Duration Kind = "duration"
)

// Setting is a field of breaker.Config.
type Setting struct {
	Name  string `json:"name"` // in JSON
	Kind  Kind   `json:"kind"`
	Words string `json:"words"` // what it does, behind its value: "5 failures in a row open the circuit"
	Off   string `json:"off"`   // what switching it off means; empty if it cannot be off
	// Values are worth trying, in ascending order: numbers, and durations in
	// seconds.
	Values []float64 `json:"values"`
	// Default is the value that the zero Config stands for; 0 is off.
	Default float64 `json:"default"`
}

// All are the settings, in the order in which a person would think of them.
var All = []Setting{
	{
		Name: "consecutive_failures", Kind: Count, Words: "failures in a row open the circuit", Off: "a run of failures opens nothing",
		Values: []float64{1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100}, Default: 5,
	},
	{
		Name: "consecutive_span", Kind: Duration, Words: "at least, from the first to the last of them", Off: "however short",
		Values: []float64{0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 30}, Default: 1,
	},
	{
		Name: "independent_failures", Kind: Count, Words: "independent failures in a row open it at once", Off: "never at once",
		Values: []float64{3, 5, 10, 15, 20, 30, 50, 100, 200}, Default: 20,
	},
	{
		Name: "shed_rate", Kind: Share, Words: "of the calls fail: from here on a share is rejected", Off: "nothing is shed",
		Values: []float64{0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9}, Default: 0.5,
	},
	{
		Name: "failure_rate", Kind: Share, Words: "of the calls fail: the circuit opens fully", Off: "no rate opens it fully",
		Values: []float64{0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1},
	},
	{
		Name: "min_calls", Kind: Count, Words: "calls in the window before a share of them is judged", Off: "no minimum",
		Values: []float64{1, 3, 5, 10, 20, 30, 50, 100, 200}, Default: 20,
	},
	{
		Name: "window", Kind: Duration, Words: "is how far the window looks back",
		Values: []float64{1, 2, 5, 10, 15, 30, 60, 120, 300}, Default: 10,
	},
	{
		Name: "slow_call", Kind: Duration, Words: "or longer is a slow call", Off: "no call is slow",
		Values: []float64{0.05, 0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 30},
	},
	{
		Name: "hang_after", Kind: Duration, Words: "without an answer looks like a hang", Off: "a hang is seen when its calls end",
		Values: []float64{0.5, 1, 1.5, 2, 3, 5, 10, 30}, Default: 2,
	},
	{
		Name: "open_for", Kind: Duration, Words: "open before the first probe, at most",
		Values: []float64{0.2, 0.5, 1, 2, 3, 5, 10, 20, 30, 60}, Default: 5,
	},
	{
		Name: "max_open_for", Kind: Duration, Words: "between probes, at most, however long it lasts",
		Values: []float64{1, 2, 5, 10, 20, 30, 45, 60, 120, 300}, Default: 45,
	},
	{
		Name: "probe_share", Kind: Share, Words: "of the rejected calls may be probes", Off: "probes by time alone",
		Values: []float64{0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1}, Default: 0.02,
	},
	{
		Name: "slow_start", Kind: Count, Words: "calls in flight at first after a good probe", Off: "all calls at once",
		Values: []float64{1, 2, 5, 10, 20, 50, 100}, Default: 10,
	},
}

// Get returns the setting's value in c: 0 is off.
func (s *Setting) Get(c breaker.Config) float64 {
	f := s.field(&c)
	switch {
	case f.IsZero() && s.Name == "shed_rate" && c.FailureRate > 0:
		return 0
	case f.IsZero():
		return s.Default
	case s.Kind == Share:
		return max(0, f.Float())
	case s.Kind == Duration:
		return max(0, time.Duration(f.Int()).Seconds())
	}
	return max(0, float64(f.Int()))
}

// Set sets the setting's value in c: 0 is off, and the default is left to c.
func (s *Setting) Set(c *breaker.Config, v float64) {
	f := s.field(c)
	if f.SetZero(); s.Get(*c) == v {
		return
	}
	if v <= 0 {
		v = -1
	}
	switch {
	case s.Kind == Share:
		f.SetFloat(v)
	case s.Kind == Duration && v > 0:
		f.SetInt(int64(time.Duration(v * float64(time.Second)).Round(time.Microsecond)))
	default:
		f.SetInt(int64(v))
	}
}

// field is that of the setting's name: "open_for" is OpenFor.
func (s *Setting) field(c *breaker.Config) reflect.Value {
	name := ""
	for part := range strings.SplitSeq(s.Name, "_") {
		name += strings.ToUpper(part[:1]) + part[1:]
	}
	return reflect.ValueOf(c).Elem().FieldByName(name)
}

// Text is a value in words, such as "5s", "30 %" or "off".
func (s *Setting) Text(v float64) string {
	switch {
	case v <= 0:
		return "off"
	case s.Kind == Share:
		return strconv.FormatFloat(v*100, 'g', 4, 64) + " %"
	case s.Kind == Duration:
		return Short(time.Duration(v * float64(time.Second)))
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

// Short prints a duration without zero units at the end: "1m", not "1m0s".
func Short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// Differences lists in which settings c differs from the default: "open_for 2s".
func Differences(c breaker.Config) string {
	var all []string
	for _, s := range All {
		if v := s.Get(c); v != s.Default {
			all = append(all, s.Name+" "+s.Text(v))
		}
	}
	if len(all) == 0 {
		return "the defaults"
	}
	return strings.Join(all, ", ")
}

// JSON writes what differs from the default, as a file for -config.
func JSON(c breaker.Config) string {
	var all, none map[string]json.RawMessage
	for config, into := range map[*breaker.Config]*map[string]json.RawMessage{&c: &all, {}: &none} {
		text, err := json.Marshal(*config)
		if err == nil {
			err = json.Unmarshal(text, into)
		}
		if err != nil {
			return err.Error()
		}
	}
	for name, value := range none {
		if string(all[name]) == string(value) {
			delete(all, name)
		}
	}
	text, _ := json.Marshal(all) // maps are written in the order of their keys
	return string(text)
}

// Go writes what differs from the default, as a literal for a program.
func Go(c breaker.Config) string {
	v := reflect.ValueOf(c)
	var fields []string
	for i := range v.NumField() {
		field := v.Field(i)
		if field.IsZero() || field.Kind() == reflect.Func {
			continue
		}
		fields = append(fields, v.Type().Field(i).Name+": "+goValue(field.Interface()))
	}
	return "breaker.Config{" + strings.Join(fields, ", ") + "}"
}

func goValue(v any) string {
	switch v := v.(type) {
	case time.Duration:
		for _, unit := range []struct {
			d    time.Duration
			name string
		}{{time.Hour, "time.Hour"}, {time.Minute, "time.Minute"}, {time.Second, "time.Second"}, {time.Millisecond, "time.Millisecond"}, {time.Microsecond, "time.Microsecond"}} {
			if v > 0 && v%unit.d == 0 {
				if v == unit.d {
					return unit.name
				}
				return fmt.Sprintf("%d * %s", v/unit.d, unit.name)
			}
		}
		return strconv.FormatInt(int64(v), 10)
	case breaker.Mode:
		return [...]string{"breaker.Enforce", "breaker.Observe", "breaker.ForceOpen", "breaker.Disabled"}[v]
	}
	return fmt.Sprint(v)
}
