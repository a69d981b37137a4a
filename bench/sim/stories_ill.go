package sim

import (
	"fmt"
	"time"
)

func outages() []*Scenario {
	figures := []string{"wasted", "recover", "detect"}
	refuse := during(Refuse)
	return []*Scenario{
		fault(Scenario{
			ID: "S1", Title: "Hard down",
			About: "100 calls a second; the server refuses every connection for 5 s to 10 minutes, then is well again.",
			Fault: [2]time.Duration{5 * time.Second, 10 * time.Minute}, Server: refuse, Figures: figures,
			Goals: Goals{"wasted": 110, "detect": 0.35, "recover": 3},
			Plot:  &Plot{Before: 15, After: 60},
		}),
		fault(Scenario{
			ID: "S1-2s", Title: "Down for 2 s",
			About: "The same for 2 s.",
			Fault: about(2 * time.Second), Server: refuse, Figures: figures,
			Goals: Goals{"wasted": 110, "recover": 5},
		}),
		fault(Scenario{
			ID: "S1-30m", Title: "Down for 30 minutes",
			About: "The same for half an hour.",
			Fault: about(30 * time.Minute), Server: refuse, Figures: figures,
			Goals: Goals{"wasted": 550, "recover": 10},
		}),
		fault(Scenario{
			ID: "S1@3", Title: "Down, 3 calls a second",
			About:   "3 calls a second; the server is down for a minute to two and a half.",
			Traffic: Traffic{Rate: 3}, Before: time.Minute, Server: refuse, Figures: figures,
		}),
		fault(Scenario{
			ID: "S5", Title: "Little traffic",
			About:   "One call in 5 s; the server is down for 7 to 13 minutes.",
			Traffic: Traffic{Rate: 0.2}, Before: 20 * time.Minute, Fault: [2]time.Duration{7 * time.Minute, 13 * time.Minute},
			After: 20 * time.Minute, Server: refuse, Figures: figures,
			Goals:  Goals{"wasted": 19},
			Remark: "A rate of at least 20 calls in 10 s never has its 20 calls here; only a run of failures notices.",
			Plot:   &Plot{Before: 240, After: 480},
		}),
		fault(Scenario{
			ID: "S5b", Title: "Very little traffic",
			About:   "One call a minute; the server is down for 10 to 40 minutes.",
			Traffic: Traffic{Rate: 1. / 60}, Before: 20 * time.Minute, Fault: [2]time.Duration{10 * time.Minute, 40 * time.Minute},
			After: 20 * time.Minute, Server: refuse, Figures: figures,
		}),
	}
}

func brownouts() []*Scenario {
	story := func(percent int, title, about string, goal float64) *Scenario {
		s := fault(Scenario{
			ID: fmt.Sprintf("S2-%d%%", percent), Title: fmt.Sprintf("%d %% errors", percent) + title, About: about,
			Server: during(errors(float64(percent) / 100)),
		})
		if goal > 0 {
			s.Goals = Goals{"good": goal}
		}
		return s
	}
	named := func(id string, s *Scenario) *Scenario { s.ID = id; return s }
	const same = "The same with more errors."
	half := named("S2c", story(50, "", "The same with 50 % errors: an open circuit loses the half that works.", 94))
	half.Remark = "A circuit that is open or closed and nothing between sits on the edge here. Who rejects a share does better."
	half.Plot = &Plot{Before: 15, After: 45}
	few := named("S2-30%@3", story(30, ", 3 calls a second", "30 % errors for 10 minutes, at 3 calls a second.", 97))
	few.Traffic, few.Before, few.Fault = Traffic{Rate: 3}, time.Minute, about(10*time.Minute)
	some := named("S2-40%@10", story(40, ", 10 calls a second", "40 % errors for 10 minutes, at 10 calls a second.", 96))
	some.Traffic, some.Before, some.Fault = Traffic{Rate: 10}, time.Minute, about(10*time.Minute)
	return []*Scenario{
		named("S2b", story(10, "", "10 % of the calls fail, the others are as fast as ever.", 99)),
		named("S2", story(30, "", "The same with 30 % errors. Cutting it off would lose the 70 % that work.", 99)),
		half,
		story(60, "", same, 45),
		story(70, "", same, 20),
		named("S2d", story(80, "", "The same with 80 % errors: hardly worth calling.", 7)),
		story(90, "", same, 0),
		few,
		some,
	}
}

