package sim

import (
	"math"
	"math/rand/v2"
	"time"
)

// The ordinary server: half of its answers take less than 50 ms, one in ten more
// than 83 ms, and one in two hundred is an error.
const (
	medianLatency = 50 * time.Millisecond
	latencySigma  = 0.4
	baseErrors    = 0.005
)

// Latency is how long the ordinary server takes for c.
func Latency(c Call) time.Duration { return LatencyAround(c, medianLatency) }

// LatencyAround is a log-normal latency with the given median.
func LatencyAround(c Call, median time.Duration) time.Duration {
	return time.Duration(float64(median) * math.Exp(latencySigma*c.Speed))
}

// Ordinary answers c with the given share of errors.
func Ordinary(c Call, errors float64) Answer {
	fate := OK
	if c.Error < errors {
		fate = Failed
	}
	return Answer{Fate: fate, After: Latency(c)}
}

// Healthy answers c as the ordinary server does.
func Healthy(c Call) Answer { return Ordinary(c, baseErrors) }

// Refuse is a refused connection.
func Refuse(Call) Answer { return Answer{Fate: Failed, After: time.Millisecond} }

// Hang never answers.
func Hang(Call) Answer { return Answer{Fate: OK, After: math.MaxInt64 / 2} }

// A Maker makes the server of one run, with a fault from start to end.
type Maker = func(rng *rand.Rand, start, end time.Duration) Server

// During makes a server that answers by fault during the fault, else by healthy.
func During(healthy, fault func(Call) Answer) Maker {
	return func(_ *rand.Rand, start, end time.Duration) Server {
		return ServerFunc(func(c Call) Answer {
			if c.At >= start && c.At < end {
				return fault(c)
			}
			return healthy(c)
		})
	}
}

// Flapping makes a server that is down and healthy in turn during the fault,
// beginning with down.
func Flapping(healthy func(Call) Answer, down, up time.Duration) Maker {
	return func(_ *rand.Rand, start, end time.Duration) Server {
		return ServerFunc(func(c Call) Answer {
			if c.At >= start && c.At < end && (c.At-start)%(down+up) < down {
				return Refuse(c)
			}
			return healthy(c)
		})
	}
}

func during(fault func(Call) Answer) Maker { return During(Healthy, fault) }

func flapping(down, up time.Duration) Maker { return Flapping(Healthy, down, up) }

// always makes a server that answers as answer says from first to last.
func always(answer func(Call) Answer) Maker {
	return func(*rand.Rand, time.Duration, time.Duration) Server { return ServerFunc(answer) }
}

func errors(share float64) func(Call) Answer {
	return func(c Call) Answer { return Ordinary(c, share) }
}

// after50 is answers that take about median, where the ordinary ones take 50 ms.
func after50(median time.Duration) func(Call) Answer {
	return func(c Call) Answer { return Answer{Fate: Healthy(c).Fate, After: LatencyAround(c, median)} }
}

// answerAfter is the ordinary answer to c, after d.
func answerAfter(c Call, d time.Duration) Answer { return Answer{Fate: Healthy(c).Fate, After: d} }

func brokenBody(share float64) func(Call) Answer {
	return func(c Call) Answer {
		answer := Healthy(c)
		if c.Error < share {
			answer.Fate = BodyFailed
		}
		return answer
	}
}

// restart fails the calls that are in flight at the start of the fault, refuses
// all during it, and takes about median for the others.
func restart(median time.Duration) Maker {
	return func(_ *rand.Rand, start, end time.Duration) Server {
		return ServerFunc(func(c Call) Answer {
			answer := after50(median)(c)
			switch {
			case c.At < start && c.At+answer.After > start:
				return Answer{Fate: Failed, After: start - c.At}
			case c.At >= start && c.At < end:
				return Refuse(c)
			}
			return answer
		})
	}
}

// lostConnection fails, at one moment, all calls that are in flight then.
func lostConnection(median time.Duration) Maker {
	return func(rng *rand.Rand, start, _ time.Duration) Server {
		lost := start + time.Duration(rng.Float64()*float64(time.Second))
		return ServerFunc(func(c Call) Answer {
			answer := Healthy(c)
			answer.After = LatencyAround(c, median)
			if c.At < lost && c.At+answer.After > lost {
				spread := time.Duration(c.Other * float64(2*time.Millisecond))
				return Answer{Fate: Failed, After: lost + spread - c.At}
			}
			return answer
		})
	}
}

// queue is a server with a capacity in calls a second; none is a refused
// connection. Calls wait in line; what would wait for more than 3 s is turned
// away at once. It does not see that a client has gone.
type queue struct {
	capacity func(at time.Duration) float64
	free     time.Duration // when the line will be empty
}

// queued makes a queue of that capacity, t seconds after the beginning of a
// fault of that length.
func queued(capacity func(t, length float64) float64) Maker {
	return func(_ *rand.Rand, start, end time.Duration) Server {
		return &queue{capacity: func(at time.Duration) float64 {
			return capacity((at - start).Seconds(), (end - start).Seconds())
		}}
	}
}

func (q *queue) Answer(c Call) Answer {
	capacity := q.capacity(c.At)
	if capacity == 0 {
		q.free = 0
		return Refuse(c)
	}
	wait := max(0, q.free-c.At)
	if wait > 3*time.Second {
		return Answer{Fate: Failed, After: 2 * time.Millisecond}
	}
	q.free = c.At + wait + time.Duration(float64(time.Second)/capacity)
	answer := Healthy(c)
	answer.After += wait
	return answer
}

const queueCapacity = 260

// cold is the capacity of a server that is down during the fault and comes back
// with 40 % of what it can do, all of it 30 s later.
func cold(t, length float64) float64 {
	switch {
	case t < 0 || t >= length+30:
		return queueCapacity
	case t < length:
		return 0
	}
	return queueCapacity * (0.4 + 0.6*(t-length)/30)
}

// rateLimited throttles everything for 20 s once it has seen more than 50 calls
// within a second, and says so.
type rateLimited struct {
	start, end time.Duration
	until      time.Duration
	recent     []time.Duration
}

func (l *rateLimited) Answer(c Call) Answer {
	if c.At < l.start || c.At >= l.end {
		return Healthy(c)
	}
	if c.At >= l.until {
		for len(l.recent) > 0 && l.recent[0] <= c.At-time.Second {
			l.recent = l.recent[1:]
		}
		if l.recent = append(l.recent, c.At); len(l.recent) <= 50 {
			return Healthy(c)
		}
		l.until, l.recent = c.At+20*time.Second, nil
	}
	return Answer{Fate: Throttled, After: 5 * time.Millisecond, RetryAfter: (l.until - c.At).Round(time.Second)}
}
