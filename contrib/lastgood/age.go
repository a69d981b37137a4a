package lastgood

import (
	"net/http"
	"strings"
	"time"
)

// since is the time that has passed since t: by the monotonic clock, which stops while a machine
// sleeps, or by the wall clock, which can be set back, whichever says more.
func since(t time.Time) time.Duration {
	now := time.Now()
	return clamp(max(now.Sub(t), now.Round(0).Sub(t.Round(0))))
}

func clamp(d time.Duration) time.Duration { return max(0, min(d, mostTime)) }

// initialAge is how old a response was when it came (RFC 9111 section 4.2.3). delay is how
// long it took to come.
func initialAge(h http.Header, received time.Time, delay time.Duration) time.Duration {
	apparent := time.Duration(0)
	if date, ok := dateOf(h); ok {
		apparent = clamp(received.Sub(date))
	}
	said := time.Duration(0)
	if ages := h["Age"]; len(ages) > 0 {
		first, _, _ := strings.Cut(ages[0], ",")
		said, _ = seconds(strings.Trim(first, " \t"))
	}
	return clamp(max(apparent, said+delay))
}

// lifetime is how long a response stays fresh, counted from its Date (RFC 9111 section
// 4.2.1). It is zero where nothing says so: there are no heuristics here, since to be stale is
// no obstacle to a last good answer.
func lifetime(h http.Header, c control, shared bool, received time.Time) time.Duration {
	switch {
	case shared && c.sMaxAge.set:
		return c.sMaxAge.d
	case c.maxAge.set:
		return c.maxAge.d
	case len(h["Expires"]) != 1: // none, or two that contradict each other
		return 0
	}
	expires, err := http.ParseTime(h.Get("Expires"))
	if err != nil { // "0" above all: it has expired (RFC 9111 section 5.3)
		return 0
	}
	date, ok := dateOf(h)
	if !ok {
		date = received
	}
	return clamp(expires.Sub(date))
}

// dateOf is when a response was made; false if it does not say so, or not in one valid Date.
func dateOf(h http.Header) (time.Time, bool) {
	if len(h["Date"]) != 1 {
		return time.Time{}, false
	}
	date, err := http.ParseTime(h.Get("Date"))
	return date, err == nil
}
