package breaker

import "time"

// clock is the time of the breakers of one set, as nanoseconds: monotonic and
// positive. Nobody can set it; tests run in a testing/synctest bubble.
type clock struct{ start time.Time }

// beginning is what now returns at start. It is far from zero, because a breaker
// that was made outside of a synctest bubble and is used inside gets to times
// before its start: a bubble begins in the year 2000.
const beginning = 1 << 60

func (c *clock) now() int64 { return beginning + int64(time.Since(c.start)) }

func (c *clock) time(t int64) time.Time { return c.start.Add(time.Duration(t - beginning)) }

// never is a time that does not come.
const never = 1<<63 - 1

// after returns t + d, or never if that cannot be told.
func after(t int64, d time.Duration) int64 {
	if int64(d) > never-t {
		return never
	}
	return t + int64(d)
}
