package breaker_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// An overdueModel knows each call by its time, where the breaker only counts them.
type overdueModel struct {
	slow    time.Duration
	calls   []*overdueCall // in flight and not answered
	run     int            // failures since the last success
	success time.Time      // the last one
	ended   time.Time      // when a call ended, was answered or was forgotten last
}

type overdueCall struct {
	permit *breaker.Permit
	began  time.Time
	late   bool // of an earlier generation
}

// overdue returns how many calls are overdue, and how many of them were not when the
// last call succeeded.
func (m *overdueModel) overdue() (all, sinceSuccess int) {
	for _, c := range m.calls {
		if c.late || time.Since(c.began) < m.slow {
			continue
		}
		all++
		if c.began.Add(m.slow).After(m.success) {
			sinceSuccess++
		}
	}
	return all, sinceSuccess
}

// Counts.Overdue is never more than the truth, and is the truth once nothing has ended
// for as long as SlowCall and a sixteenth of it, in which it is noticed.
func TestOverdueIsALowerBound(t *testing.T) {
	checks, exact := 0, 0
	playOverdue(t, func(m *overdueModel, got breaker.Counts) string {
		all, _ := m.overdue()
		checks++
		if got.Overdue > all {
			return fmt.Sprintf("%d overdue, want at most %d", got.Overdue, all)
		}
		if time.Since(m.ended) <= m.slow+m.slow/16 {
			return ""
		}
		exact++
		sure := 0
		for _, c := range m.calls {
			if !c.late && time.Since(c.began) >= m.slow+m.slow/16 {
				sure++
			}
		}
		if got.Overdue < sure {
			return fmt.Sprintf("%d overdue, and nothing has ended since: want %d to %d", got.Overdue, sure, all)
		}
		return ""
	})
	if exact < checks/100 {
		t.Errorf("only %d of %d checks were of a breaker at which nothing ends", exact, checks)
	}
}

// The run of failures has no more overdue calls than have become so since the last
// success.
func TestRunOfOverdueCallsIsALowerBound(t *testing.T) {
	playOverdue(t, func(m *overdueModel, got breaker.Counts) string {
		if _, inRun := m.overdue(); got.ConsecutiveFailures > m.run+inRun {
			return fmt.Sprintf("a run of %d, want %d at most", got.ConsecutiveFailures, m.run+inRun)
		}
		return ""
	})
}

// playOverdue makes calls at random, some of which hang, and checks the counts after
// each step.
func playOverdue(t *testing.T, check func(*overdueModel, breaker.Counts) string) {
	seeds := uint64(150)
	if testing.Short() {
		seeds = 30
	}
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 8))
			cfg := with(plain, func(c *breaker.Config) { // by which nothing opens
				c.SlowCall, c.SlowRate = time.Duration(1+random.IntN(3))*time.Second, -1
				c.ConsecutiveFailures = 1_000_000
			})
			b := breaker.New("peer", cfg)
			m := overdueModel{slow: cfg.SlowCall}
			// Each phase has its own mix of calls that end and calls that hang.
			var ends int
			history := ""
			for step := range 400 {
				if step%50 == 0 {
					ends = random.IntN(100)
					history += fmt.Sprintf("\n%d %% end: ", ends)
				}
				switch dice := random.IntN(100); {
				case dice < 50:
					p, err := b.Allow(t.Context())
					if err != nil {
						t.Fatalf("seed %d: %v", seed, err)
					}
					m.calls = append(m.calls, &overdueCall{permit: &p, began: time.Now()})
					history += "+"
				case dice < 80:
					if len(m.calls) == 0 || random.IntN(100) >= ends {
						continue
					}
					i := random.IntN(len(m.calls))
					c := m.calls[i]
					m.calls = append(m.calls[:i:i], m.calls[i+1:]...)
					m.ended = time.Now()
					switch o := breaker.Outcome(random.IntN(4)); o {
					case 3:
						c.permit.Answered()
						history += "a"
					case breaker.Success:
						c.permit.Done(o)
						if !c.late {
							m.run, m.success = 0, time.Now()
						}
						history += "s"
					case breaker.Failure:
						c.permit.Done(o)
						if !c.late {
							m.run++
						}
						history += "f"
					default:
						c.permit.Done(o)
						history += "i"
					}
				case dice < 98:
					d := time.Duration(random.IntN(300)) * time.Millisecond
					if random.IntN(20) == 0 {
						d *= 20
					}
					time.Sleep(d)
					history += fmt.Sprintf(" %v ", d)
				default:
					b.Reset("test")
					for _, c := range m.calls {
						c.late = true
					}
					m.run, m.ended = 0, time.Now()
					history += "R"
				}
				if wrong := check(&m, b.Snapshot().Counts); wrong != "" {
					t.Fatalf("seed %d: %s; SlowCall %v%s", seed, wrong, m.slow, history)
				}
			}
		})
	}
}

// A new SlowCall begins a new count, and the calls in flight then are never overdue.
func TestNewSlowCallBeginsANewCount(t *testing.T) {
	inBubble(t, with(hangRule, func(c *breaker.Config) { c.SlowRate = -1 }), func(r rig) {
		var before []*breaker.Permit
		for range 50 {
			before = append(before, r.admit())
		}
		if err := r.b.Update(with(hangRule, func(c *breaker.Config) { c.SlowCall, c.SlowRate = 2*time.Second, -1 })); err != nil {
			r.Fatal(err)
		}
		time.Sleep(1500 * time.Millisecond)
		r.succeed(1)
		for _, p := range before {
			p.Done(breaker.Success)
		}
		for range 4 {
			r.admit()
		}
		time.Sleep(2200 * time.Millisecond)
		if got := r.b.Snapshot(); got.Counts.Overdue > 4 || got.InFlight != 4 {
			r.Errorf("%d in flight, %d of them overdue, want 4 and at most 4", got.InFlight, got.Counts.Overdue)
		}
	})
}