func flaps() []*Scenario {
	return []*Scenario{
		fault(Scenario{
			ID: "S3", Title: "5 s down, 5 s up",
			About:  "The server refuses everything for 5 s, is well for 5 s, and so on. Half of the calls could be answered.",
			Server: flapping(5*time.Second, 5*time.Second), Goals: Goals{"good": 85},
			Plot: &Plot{Before: 15, After: 45},
		}),
		fault(Scenario{
			ID: "S3b", Title: "1 s down, 1 s up",
			About:  "The same, every second.",
			Server: flapping(time.Second, time.Second), Goals: Goals{"good": 68},
		}),
		fault(Scenario{
			ID: "S3c", Title: "0.5 s down, 30 s up",
			About:  "The server refuses everything for half a second, twice a minute.",
			Server: flapping(500*time.Millisecond, 30*time.Second), Goals: Goals{"good": 99},
		}),
	}
}

func blips() []*Scenario {
	var all []*Scenario
	for _, rate := range []float64{10, 100, 1000} {
		minutes := 10
		if rate == 1000 {
			minutes = 3
		}
		for _, down := range []time.Duration{200 * time.Millisecond, 500 * time.Millisecond, 800 * time.Millisecond} {
			all = append(all, fault(Scenario{
				ID: fmt.Sprintf("S3-%gs@%g", down.Seconds(), rate), Title: fmt.Sprintf("%g s a minute, %g calls a second", down.Seconds(), rate),
				About:   fmt.Sprintf("%g calls a second; the server refuses everything for %g s, once a minute, for %d minutes.", rate, down.Seconds(), minutes),
				Traffic: Traffic{Rate: rate}, Fault: about(time.Duration(minutes) * time.Minute), After: 30 * time.Second,
				Server: flapping(down, time.Minute-down), Goals: Goals{"good": 99},
			}))
		}
	}
	return all
}

func hangs() []*Scenario {
	hang, figures := during(Hang), []string{"wasted seconds", "recover", "in flight"}
	all := []*Scenario{
		fault(Scenario{
			ID: "S4", Title: "Hang",
			About:  "Calls are accepted and never answered; the client gives up after 10 s. Every call that waits holds a connection, a goroutine and a user.",
			Server: hang, Figures: figures,
			Goals: Goals{"wasted seconds": 2900, "in flight": 270, "recover": 5},
			Remark: "gobreaker with a window of 10 s never opens: it books a call's end in the bucket of its beginning, which has left the window " +
				"when a timeout of 10 s is over. A window must be longer than the timeout.",
			Plot: &Plot{Before: 15, After: 45, Kind: InFlight},
		}),
		fault(Scenario{
			ID: "S4-30s", Title: "Hang, timeout of 30 s",
			About:  "The same with a client that gives up after 30 s.",
			Server: hang, Timeout: 30 * time.Second, Figures: figures,
		}),
		fault(Scenario{
			ID: "S4@10", Title: "Hang, 10 calls a second",
			About:   "The same at 10 calls a second.",
			Traffic: Traffic{Rate: 10}, Before: time.Minute, Server: hang, Figures: figures,
		}),
		fault(Scenario{
			ID: "S4@2", Title: "Hang, 2 calls a second",
			About:   "The same at 2 calls a second.",
			Traffic: Traffic{Rate: 2}, Before: 2 * time.Minute, Server: hang, Figures: figures,
		}),
	}
	for _, part := range []struct {
		percent int
		goals   Goals
		plot    *Plot
	}{
		{percent: 30},
		{percent: 50},
		{60, Goals{"detect": 6, "in flight": 450, "good": 40}, &Plot{Before: 15, After: 45, Kind: InFlight}},
		{75, Goals{"detect": 4.5, "in flight": 360}, nil},
	} {
		all = append(all, fault(Scenario{
			ID: fmt.Sprintf("S4-%d%%", part.percent), Title: fmt.Sprintf("%d %% hang", part.percent),
			About: fmt.Sprintf("%d %% of the calls are never answered, the others as fast as ever.", part.percent),
			Server: during(func(c Call) Answer {
				if c.Other < float64(part.percent)/100 {
					return Hang(c)
				}
				return Healthy(c)
			}),
			Figures: []string{"good", "wasted seconds", "in flight"}, Goals: part.goals, Plot: part.plot,
		}))
	}
	return append(all, fault(Scenario{
		ID: "S4b", Title: "Slow",
		About:   "Every answer takes 2 s instead of 50 ms, and is right.",
		Server:  during(after50(2 * time.Second)),
		Figures: []string{"good", "in flight"},
		Goals:   Goals{"good": 99},
		Remark:  "Rejecting calls that would have been answered is a choice: with SlowCall it is made in favour of the host and the callers' patience, and goodput is what it costs.",
	}))
}

