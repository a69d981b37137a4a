package search

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/seed-0b728cf8/httpbreaker/bench/tune/settings"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// tolerable is the share of good answers that may be lost for failures to be
// spared, where today's settings lose less.
const tolerable = 0.0005

// recommend takes what spares most failures on the first half of the log and loses
// no more good answers than today's settings, or than is tolerable; and takes back
// each of its changes that makes no difference.
func (s *search) recommend() (*Tried, error) {
	today := &s.tried[0]
	most, _ := today.cost(0)
	most = max(most, int(tolerable*float64(today.Halves[0].Good)))
	best := *today
	for _, t := range s.frontier() {
		lost, sent := t.cost(0)
		if _, least := best.cost(0); lost <= most && sent < least {
			best = t
		}
	}
	return s.simplify(&best, most)
}

// slack is how much worse a simpler configuration may be: one in a hundred of the
// failures that are spared.
const slack = 0.01

// simplify takes back changes of today's settings as long as that costs next to
// nothing.
func (s *search) simplify(best *Tried, most int) (*Tried, error) {
	today := &s.tried[0].Config
	_, bestSent := best.cost(0)
	_, todaySent := s.tried[0].cost(0)
	limit := bestSent + int(slack*float64(max(0, todaySent-bestSent)))
	harmless := func(t *Tried) bool {
		lost, sent := t.cost(0)
		return lost <= most && sent <= limit
	}
	for {
		all := best.Config // with everything taken back that does no harm by itself
		var next *Tried
		var changed []*settings.Setting
		var without []breaker.Config // one of them each
		for i := range settings.All {
			if setting := &settings.All[i]; setting.Get(best.Config) != setting.Get(*today) {
				changed = append(changed, setting)
				without = append(without, with(best.Config, setting, setting.Get(*today)))
			}
		}
		if err := s.try(without); err != nil {
			return nil, err
		}
		for i, setting := range changed {
			if t := s.outcome(without[i]); t != nil && harmless(t) {
				all = with(all, setting, setting.Get(*today))
				next = cmp.Or(next, t)
			}
		}
		if next == nil {
			return best, nil
		}
		if err := s.try([]breaker.Config{all}); err != nil {
			return nil, err
		}
		if t := s.outcome(all); t != nil && harmless(t) {
			next = t
		}
		best = next
	}
}

// outcome is what came of a configuration; nil if it was not tried.
func (s *search) outcome(c breaker.Config) *Tried {
	i := slices.IndexFunc(s.tried, func(t Tried) bool { return t.Config.String() == c.String() })
	if i < 0 {
		return nil
	}
	t := s.tried[i]
	return &t
}

// check looks at the second half of the log, which nothing was chosen by.
func (f *Found) check() {
	warn := func(format string, args ...any) { f.Warnings = append(f.Warnings, fmt.Sprintf(format, args...)) }
	first, second := f.Today.Halves[0], f.Today.Halves[1]
	if first.Failed == 0 {
		warn("There are no failures in the first half of the log: there was nothing to learn from.")
	}
	if f.Best.Config.String() == f.Today.Config.String() {
		return
	}
	if second.Failed == 0 {
		warn("There are no failures in the second half of the log, so that nothing shows whether these settings would spare others than those they were chosen by.")
	}
	lost, sent := f.Best.cost(1)
	todayLost, todaySent := f.Today.cost(1)
	good := float64(max(1, second.Good))
	worse := float64(lost-todayLost)/good > tolerable
	switch {
	case second.Failed > 0 && sent >= todaySent && worse,
		second.Failed > 0 && sent > todaySent+second.Failed/100:
		warn("Over-fitted: on the second half of the log, by which nothing was chosen, these settings send %d failures and lose %d good answers, and today's %d and %d. Keep today's.",
			sent, lost, todaySent, todayLost)
		f.Best = f.Today
	case worse:
		warn("On the second half of the log these settings lose %.3f %% of the good answers, and today's %.3f %%: more than on the first half, by which they were chosen.",
			100*float64(lost)/good, 100*float64(todayLost)/good)
	}
}
