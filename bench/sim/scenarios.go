package sim

import (
	"math/rand/v2"
	"time"
)

const (
	before = 20 * time.Second
	after  = 90 * time.Second
)

// about2min is the length of most faults.
var about2min = [2]time.Duration{60 * time.Second, 150 * time.Second}

// Scenarios returns all scenarios, in order.
func Scenarios() []*Scenario {
	busy := Traffic{Rate: 100}
	return []*Scenario{
		{
			ID: "S0", Title: "Healthy",
			About:   "Nothing is wrong: 100 calls a second, 0.5 % errors, for 5 minutes. A breaker should be invisible.",
			Traffic: busy, Before: 5 * time.Minute, Server: always(Healthy),
		},
		{
			ID: "S0b", Title: "Healthy, 2 % errors",
			About:   "20 calls a second with 2 % errors, for 10 minutes.",
			Traffic: Traffic{Rate: 20}, Before: 10 * time.Minute, Server: always(errors(0.02)),
		},
		{
			ID: "S0c", Title: "Healthy, 5 % errors",
			About:   "5 calls a second with 5 % errors, for an hour.",
			Traffic: Traffic{Rate: 5}, Before: time.Hour, Server: always(errors(0.05)),
		},
		{
			ID: "S0d", Title: "Healthy, in bursts",
			About:   "100 calls a second for one second, then nine seconds of silence, for 20 minutes.",
			Traffic: Traffic{Rate: 100, On: time.Second, Off: 9 * time.Second}, Before: 20 * time.Minute, Server: always(Healthy),
		},
		{
			ID: "S1", Title: "Hard down",
			About:   "100 calls a second; the server refuses every connection for 5 s to 10 minutes, then is well again.",
			Traffic: busy, Before: before, Fault: [2]time.Duration{5 * time.Second, 10 * time.Minute}, After: after,
			Server: during(Refuse),
		},
		{
			ID: "S2", Title: "Brownout, 30 % errors",
			About:   "30 % of the calls fail, the others are as fast as ever. Cutting it off would lose the 70 % that work.",
			Traffic: busy, Before: before, Fault: about2min, After: after, Server: during(errors(0.30)),
		},
		{
			ID: "S2b", Title: "Brownout, 10 % errors",
			About:   "The same with 10 % errors.",
			Traffic: busy, Before: before, Fault: about2min, After: after, Server: during(errors(0.10)),
		},
		{
			ID: "S2c", Title: "Brownout, 50 % errors",
			About:   "The same with 50 % errors: whether to cut it off is a matter of taste.",
			Traffic: busy, Before: before, Fault: about2min, After: after, Server: during(errors(0.50)),
		},
		{
			ID: "S2d", Title: "Brownout, 80 % errors",
			About:   "The same with 80 % errors: not worth calling.",
			Traffic: busy, Before: before, Fault: about2min, After: after, Server: during(errors(0.80)),
		},
		{
			ID: "S3", Title: "Flapping, 5 s down, 5 s up",
			About:   "The server refuses everything for 5 s, is well for 5 s, and so on. Half of the calls could be answered.",
			Traffic: busy, Before: before, Fault: about2min, After: after, Server: flapping(5*time.Second, 5*time.Second),
		},
		{
			ID: "S3b", Title: "Flapping, 1 s down, 1 s up",
			About:   "The same, every second.",
			Traffic: busy, Before: before, Fault: about2min, After: after, Server: flapping(time.Second, time.Second),
		},
		{
			ID: "S3c", Title: "Hiccups, 0.5 s in 30 s",
			About:   "The server refuses everything for half a second, twice a minute.",
			Traffic: busy, Before: before, Fault: about2min, After: after, Server: flapping(500*time.Millisecond, 30*time.Second),
		},
		{
			ID: "S4", Title: "Hang",
			About:   "Calls are accepted and never answered; the client gives up after 10 s. Every call that waits holds a connection, a goroutine and a user.",
			Traffic: busy, Before: before, Fault: about2min, After: after, Server: during(Hang),
		},
		{
			ID: "S4b", Title: "Slow",
			About:   "Every answer takes 2 s instead of 50 ms, and is right.",
			Traffic: busy, Before: before, Fault: about2min, After: after,
			Server: during(func(c Call) Answer { return Answer{Fate: OK, After: LatencyAround(c, 2*time.Second)} }),
		},
		{
			ID: "S5", Title: "Little traffic",
			About:   "One call in 5 s; the server is down for 7 to 13 minutes.",
			Traffic: Traffic{Rate: 0.2}, Before: 20 * time.Minute, Fault: [2]time.Duration{7 * time.Minute, 13 * time.Minute},
			After: 20 * time.Minute, Server: during(Refuse),
		},
		{
			ID: "S5b", Title: "Very little traffic",
			About:   "One call a minute; the server is down for 10 to 40 minutes.",
			Traffic: Traffic{Rate: 1. / 60}, Before: 20 * time.Minute, Fault: [2]time.Duration{10 * time.Minute, 40 * time.Minute},
			After: 20 * time.Minute, Server: during(Refuse),
		},
		{
			ID: "S6", Title: "One bad route of five",
			About:   "One of five routes of a host fails every call; one circuit guards the host.",
			Traffic: busy, Routes: 5, Before: before, Fault: about2min, After: after, Server: during(badRoute),
		},
		{
			ID: "S6r", Title: "One bad route of five, a circuit each",
			About:   "The same, with a circuit for each route.",
			Traffic: busy, Routes: 5, Circuits: 5, Before: before, Fault: about2min, After: after, Server: during(badRoute),
		},
		{
			ID: "S7", Title: "Recovery under load",
			About: "50 clients send 200 calls a second to a server that can do 260, time out after 1 s and retry twice, 50 ms later. " +
				"The server is down for 20 to 45 s and comes back cold: 40 % of its capacity, all of it 30 s later.",
			Traffic: Traffic{Rate: 200}, Clients: 50, Timeout: time.Second, Retries: 2, RetryPause: 50 * time.Millisecond,
			Before: before, Fault: [2]time.Duration{20 * time.Second, 45 * time.Second}, After: 120 * time.Second,
			Server: func(_ *rand.Rand, start, end time.Duration) Server {
				return &queue{start: start, end: end}
			},
		},
		{
			ID: "S8", Title: "The fault is here",
			About:   "A process calls 20 hosts, 5 times a second each, and loses its own network for 15 to 60 s. The hosts are well.",
			Traffic: busy, Routes: 20, Circuits: 20, Before: before, Fault: [2]time.Duration{15 * time.Second, time.Minute}, After: after,
			Server: during(func(Call) Answer { return Answer{Fate: Local, After: 100 * time.Microsecond} }),
		},
		{
			ID: "S9", Title: "Throttled",
			About:   "Above 50 calls a second the server answers 429 with Retry-After for 20 s; the clients send 100.",
			Traffic: busy, Before: before, Fault: about2min, After: after,
			Server: func(_ *rand.Rand, start, end time.Duration) Server { return &rateLimited{start: start, end: end} },
		},
		{
			ID: "S10", Title: "Impatient callers",
			About:   "Half of the callers hang up after 20 ms. The server is well, but for 10 s to 30 s in which it is down.",
			Traffic: busy, Before: time.Minute, Fault: [2]time.Duration{10 * time.Second, 30 * time.Second}, After: after,
			Server: func(_ *rand.Rand, start, end time.Duration) Server {
				return ServerFunc(func(c Call) Answer {
					if c.At >= start && c.At < end {
						return Refuse(c)
					}
					answer := Healthy(c)
					if c.Other < 0.5 && answer.After > 20*time.Millisecond {
						return Answer{Fate: Cancelled, After: 20 * time.Millisecond}
					}
					return answer
				})
			},
		},
		{
			ID: "S11", Title: "Late results",
			About: "200 slow calls are in flight when the server goes down for 15 s to 30 s. They end in the 60 s after that, well and badly in turn, " +
				"and say nothing about the server as it is by then.",
			Traffic: busy, Timeout: 2 * time.Minute, Before: before, Fault: [2]time.Duration{15 * time.Second, 30 * time.Second}, After: after,
			Server: func(_ *rand.Rand, start, end time.Duration) Server {
				return ServerFunc(func(c Call) Answer {
					switch {
					case c.At >= start-2*time.Second && c.At < start:
						fate := OK
						if c.Error < 0.5 {
							fate = Failed
						}
						return Answer{Fate: fate, After: start + time.Duration(c.Other*float64(time.Minute)) - c.At}
					case c.At >= start && c.At < end:
						return Refuse(c)
					}
					return Healthy(c)
				})
			},
		},
		{
			ID: "S12", Title: "Errors creep up",
			About:   "From 1 % to 5 % errors, half a per cent more each minute.",
			Traffic: busy, Before: 9 * time.Minute,
			Server: always(func(c Call) Answer { return Ordinary(c, 0.01+0.005*float64(c.At/time.Minute)) }),
		},
		{
			ID: "S13", Title: "Bodies break off, 30 %",
			About:   "The server says 200 and then resets the connection in the middle of the body, for 30 % of the calls.",
			Traffic: busy, Before: before, Fault: about2min, After: after, Server: during(brokenBody(0.3)),
		},
		{
			ID: "S13b", Title: "Bodies break off, all",
			About:   "The same for every call: a host that is down for whoever reads what it says.",
			Traffic: busy, Before: before, Fault: about2min, After: after, Server: during(brokenBody(1)),
		},
		{
			ID: "S14", Title: "Frozen process",
			About:   "The whole process is stopped for 10 minutes, as a laptop or a container may be. All calls in flight fail when it goes on.",
			Traffic: busy, Before: 30 * time.Second, Fault: [2]time.Duration{10 * time.Minute, 10 * time.Minute}, After: after,
			Server: func(_ *rand.Rand, start, end time.Duration) Server {
				return ServerFunc(func(c Call) Answer {
					answer := Healthy(c)
					if c.At < start && c.At+answer.After > start {
						return Answer{Fate: Failed, After: end - c.At}
					}
					return answer
				})
			},
			Silent: true, Timeout: time.Hour,
		},
		{
			ID: "S15", Title: "One lost connection",
			About:   "100 calls a second that take half a second each share an HTTP/2 connection. It is lost once, with 50 calls on it.",
			Traffic: busy, Before: before, Fault: [2]time.Duration{time.Second, time.Second}, After: after,
			Server: lostConnection(500 * time.Millisecond),
		},
		{
			ID: "S15b", Title: "One lost connection, idle host",
			About:   "50 calls at once, every 30 s. Once, their common connection is lost.",
			Traffic: Traffic{Rate: 50. / 30, Batch: 50, On: 30 * time.Second}, Before: 5 * time.Minute,
			Fault: [2]time.Duration{30 * time.Second, 30 * time.Second}, After: 5 * time.Minute,
			Server: during(func(c Call) Answer {
				return Answer{Fate: Failed, After: 15*time.Millisecond + time.Duration(c.Other*float64(2*time.Millisecond))}
			}),
		},
	}
}

func badRoute(c Call) Answer {
	if c.Route == 0 {
		return Answer{Fate: Failed, After: Latency(c)}
	}
	return Healthy(c)
}

func brokenBody(share float64) func(Call) Answer {
	return func(c Call) Answer {
		answer := Healthy(c)
		if c.Error < share {
			answer.Fate = BodyFailed
		}
		return answer
	}
}
