package logs

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Bounds of what a log can mean. Times before 1970 and after 2200, and calls of
// more than a day, are mistakes.
var (
	latest  = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()
	longest = int64(24 * time.Hour)
)

var errMissing = errors.New("missing")

// missing reports whether a value stands for none.
func missing(text []byte) bool {
	return len(text) == 0 || len(text) == 1 && text[0] == '-' || string(text) == "null"
}

// decimal parses a number without an exponent and multiplies it by unit, which is
// a power of ten; digits that are too small to matter are dropped.
func decimal(text []byte, unit int64) (v int64, ok bool) {
	i, digits := 0, 0
	for ; i < len(text) && text[i] >= '0' && text[i] <= '9'; i++ {
		d := int64(text[i] - '0')
		if v > (math.MaxInt64-d)/10 {
			return 0, false
		}
		v = 10*v + d
		digits++
	}
	if v > math.MaxInt64/unit {
		return 0, false
	}
	v *= unit
	if i < len(text) && text[i] == '.' {
		for i++; i < len(text) && text[i] >= '0' && text[i] <= '9'; i++ {
			unit /= 10
			d := int64(text[i]-'0') * unit
			if v > math.MaxInt64-d {
				return 0, false
			}
			v += d
			digits++
		}
	}
	return v, digits > 0 && i == len(text)
}

// number does the same for any number, such as -1 or 1.5e-3. What is not finite or
// too large is an error.
func number(text []byte, unit int64) (int64, error) {
	if v, ok := decimal(text, unit); ok {
		return v, nil
	}
	f, err := strconv.ParseFloat(string(text), 64)
	if f *= float64(unit); err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, errors.New("not a number")
	}
	if math.IsNaN(f) || math.Abs(f) >= math.MaxInt64 {
		return 0, errors.New("out of range")
	}
	return int64(f), nil
}

// duration parses "0.123" in the unit, or a duration of Go such as "1m30s".
func duration(text []byte, unit int64) (int64, error) {
	if missing(text) {
		return 0, errMissing
	}
	d, err := number(text, unit)
	if err != nil {
		goDuration, goErr := time.ParseDuration(string(text))
		if goErr != nil {
			return 0, fmt.Errorf("the duration %q is %w", text, err)
		}
		d = int64(goDuration)
	}
	if d < 0 || d > longest {
		return 0, fmt.Errorf("the duration %q is not within 0 and 24h", text)
	}
	return d, nil
}

// clock parses times. It remembers the last one, since many lines share it.
type clock struct {
	layout string // if not empty, the only one
	text   []byte
	last   int64
}

var layouts = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05Z0700", "02/Jan/2006:15:04:05 -0700",
	"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 -0700",
	"2006-01-02 15:04:05 -0700 MST", "2006/01/02 15:04:05", time.RFC1123, time.RFC1123Z, time.ANSIC, time.UnixDate,
}

// parse returns nanoseconds since 1970.
func (c *clock) parse(text []byte) (int64, error) {
	if missing(text) {
		return 0, errors.New("no time")
	}
	if len(c.text) > 0 && bytes.Equal(text, c.text) {
		return c.last, nil
	}
	ns, err := c.read(text)
	if err != nil {
		return 0, err
	}
	if ns < 0 || ns > latest {
		return 0, fmt.Errorf("the time %q is not within 1970 and 2200", text)
	}
	c.text, c.last = append(c.text[:0], text...), ns
	return ns, nil
}

func (c *clock) read(text []byte) (int64, error) {
	if c.layout != "" {
		return inRange(time.Parse(c.layout, string(text)))
	}
	if plain, ok := decimal(text, 1); ok {
		return number(text, unixUnit(plain))
	}
	var t time.Time
	if t.UnmarshalText(text) == nil {
		return inRange(t, nil)
	}
	if ns, err := number(text, int64(time.Second)); err == nil {
		return ns, nil
	}
	s := string(bytes.Trim(text, "[]"))
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil {
			return inRange(t, nil)
		}
	}
	return 0, fmt.Errorf("%q is not a time that is known here; a layout can be given", text)
}

func inRange(t time.Time, err error) (int64, error) {
	if err == nil && (t.Year() < 1970 || t.Year() > 2200) {
		return -1, nil
	}
	return t.UnixNano(), err
}

// unixUnit tells what a number since 1970 counts, by its size: seconds, or smaller
// units of them.
func unixUnit(v int64) int64 {
	switch {
	case v < 1e11:
		return int64(time.Second)
	case v < 1e14:
		return int64(time.Millisecond)
	case v < 1e17:
		return int64(time.Microsecond)
	}
	return 1
}

// outcome judges a status as httpbreaker.DefaultClassifier does, or takes a word
// for it. 499 is nginx's word for a client that has gone; 0 is no answer at all.
func outcome(status []byte) (Outcome, error) {
	if o, ok := words[string(status)]; ok {
		return o, nil
	}
	code, err := strconv.Atoi(string(status))
	if err != nil {
		if o, ok := words[string(bytes.ToLower(status))]; ok {
			return o, nil
		}
		return 0, fmt.Errorf("%q is neither a status nor an outcome", status)
	}
	switch {
	case code == 0:
		return Failed, nil
	case code == 408, code == 421, code == 425, code == 429, code == 499, code == 511:
		return Ignored, nil
	case code >= 100 && code < 500, code == 501, code == 505:
		return Succeeded, nil
	case code >= 500 && code < 1000:
		return Failed, nil
	}
	return 0, fmt.Errorf("%q is no HTTP status", status)
}

var words = map[string]Outcome{
	"success": Succeeded, "succeeded": Succeeded, "ok": Succeeded, "true": Succeeded,
	"failure": Failed, "failed": Failed, "fail": Failed, "error": Failed, "timeout": Failed, "false": Failed,
	"ignored": Ignored, "cancelled": Ignored, "canceled": Ignored,
	"rejected": Rejected,
}
