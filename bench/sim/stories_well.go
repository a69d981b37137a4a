package sim

import (
	"math/rand/v2"
	"time"
)

func healthy() []*Scenario {
	return []*Scenario{
		calm(Scenario{
			ID: "S0", Title: "Healthy",
			About:  "Nothing is wrong: 100 calls a second, 0.5 % errors, for 5 minutes. A breaker should be invisible.",
			Before: 5 * time.Minute, Server: always(Healthy),
			Remark: "cep21/circuit and hystrix-go reject here because their defaults allow ten calls at once, not because they take the host for broken.",
		}),
		calm(Scenario{
			ID: "S0b", Title: "2 % errors",
			About:   "20 calls a second with 2 % errors, for 10 minutes.",
			Traffic: Traffic{Rate: 20}, Before: 10 * time.Minute, Server: always(errors(0.02)),
		}),
		calm(Scenario{
			ID: "S0c", Title: "5 % errors",
			About:   "5 calls a second with 5 % errors, for an hour.",
			Traffic: Traffic{Rate: 5}, Before: time.Hour, Server: always(errors(0.05)),
		}),
		calm(Scenario{
			ID: "S0d", Title: "In bursts",
			About:   "100 calls a second for one second, then nine seconds of silence, for 20 minutes.",
			Traffic: Traffic{Rate: 100, On: time.Second, Off: 9 * time.Second}, Before: 20 * time.Minute, Server: always(Healthy),
		}),
		calm(Scenario{
			ID: "S12", Title: "Errors creep up",
			About:  "From 1 % to 5 % errors, half a per cent more each minute, as in semian's experiment of a gradual increase.",
			Before: 9 * time.Minute,
			Server: always(func(c Call) Answer { return Ordinary(c, 0.01+0.005*float64(c.At/time.Minute)) }),
		}),
	}
}

// slowHosts are hosts that take their time and are well. Who takes slowness for a fault loses calls here.
func slowHosts() []*Scenario {
	const longPoll = 30 * time.Second
	isLongPoll := func(c Call) bool { return c.Other < 0.02 }
	return []*Scenario{
		calm(Scenario{
			ID: "S18", Title: "One in a hundred takes 3 s",
			About:  "1 % of the calls take 3 s, the others 50 ms, for 10 minutes.",
			Before: 10 * time.Minute,
			Server: always(func(c Call) Answer {
				answer := Healthy(c)
				if c.Other < 0.01 {
					answer.After = 3 * time.Second
				}
				return answer
			}),
		}),
		calm(Scenario{
			ID: "S18b", Title: "Four times as slow, for good",
			About:  "From one moment on every answer takes 200 ms instead of 50 ms, for the 5 minutes that are left.",
			Before: time.Minute, Fault: exactly(5 * time.Minute), Server: during(after50(200 * time.Millisecond)),
		}),
		calm(Scenario{
			ID: "S18c", Title: "A hundred times as slow, for good",
			About:  "From one moment on every answer takes 5 s instead of 50 ms, for the 5 minutes that are left; the client waits for 30 s.",
			Before: time.Minute, Fault: exactly(5 * time.Minute), Timeout: 30 * time.Second, Server: during(after50(5 * time.Second)),
			Goals: Goals{"rejected": 0.5},
		}),
		calm(Scenario{
			ID: "S18d", Title: "Answers in batches",
			About:  "The host answers every 5 s, all calls that have come meanwhile at once; for 10 minutes.",
			Before: 10 * time.Minute,
			Server: always(func(c Call) Answer {
				const every = 5 * time.Second
				answer := Healthy(c)
				answer.After += every - c.At%every
				return answer
			}),
		}),
		calm(Scenario{
			ID: "S18e", Title: "A slow host with pauses",
			About:   "20 calls a second that take 5 s each, for 20 s, then 40 s of silence, for 20 minutes; the client waits for 30 s.",
			Traffic: Traffic{Rate: 20, On: 20 * time.Second, Off: 40 * time.Second}, Before: 20 * time.Minute,
			Timeout: 30 * time.Second, Server: always(after50(5 * time.Second)),
		}),
		calm(Scenario{
			ID: "S18f", Title: "Long polls alone on a host",
			About:   "Twelve clients, out of step, whose polls are answered after 30 s each, for an hour.",
			Traffic: Traffic{Rate: 12 / longPoll.Seconds()}, Before: time.Hour, Timeout: time.Minute,
			Server: always(func(c Call) Answer { return answerAfter(c, longPoll) }),
		}),
		calm(Scenario{
			ID: "S18g", Title: "Half a minute of long polls with nothing else",
			About:   "20 calls a second, among them long polls of 30 s, twelve under way at any time. For half a minute nothing else is called.",
			Traffic: Traffic{Rate: 12 / longPoll.Seconds() / 0.02}, Before: 5 * time.Minute, Fault: exactly(30 * time.Second), After: time.Minute,
			Timeout: time.Minute, Absent: func(c Call) bool { return !isLongPoll(c) },
			Server: always(func(c Call) Answer {
				if isLongPoll(c) {
					return answerAfter(c, longPoll)
				}
				return Healthy(c)
			}),
		}),
	}
}

