// Package search looks for settings of the breaker that no others beat on a log: in
// how many good answers are lost, and how many failures are spared.
//
// It tries settings on the first half of the log's calls, and keeps the second half
// to see whether what it has found holds there, too.
package search

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/seed-0b728cf8/httpbreaker/bench/tune/replay"
	"github.com/seed-0b728cf8/httpbreaker/bench/tune/settings"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// Tried is one configuration and what came of it.
type Tried struct {
	Config breaker.Config
	Halves [2]replay.Figures
}

// cost is what settings are judged by on one half of the log: good answers lost and
// failures sent. Less is better, in both.
func (t *Tried) cost(half int) (lost, sent int) {
	f := &t.Halves[half]
	return f.Lost, f.Failed - f.Spared
}

// beats reports whether t is as good as u in both, and better in one.
func (t *Tried) beats(u *Tried, half int) bool {
	lost, sent := t.cost(half)
	hisLost, hisSent := u.cost(half)
	return lost <= hisLost && sent <= hisSent && (lost < hisLost || sent < hisSent)
}

// Found is the outcome of a search.
type Found struct {
	Tried    int
	Today    Tried
	Frontier []Tried // that nothing beats, from few good answers lost to many
	Best     Tried   // what is recommended: Today, if nothing is better
	Warnings []string
}

// Options of a search. The zero Options are the default.
type Options struct {
	Rounds   int // of mutations of the best; default 4
	Each     int // configurations in each of them; default 40
	Progress func(done, all int)
}

// Run searches on the first half of the log, beginning with today's settings.
func Run(t *testing.T, l *replay.Log, today breaker.Config, o Options) (*Found, error) {
	o.Rounds, o.Each = cmp.Or(o.Rounds, 4), cmp.Or(o.Each, 40)
	s := &search{t: t, log: l, o: o, seen: map[string]bool{}, rng: rand.New(rand.NewPCG(1, 1))}
	first := append([]breaker.Config{today, {}}, neighbours(today)...)
	s.all = len(first) + o.Rounds*o.Each + 2*len(settings.All)
	if err := s.try(first); err != nil {
		return nil, err
	}
	for range o.Rounds {
		if err := s.try(s.children()); err != nil {
			return nil, err
		}
	}
	best, err := s.recommend()
	if err != nil {
		return nil, err
	}
	f := &Found{Tried: len(s.tried), Today: s.tried[0], Frontier: s.frontier(), Best: *best}
	f.check()
	return f, nil
}

type search struct {
	t     *testing.T
	log   *replay.Log
	o     Options
	rng   *rand.Rand
	tried []Tried
	seen  map[string]bool
	all   int // configurations that will be tried, about
}

// atOnce is how many hosts all configurations that are replayed at once may have:
// each takes about a kilobyte.
const atOnce = 100_000

// try replays what has not been tried yet.
func (s *search) try(configs []breaker.Config) error {
	var fresh []replay.Guard
	var ours []breaker.Config
	for _, c := range configs {
		if text := c.String(); c.Validate() == nil && !s.seen[text] {
			s.seen[text] = true
			fresh = append(fresh, replay.Ours("", c))
			ours = append(ours, c)
		}
	}
	batch := min(max(1, atOnce/max(1, len(s.log.Keys))), 32)
	for some := range slices.Chunk(fresh, batch) {
		progress := func(calls int) {
			if s.o.Progress != nil {
				s.o.Progress(len(s.tried)*s.log.Calls+calls*len(some), s.all*s.log.Calls)
			}
		}
		results, err := replay.Run(s.t, s.log, some, replay.Options{Progress: progress})
		if err != nil {
			return err
		}
		for _, r := range results {
			s.tried = append(s.tried, Tried{Config: ours[0], Halves: r.Halves})
			ours = ours[1:]
		}
	}
	return nil
}

// neighbours differ from c in one setting.
func neighbours(c breaker.Config) (all []breaker.Config) {
	for i := range settings.All {
		setting := &settings.All[i]
		for j, v := range choices(setting) {
			// Two on either side, and off.
			at, _ := slices.BinarySearch(choices(setting), setting.Get(c))
			if v == 0 || j >= at-2 && j <= at+2 {
				all = append(all, with(c, setting, v))
			}
		}
	}
	return all
}

// choices are the values of a setting that are tried.
func choices(s *settings.Setting) []float64 {
	if s.Off == "" {
		return s.Values
	}
	return append([]float64{0}, s.Values...)
}

// with returns c with one setting changed, and what depends on it.
func with(c breaker.Config, s *settings.Setting, v float64) breaker.Config {
	s.Set(&c, v)
	if c.MaxOpenFor > 0 && c.MaxOpenFor < cmp.Or(c.OpenFor, 5e9) {
		c.MaxOpenFor = cmp.Or(c.OpenFor, 5e9)
	}
	return c
}

// children are mutations of the best.
func (s *search) children() (all []breaker.Config) {
	parents := s.frontier()
	for range s.o.Each {
		c := parents[s.rng.IntN(len(parents))].Config
		if s.rng.IntN(4) == 0 {
			c = s.tried[0].Config // keep looking around today's
		}
		for range 1 + s.rng.IntN(3) {
			setting := &settings.All[s.rng.IntN(len(settings.All))]
			values := choices(setting)
			at, _ := slices.BinarySearch(values, setting.Get(c))
			at += s.rng.IntN(5) - 2
			c = with(c, setting, values[min(max(at, 0), len(values)-1)])
		}
		all = append(all, c)
	}
	return all
}

// frontier is what nothing beats on the first half. Of those with the same figures
// it has the one that differs in the fewest settings from the default.
func (s *search) frontier() []Tried {
	sorted := slices.Clone(s.tried)
	slices.SortStableFunc(sorted, func(a, b Tried) int {
		lost, sent := a.cost(0)
		hisLost, hisSent := b.cost(0)
		return cmp.Or(cmp.Compare(lost, hisLost), cmp.Compare(sent, hisSent), cmp.Compare(changes(a.Config), changes(b.Config)))
	})
	var front []Tried
	for _, t := range sorted {
		_, sent := t.cost(0)
		if len(front) > 0 {
			if _, least := front[len(front)-1].cost(0); sent >= least {
				continue
			}
		}
		front = append(front, t)
	}
	return front
}

// changes is in how many settings c differs from the default.
func changes(c breaker.Config) (n int) {
	for i := range settings.All {
		if s := &settings.All[i]; s.Get(c) != s.Default {
			n++
		}
	}
	return n
}
