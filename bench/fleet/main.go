package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerredis/fleet"
)

func main() {
	only := flag.String("stories", "", "")
	seeds := flag.Int("seeds", 1, "")
	flag.Parse()
	sim.Main(func(t *testing.T) int {
		for _, s := range stories() {
			if *only != "" && !strings.Contains(","+*only+",", ","+s.ID+",") {
				continue
			}
			for _, p := range []*Policy{local(), oneOpensAll(), shared(fleet.Options{MinNodes: s.minNodes()})} {
				for seed := range *seeds {
					began := time.Now()
					r := runStory(t, s, p, uint64(seed+1))
					fmt.Fprintf(os.Stdout, "%-28s %-14s wasted %6d t95 %5.1f recover %5.1f probes %5d opens %5d held %5.2f%% herd %.2f store %+v (%.1fs)\n", s.Title, p.Name, r.Wasted, r.T95, r.Recover, r.Probes, r.Openings, 100*float64(r.Held)/float64(max(1, r.Offered)), r.Herd, r.Store, time.Since(began).Seconds())
				}
			}
		}
		return 0
	})
}
func (s *Story) minNodes() int {
	if s.Nodes == 2 {
		return 2
	}
	return 3
}
func stories() []*Story {
	list := []*Story{}
	add := func(n int, rate float64, fault time.Duration) {
		list = append(list, &Story{ID: fmt.Sprintf("%dx%g", n, rate), Title: fmt.Sprintf("%d x %g/s %v", n, rate, fault), Nodes: n, Rate: rate, Before: 10 * time.Second, Fault: fault, After: time.Minute})
	}
	add(2, 4, 2*time.Minute)
	add(10, 4, 2*time.Minute)
	add(100, 4, 2*time.Minute)
	add(1000, 4, 2*time.Minute)
	add(100, 100, time.Minute)
	add(10, .2, 10*time.Minute)
	add(100, .2, 10*time.Minute)
	for _, c := range []struct{ n, cut int }{{5, 1}, {5, 2}, {5, 4}, {99, 33}, {99, 66}} {
		for _, rate := range []float64{4, .2} {
			list = append(list, &Story{ID: fmt.Sprintf("cut%d/%d", c.cut, c.n), Title: fmt.Sprintf("%d of %d cut off, %g/s", c.cut, c.n, rate), Nodes: c.n, Rate: rate, Before: 10 * time.Second, Fault: 2 * time.Minute, After: 10 * time.Second, Cut: func(i int) bool { return i < c.cut }})
		}
	}
	list = append(list, &Story{ID: "80", Title: "80 % errors, 100 x 4/s", Nodes: 100, Rate: 4, Before: 10 * time.Second, Fault: 2 * time.Minute, After: time.Minute, Answer: Failing(.8)})
	list = append(list, &Story{ID: "30", Title: "30 % errors, 100 x 4/s", Nodes: 100, Rate: 4, Before: 10 * time.Second, Fault: 2 * time.Minute, After: time.Minute, Answer: Failing(.3)})
	list = append(list, &Story{ID: "hang", Title: "hang, 100 x 4/s", Nodes: 100, Rate: 4, Before: 10 * time.Second, Fault: 2 * time.Minute, After: time.Minute, Answer: Hang})
	return list
}
