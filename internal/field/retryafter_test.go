package field_test

import (
	"math"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/internal/field"
	"github.com/stretchr/testify/assert"
)

func TestRetryAfterField(t *testing.T) {
	const date = "Sun, 06 Nov 1994 08:49:37 GMT"
	for _, tc := range []struct {
		field, date string
		want        time.Duration
	}{
		{"120", "", 2 * time.Minute},
		{"0", "", 0},
		{"007", "", 7 * time.Second},
		{"9223372036", "", 9223372036 * time.Second},
		{"9223372037", "", math.MaxInt64},
		{"99999999999999999999999999", "", math.MaxInt64},
		{"Sun, 06 Nov 1994 08:50:37 GMT", date, time.Minute},
		{"Sunday, 06-Nov-94 08:50:37 GMT", date, time.Minute},
		{"Sun Nov  6 08:50:37 1994", date, time.Minute},
		{"Sun, 06 Nov 1994 08:49:37 GMT", date, 0},
		{"Sun, 06 Nov 1994 08:48:37 GMT", date, 0},
		{"Fri, 31 Dec 9999 23:59:59 GMT", date, math.MaxInt64},
		{"Sat, 01 Jan 2000 00:01:00 GMT", "", time.Minute}, // by our own clock
		{"Sat, 01 Jan 2000 00:01:00 GMT", "yesterday", time.Minute},
		{"", date, 0},
		{"-5", "", 0},
		{"+5", "", 0},
		{"1.5", "", 0},
		{"10s", "", 0},
		{"5, 7", "", 0},
		{" 5", "", 0}, // net/http trims fields
		{"soon", "", 0},
		{"Sunday, 06-Nov-94 08:50:37 UTC", date, 0},
		{"Sunday, 06-Nov-94 08:50:37 EST", date, 0},
		{"Sun, 06 Nov 1994 08:50:37 +0100", date, 0},
		{"1994-11-06T08:50:37Z", date, 0},
	} {
		synctest.Test(t, func(t *testing.T) { // where it is midnight of 2000-01-01 GMT
			for status, want := range map[int]time.Duration{429: tc.want, 503: tc.want, 500: 0, 301: 0, 200: 0} {
				res := &http.Response{StatusCode: status, Header: http.Header{}}
				res.Header.Set("Retry-After", tc.field)
				res.Header.Set("Date", tc.date)
				assert.Equal(t, want, field.RetryAfter(res), "status %d, Retry-After: %q", status, tc.field)
			}
		})
	}
}

func FuzzRetryAfterField(f *testing.F) {
	for _, s := range []string{"120", "99999999999", "Sun, 06 Nov 1994 08:49:37 GMT", "-1", ""} {
		f.Add(s, "Sun, 06 Nov 1994 08:49:37 GMT")
	}
	f.Fuzz(func(t *testing.T, text, date string) {
		res := &http.Response{StatusCode: 503, Header: http.Header{"Retry-After": {text}, "Date": {date}}}
		if d := field.RetryAfter(res); d < 0 {
			t.Errorf("Retry-After: %q is %v", text, d)
		}
	})
}