// elsewhere are troubles of the caller, of the network and of some calls.
func elsewhere() []*Scenario {
	return []*Scenario{
		fault(Scenario{
			ID: "S8", Title: "The fault is here",
			About:  "A process calls 20 hosts, 5 times a second each, and loses its own network for 15 to 60 s. The hosts are well.",
			Routes: 20, Circuits: 20, Fault: [2]time.Duration{15 * time.Second, time.Minute},
			Server:  during(func(Call) Answer { return Answer{Fate: Local, After: 100 * time.Microsecond} }),
			Figures: []string{"rejected after share", "recover"},
			Goals:   Goals{"rejected after share": 0.01},
			Plot:    &Plot{Before: 15, After: 75},
		}),
		fault(Scenario{
			ID: "S9", Title: "Throttled",
			About:   "Above 50 calls a second the server answers 429 with Retry-After for 20 s; the clients send 100.",
			Server:  func(_ *rand.Rand, start, end time.Duration) Server { return &rateLimited{start: start, end: end} },
			Figures: []string{"wasted", "good"},
			Remark:  "A 429 is not a failure of the host, so nobody's circuit opens by itself; ours opens for as long as Retry-After says if told to.",
		}),
		fault(Scenario{
			ID: "S10", Title: "Impatient callers",
			About:  "Half of the callers hang up after 20 ms. The server is well, except for 10 s to 30 s in which it is down.",
			Before: time.Minute, Fault: [2]time.Duration{10 * time.Second, 30 * time.Second},
			Server: During(func(c Call) Answer {
				answer := Healthy(c)
				if c.Other < 0.5 && answer.After > 20*time.Millisecond {
					return Answer{Fate: Cancelled, After: 20 * time.Millisecond}
				}
				return answer
			}, Refuse),
			Figures: []string{"healthy rejected", "wasted", "recover"},
			Goals:   Goals{"healthy rejected": 0.01},
		}),
		fault(Scenario{
			ID: "S11", Title: "Late results",
			About: "200 slow calls are in flight when the server goes down for 15 s to 30 s. They end in the 60 s after that, well and badly in turn, " +
				"and say nothing about the server as it is by then.",
			Timeout: 2 * time.Minute, Fault: [2]time.Duration{15 * time.Second, 30 * time.Second},
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
			Figures: []string{"healthy rejected", "wasted", "recover"},
			Goals:   Goals{"healthy rejected": 0, "wasted": 60},
		}),
		fault(Scenario{
			ID: "S13", Title: "Bodies break off, 30 %",
			About:  "The server says 200 and then resets the connection in the middle of the body, for 30 % of the calls.",
			Server: during(brokenBody(0.3)),
			Goals:  Goals{"good": 99},
		}),
		fault(Scenario{
			ID: "S13b", Title: "Bodies break off, all",
			About:   "The same for every call: a host that is down for whoever reads what it says.",
			Server:  during(brokenBody(1)),
			Figures: []string{"wasted", "recover", "detect"},
			Goals:   Goals{"wasted": 135},
			Remark:  "Only a breaker that watches bodies sees this.",
		}),
		fault(Scenario{
			ID: "S14", Title: "Frozen process",
			About:  "The whole process is stopped for 10 minutes, as a laptop or a container may be. All calls in flight fail when it goes on.",
			Before: 30 * time.Second, Fault: exactly(10 * time.Minute),
			Absent: func(Call) bool { return true }, Timeout: time.Hour,
			Server: func(_ *rand.Rand, start, end time.Duration) Server {
				return ServerFunc(func(c Call) Answer {
					answer := Healthy(c)
					if c.At < start && c.At+answer.After > start {
						return Answer{Fate: Failed, After: end - c.At}
					}
					return answer
				})
			},
			Figures: []string{"rejected"},
			Goals:   Goals{"rejected": 0.01},
			Remark:  "Whatever was in flight fails at one moment, and counts as one event.",
		}),
		fault(Scenario{
			ID: "S15", Title: "One lost connection",
			About:   "100 calls a second that take half a second each share an HTTP/2 connection. It is lost once, with 50 calls on it.",
			Fault:   exactly(time.Second),
			Server:  lostConnection(500 * time.Millisecond),
			Figures: []string{"rejected", "recover"},
			Goals:   Goals{"rejected": 0.01},
			Remark: "cep21/circuit and hystrix-go reject here by their limit of ten calls at once, with or without the lost connection; " +
				"eapache's twenty failures without a pause are there at one moment.",
		}),
		fault(Scenario{
			ID: "S15b", Title: "One lost connection, idle host",
			About:   "50 calls at once, every 30 s. Once, their common connection is lost.",
			Traffic: Traffic{Rate: 50. / 30, Batch: 50, On: 30 * time.Second}, Before: 5 * time.Minute,
			Fault: exactly(30 * time.Second), After: 5 * time.Minute,
			Server: during(func(c Call) Answer {
				return Answer{Fate: Failed, After: 15*time.Millisecond + time.Duration(c.Other*float64(2*time.Millisecond))}
			}),
			Figures: []string{"rejected"},
			Goals:   Goals{"rejected": 0.01},
		}),
		fault(Scenario{
			ID: "S16", Title: "Restart under slow calls",
			About:   "Calls take half a second. The server is restarted: the 50 calls in flight are lost, and for half a second it refuses all others.",
			Fault:   exactly(500 * time.Millisecond),
			Server:  restart(500 * time.Millisecond),
			Figures: []string{"rejected", "wasted", "recover"},
			Goals:   Goals{"rejected": 1},
		}),
	}
}