func routes() []*Scenario {
	bad := during(func(c Call) Answer {
		if c.Route == 0 {
			return Answer{Fate: Failed, After: Latency(c)}
		}
		return Healthy(c)
	})
	return []*Scenario{
		fault(Scenario{
			ID: "S6", Title: "One bad route of five",
			About:  "One of five routes of a host fails every call; one circuit guards the host.",
			Routes: 5, Server: bad, Goals: Goals{"good": 99},
			Remark: "One circuit for the host cannot cut off one route only: the best is to stay closed.",
		}),
		fault(Scenario{
			ID: "S6r", Title: "One bad route of five, a circuit each",
			About:  "The same, with a circuit for each route.",
			Routes: 5, Circuits: 5, Server: bad, Goals: Goals{"good": 99},
		}),
	}
}

// loads are servers that can do less than is asked of them.
func loads() []*Scenario {
	goals := Goals{"herd": 1.2, "recover": 18, "good after": 93}
	story := func(id, title, about string, clients int) *Scenario {
		return fault(Scenario{
			ID: id, Title: title, About: about,
			Traffic: Traffic{Rate: 200}, Clients: clients, Timeout: time.Second, Retries: 2, RetryPause: 50 * time.Millisecond,
			Fault: [2]time.Duration{20 * time.Second, 45 * time.Second}, After: 120 * time.Second,
			Server: queued(cold), Figures: []string{"recover", "herd", "good after"},
		})
	}
	fleet := story("S7", "Cold restart", "50 clients send 200 calls a second to a server that can do 260, time out after 1 s and retry twice, 50 ms later. "+
		"The server is down for 20 to 45 s and comes back cold: 40 % of its capacity, all of it 30 s later.", 50)
	fleet.Goals = goals
	fleet.Remark = "Without a breaker the service never comes back: the retries keep the queue so long that every call times out, long after the fault is over."
	fleet.Plot = &Plot{Before: 15, After: 75, Kind: Arrivals, Capacity: cold}
	single := story("S7-1", "The same, one client", "The same calls from one client.", 1)
	single.Goals = goals
	once := story("S7-once", "The same, without retries", "The same 50 clients, none of which retries.", 50)
	once.Retries = 0
	all := []*Scenario{
		fleet, single,
		story("S7-5", "The same, 5 clients", "The same calls from 5 clients.", 5),
		story("S7-400", "The same, 400 clients", "The same calls from 400 clients.", 400),
		once,
	}
	for _, capacity := range []float64{60, 30} {
		can := func(t, length float64) float64 {
			if t >= 0 && t < length {
				return capacity
			}
			return queueCapacity
		}
		s := fault(Scenario{
			ID: fmt.Sprintf("S17-%g", capacity), Title: fmt.Sprintf("Overload, capacity %g of 100", capacity),
			About: fmt.Sprintf("100 calls a second come to a server that can do %g. Answers queue for up to 3 s, the client gives up after 1 s, "+
				"and the server does not see that it has.", capacity),
			Timeout: time.Second, Server: queued(can),
		})
		if capacity == 60 {
			s.Goals, s.Plot = Goals{"good": 50}, &Plot{Before: 15, After: 45}
		}
		all = append(all, s)
	}
	return all
}

// semian are the experiments by which Shopify's semian tests its adaptive breaker, as far as the others do not have them.
func semian() []*Scenario {
	base := errors(0.01)
	var all []*Scenario
	for _, percent := range []int{20, 60, 100} {
		s := fault(Scenario{
			ID: fmt.Sprintf("S19-%d%%", percent), Title: fmt.Sprintf("A spike of %d %% errors", percent),
			About:  fmt.Sprintf("1 %% errors, for 20 s %d %%, then 1 %% again.", percent),
			Before: time.Minute, Fault: about(20 * time.Second), After: time.Minute,
			Server: During(base, errors(float64(percent)/100)),
		})
		if percent == 100 {
			s.Figures = []string{"wasted", "recover", "detect"}
		}
		all = append(all, s)
	}
	return append(all,
		fault(Scenario{
			ID: "S19b", Title: "Oscillating errors",
			About:  "2 % and 6 % errors in turn, every 10 s for 3 minutes, then 1 % again.",
			Before: 20 * time.Second, Fault: about(3 * time.Minute), After: 20 * time.Second,
			Server: During(base, func(c Call) Answer {
				if c.At/(10*time.Second)%2 == 0 {
					return Ordinary(c, 0.02)
				}
				return Ordinary(c, 0.06)
			}),
			Goals: Goals{"good": 99.9},
		}),
		fault(Scenario{
			ID: "S19c", Title: "Sustained load of errors",
			About:  "1 % errors, for 5 minutes 20 %, then 1 % again.",
			Before: 2 * time.Minute, Fault: about(5 * time.Minute), After: 2 * time.Minute,
			Server: During(base, errors(0.2)), Goals: Goals{"good": 99},
		}))
}
