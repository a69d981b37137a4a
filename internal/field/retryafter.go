// Package field reads and writes the header fields that a Transport goes by.
package field

import (
	"math"
	"net/http"
	"time"
)

// RetryAfter returns how long a 429 or 503 asks its clients to stay away, by its
// Retry-After field (RFC 9110 section 10.2.3). It is zero for any other response, for
// a field that cannot be understood and for a time that has passed.
//
// A date is measured against the response's own Date, so that a difference between
// the two clocks does not matter. What is too long for a Duration is the longest one.
func RetryAfter(res *http.Response) time.Duration {
	if res.StatusCode != http.StatusTooManyRequests && res.StatusCode != http.StatusServiceUnavailable {
		return 0
	}
	field := res.Header.Get("Retry-After")
	if field == "" {
		return 0
	}
	if seconds, ok := parseDelaySeconds(field); ok {
		return seconds
	}
	until, ok := parseDate(field)
	if !ok {
		return 0
	}
	now, ok := parseDate(res.Header.Get("Date"))
	if !ok {
		now = time.Now()
	}
	return max(0, until.Sub(now)) // Sub saturates
}

// parseDelaySeconds reads 1*DIGIT, and nothing else.
func parseDelaySeconds(s string) (time.Duration, bool) {
	var d time.Duration
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		digit := time.Duration(c-'0') * time.Second
		if d > (math.MaxInt64-digit)/10 {
			d = math.MaxInt64 // and stay there: ten times that is more again
			continue
		}
		d = 10*d + digit
	}
	return d, s != ""
}

// dateForms are the three forms of an HTTP-date (RFC 9110 section 5.6.7), all in GMT.
// Those of net/http let other zones pass, and take them for GMT.
var dateForms = [...]string{http.TimeFormat, "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC}

func parseDate(s string) (time.Time, bool) {
	if s == "" {
		return time.Time{}, false
	}
	for _, form := range dateForms {
		if t, err := time.Parse(form, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
