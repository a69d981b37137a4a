package main

import (
	"fmt"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerredis/fleet"
)

// Group is a table of the page.
type Group struct {
	Title, About string
	Stories      []*Story
}

// groups are all stories. The goals refer to them by ID.
func groups() []Group {
	down := func(id string, nodes int, rate float64, fault time.Duration) *Story {
		return &Story{
			ID: id, Title: fmt.Sprintf("%s × %g/s, %s", thousands(nodes), rate, minutes(fault)),
			Nodes: nodes, Rate: rate, Before: 10 * time.Second, Fault: fault, After: time.Minute,
		}
	}
	with := func(s *Story, title string, change func(*Story)) *Story {
		s.Title = title
		change(s)
		return s
	}
	cut := func(of, nodes int, rate float64) *Story {
		s := down(fmt.Sprintf("cut-%d-of-%d-%g", of, nodes, rate), nodes, rate, 2*time.Minute)
		s.After = 10 * time.Second
		s.Cut = func(node int) bool { return node < of }
		s.Title = fmt.Sprintf("%d of %d cut off, %g/s", of, nodes, rate)
		return s
	}
	hundred := func(id string) *Story { return down(id, 100, 4, 2*time.Minute) }
	all := []Group{
		{"A host goes down and comes back", "Connections are refused.", []*Story{
			down("2", 2, 4, 2*time.Minute), down("10", 10, 4, 2*time.Minute), down("100", 100, 4, 2*time.Minute),
			down("1000", 1000, 4, 2*time.Minute), down("1000-long", 1000, 4, 10*time.Minute),
			down("100-busy", 100, 100, time.Minute),
			down("10-quiet", 10, 0.2, 10*time.Minute), down("100-quiet", 100, 0.2, 10*time.Minute),
			down("1000-quiet", 1000, 0.2, 10*time.Minute),
		}},
		{"Other troubles", "100 × 4/s for 2 min, if nothing else is said. A host that is back cold answers three tenths of the traffic at first, all of it after a minute, and fails what is beyond. What could be answered is counted from the beginning of the fault to a minute after it.", []*Story{
			with(hundred("hang"), "no answer, timeout 10 s", func(s *Story) { s.Answer = Hang }),
			with(hundred("errors-80"), "80 % errors", func(s *Story) { s.Answer = Failing(0.8) }),
			with(hundred("errors-30"), "30 % errors", func(s *Story) { s.Answer = Failing(0.3) }),
			with(down("cold", 1000, 4, time.Minute), "1,000 × 4/s, 1 min, then back cold", func(s *Story) { s.Capacity = 1200 }),
		}},
		{"The network is cut between some processes and the host", "The host is well. The figure is how many calls of those who can reach it are rejected.", []*Story{
			cut(1, 5, 4), cut(2, 5, 4), cut(4, 5, 4), cut(33, 99, 4), cut(66, 99, 4),
			cut(2, 5, 0.2), cut(4, 5, 0.2), cut(33, 99, 0.2), cut(66, 99, 0.2),
		}},
		{"Redis fails while the host is down", "100 × 4/s for 2 min.", []*Story{
			with(hundred("absent"), "Redis is absent", func(s *Story) {
				s.Links = func(*World, int) linkFaults { return linkFaults{Absent: true} }
			}),
			with(hundred("freezes"), "Redis freezes after 30 s", func(s *Story) {
				s.Links = func(w *World, _ int) linkFaults {
					return linkFaults{Delay: time.Millisecond / 2, Fault: func() error {
						if time.Since(w.began) > w.start+30*time.Second {
							return fleet.ErrFrozen
						}
						return nil
					}}
				}
			}),
			with(hundred("lossy"), "half of the messages are lost", func(s *Story) {
				s.Links = func(*World, int) linkFaults { return linkFaults{Delay: time.Millisecond / 2, Lost: 0.5} }
			}),
			with(hundred("deaf"), "channels are forbidden", func(s *Story) {
				s.Links = func(*World, int) linkFaults { return linkFaults{Delay: time.Millisecond / 2, Deaf: true} }
			}),
			with(hundred("far"), "Redis is 50 ms away", func(s *Story) {
				s.Links = func(*World, int) linkFaults { return linkFaults{Delay: 25 * time.Millisecond} }
			}),
		}},
	}
	return all
}

func minutes(d time.Duration) string { return fmt.Sprintf("%g min", d.Minutes()) }

func thousands(n int) string {
	if n >= 1000 {
		return fmt.Sprintf("%d,%03d", n/1000, n%1000)
	}
	return fmt.Sprint(n)
}

// minNodes is the option for a fleet of that size.
func (s *Story) minNodes() int {
	if s.Nodes == 2 {
		return 2
	}
	return 0
}
