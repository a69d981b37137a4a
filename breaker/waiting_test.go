package breaker_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// What is known of calls that hang without SlowCall: from how many came and went.

func hangs(int) (time.Duration, breaker.Outcome) { return 10 * time.Second, breaker.Failure }

// firstMove returns the first transition to this state, and when it was.
func (r rig) firstMove(to breaker.State) (breaker.Transition, time.Duration) {
	r.Helper()
	for _, c := range *r.seen {
		if c.To == to {
			return c, c.At.Sub(r.start)
		}
	}
	r.Fatalf("never %v: %+v", to, *r.seen)
	return breaker.Transition{}, 0
}

// A host that hangs is cut off within seconds, long before its calls time out.
func TestHostThatHangsIsCutOffByDefault(t *testing.T) {
	for perSecond, limits := range map[int]struct {
		within time.Duration
		peak   int
	}{100: {3 * time.Second, 300}, 10: {4 * time.Second, 45}, 1000: {3 * time.Second, 2700}} {
		inBubble(t, breaker.Config{}, func(r rig) {
			r.drive(perSecond, 20*time.Second, healthy)
			r.wantSeen()
			peak := r.drive(perSecond, 60*time.Second, hangs)
			c, at := r.firstMove(breaker.Open)
			if at-20*time.Second > limits.within || peak > limits.peak || !strings.Contains(c.Reason, "unanswered") {
				r.Errorf("%d a second: opened after %v with %d in flight at most: %s", perSecond, at-20*time.Second, peak, c.Reason)
			}
			if got := r.b.Snapshot().Totals.Rejected; got < uint64(35*perSecond) {
				r.Errorf("%d a second: %d of %d rejected", perSecond, got, 40*perSecond)
			}
			r.drive(perSecond, 80*time.Second, healthy)
			r.want(breaker.Closed)
		})
	}
}

// Where more than half of the calls hang, a share is rejected.
func TestHostThatHangsInPartIsShed(t *testing.T) {
	inBubble(t, breaker.Config{}, func(r rig) {
		r.drive(100, 20*time.Second, healthy)
		r.drive(100, 60*time.Second, func(n int) (time.Duration, breaker.Outcome) {
			if n%10 < 6 {
				return hangs(n)
			}
			return healthy(n)
		})
		c, at := r.firstMove(breaker.HalfOpen)
		if (*r.seen)[0].To != breaker.HalfOpen || at-20*time.Second > 6*time.Second || !strings.Contains(c.Reason, "unanswered") {
			r.Errorf("%v, after %v: %s", (*r.seen)[0].To, at-20*time.Second, c.Reason)
		}
		if got := r.b.Snapshot().Totals; got.Successes < 2000+4000*4/10*4/10 || got.Rejected < 400 {
			r.Errorf("%+v", got)
		}
	})
}

// The share follows how many hang, and once the calls are answered again all of them are
// let through, and the circuit closes.
func TestHostThatHungInPartIsClosedAgain(t *testing.T) {
	for name, end := range map[string]breaker.Outcome{"hanging calls fail": breaker.Failure, "hanging calls are given up": breaker.Ignored} {
		inBubble(t, breaker.Config{ConsecutiveFailures: -1}, func(r rig) {
			through := 0
			hanging := func(tenths int) func(int) (time.Duration, breaker.Outcome) {
				return func(n int) (time.Duration, breaker.Outcome) {
					through++
					if n%10 < tenths {
						return 10 * time.Second, end
					}
					return healthy(n)
				}
			}
			r.drive(100, 20*time.Second, healthy)
			r.drive(100, 40*time.Second, hanging(6))
			if s := r.b.Snapshot(); s.State != breaker.HalfOpen || s.Share >= 1 {
				r.Errorf("%s: %+v", name, s)
			}
			if end == breaker.Ignored { // which is not in the failure rate
				through = 0
				r.drive(100, 100*time.Second, hanging(7))
				if through > 2000 { // the 2.2th power of 3 / 7 is 0.155
					r.Errorf("%d of 6000 let through while seven in ten hang", through)
				}
			}
			r.drive(100, 3*time.Minute, healthy)
			r.want(breaker.Closed)
			for i, c := range *r.seen {
				if i > 0 && c.From == breaker.Closed && c.At.Equal((*r.seen)[i-1].At) {
					r.Errorf("%s: told to be closed, and not to be in the same moment: %s", name, c.Reason)
				}
			}
		})
	}
}

// Hangs are judged once 20 calls have succeeded.
func TestHangsAreJudgedAfterTwentySuccesses(t *testing.T) {
	for good, closed := range map[int]bool{19: true, 20: false} {
		inBubble(t, breaker.Config{ConsecutiveFailures: -1, ShedRate: -1}, func(r rig) {
			r.succeed(good)
			r.drive(20, 5*time.Second, hangs)
			if got := r.b.State(); (got == breaker.Closed) != closed {
				r.Errorf("%v after %d successes", got, good)
			}
		})
	}
}

// Whatever legitimately takes long convicts nobody.
func TestSlowHostsAreNoHangs(t *testing.T) {
	for name, call := range map[string]func(n int) (time.Duration, breaker.Outcome){
		"slow from the start": func(int) (time.Duration, breaker.Outcome) { return 5 * time.Second, breaker.Success },
		"one in a hundred takes 3s": func(n int) (time.Duration, breaker.Outcome) {
			if n%100 == 0 {
				return 3 * time.Second, breaker.Success
			}
			return healthy(n)
		},
		"three in ten hang": func(n int) (time.Duration, breaker.Outcome) {
			if n%10 < 3 {
				return 10 * time.Second, breaker.Ignored
			}
			return healthy(n)
		},
		"long polls among others": func(n int) (time.Duration, breaker.Outcome) {
			if n%20 == 0 {
				return 30 * time.Second, breaker.Success
			}
			return healthy(n)
		},
	} {
		for _, perSecond := range []int{2, 20, 100} {
			inBubble(t, breaker.Config{}, func(r rig) {
				r.drive(perSecond, 2*time.Minute, call)
				if len(*r.seen) > 0 {
					r.Errorf("%s, %d a second: %+v", name, perSecond, *r.seen)
				}
			})
		}
	}
	inBubble(t, breaker.Config{}, func(r rig) { // half a minute with nothing but twelve long polls, renewed as they end
		r.drive(20, 10*time.Second, healthy)
		for r.now() < 40*time.Second {
			p := r.admit()
			time.AfterFunc(30*time.Second, func() { p.Done(breaker.Success) })
			time.Sleep(30 * time.Second / 12)
		}
		r.drive(20, 80*time.Second, healthy)
		r.wantSeen()
	})
}

// How long answers take is known whether or not their calls end without the lock: with
// a hook they never do, and within one bucket of the window they do.
func TestSlowAnswersAreKnownHoweverCallsEnd(t *testing.T) {
	slow := func(int) (time.Duration, breaker.Outcome) { return 5 * time.Second, breaker.Success }
	inBubble(t, breaker.Config{Window: 24 * time.Hour}, func(r rig) {
		r.drive(20, 2*time.Minute, slow)
		r.wantSeen()
	})
	inBubble(t, breaker.Config{}, func(r rig) {
		r.b = breaker.New("peer", breaker.Config{}, breaker.Hooks{Done: func(context.Context, breaker.Call) {}})
		r.drive(20, 2*time.Minute, slow)
		if s := r.b.Snapshot(); s.Totals.Rejected > 0 {
			r.Errorf("%+v", s)
		}
	})
}

// A busy host has few of its calls timed; once they have become rare all are.
func TestRareCallsAreTimed(t *testing.T) {
	inBubble(t, breaker.Config{}, func(r rig) {
		r.drive(100, 5*time.Second, healthy)
		time.Sleep(time.Minute)
		r.ignore(1)
		for range 3 {
			p := r.admit()
			time.Sleep(time.Second)
			if got := p.Elapsed(); got != time.Second {
				r.Errorf("%v have elapsed, want 1s", got)
			}
			p.Done(breaker.Success)
		}
	})
}

// One lost connection whose calls hang is one event.
func TestOneHangingConnectionIsNoHang(t *testing.T) {
	inBubble(t, breaker.Config{}, func(r rig) {
		r.drive(50, 10*time.Second, healthy)
		for range 40 {
			p := r.admit()
			time.AfterFunc(20*time.Second, func() { p.Done(breaker.Failure) })
		}
		r.drive(50, 40*time.Second, healthy)
		r.wantSeen()
	})
}

// Answers that have begun are no hangs, however long their bodies stay open.
func TestAnsweredCallsAreNoHangs(t *testing.T) {
	inBubble(t, breaker.Config{}, func(r rig) {
		r.drive(50, 10*time.Second, healthy)
		for range 1000 {
			p := r.admit()
			time.Sleep(20 * time.Millisecond)
			p.Answered()
		}
		r.wantSeen()
		if s := r.b.Snapshot(); s.Answered != 1000 || s.InFlight != 0 {
			r.Errorf("%+v", s)
		}
	})
}

// A call that was taken to hang, and succeeds after all, gives the calls back: the peer
// is slow, and not dead.
func TestLateAnswerDisprovesTheHang(t *testing.T) {
	inBubble(t, breaker.Config{}, func(r rig) {
		random := rand.New(rand.NewPCG(1, 9))
		drive := func(end, took time.Duration) {
			for r.now() < end {
				if p, err := r.b.Allow(r.Context()); err == nil {
					d := time.Duration((0.8 + 0.4*random.Float64()) * float64(took))
					time.AfterFunc(d, func() { p.Done(breaker.Success) })
				}
				time.Sleep(time.Duration(random.ExpFloat64() * float64(10*time.Millisecond)))
			}
		}
		drive(20*time.Second, 50*time.Millisecond)
		r.wantSeen()
		drive(25*time.Second, 6*time.Second) // none of these has been answered
		if _, at := r.firstMove(breaker.Open); at > 23*time.Second {
			r.Errorf("opened after %v", at)
		}
		opened := r.b.Snapshot().Totals.Opened
		drive(2*time.Minute, 6*time.Second)
		r.want(breaker.Closed)
		before := r.b.Snapshot().Totals
		drive(4*time.Minute, 6*time.Second)
		if after := r.b.Snapshot().Totals; after.Rejected != before.Rejected || after.Opened != opened {
			r.Errorf("rejected and opened again although it is known to be slow: %+v", *r.seen)
		}
	})
}

// What disproves a hang is a call that has waited for as long as it takes to hang. Of one
// that was not timed it is known only that it began before the circuit opened.
func TestWhatDisprovesAHang(t *testing.T) {
	for name, test := range map[string]struct {
		timed, first, other bool
		after               time.Duration
		want                bool
	}{
		"one of the first":               {true, true, false, 100 * time.Millisecond, true},
		"one of the last, too soon":      {true, false, false, time.Second, false},
		"one that was not timed":         {false, false, false, 800 * time.Millisecond, true},
		"not timed, and too soon":        {false, false, false, 500 * time.Millisecond, false},
		"one of an earlier generation":   {true, true, true, 100 * time.Millisecond, false},
		"one of the last, after a while": {true, false, false, 2100 * time.Millisecond, true},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, breaker.Config{OpenFor: 5 * time.Second, ProbeShare: -1, Jitter: -1}, func(r rig) {
				other := r.admit()
				r.b.Reset("test")
				r.drive(100, 20*time.Second, healthy)
				var out []*breaker.Permit
				for r.b.State() == breaker.Closed {
					p, err := r.b.Allow(r.Context())
					if err != nil {
						break
					}
					time.Sleep(10 * time.Millisecond)
					if (p.Elapsed() > 0) == test.timed {
						out = append(out, &p)
					}
				}
				time.Sleep(test.after)
				r.want(breaker.Open)
				p := out[len(out)-1]
				if test.first {
					p = out[0]
				}
				if test.other {
					p = other
				}
				p.Done(breaker.Success)
				if closed := r.b.State() == breaker.Closed; closed != test.want {
					r.Fatalf("closed %t, want %t", closed, test.want)
				}
				if test.want { // the peer is known as slow by now
					r.drive(100, r.now()+4*time.Second, hangs)
					r.want(breaker.Closed)
				}
			})
		})
	}
}

func TestHangsAreNotLookedForWhereThatIsOff(t *testing.T) {
	inBubble(t, breaker.Config{HangAfter: -1, ConsecutiveFailures: -1}, func(r rig) {
		r.drive(100, 20*time.Second, healthy)
		if peak := r.drive(100, 29*time.Second, hangs); peak < 800 {
			r.Errorf("%d in flight at most, want all", peak)
		}
		r.wantSeen()
	})
}

// A process that was frozen, or a laptop that has slept, convicts nobody: its calls have
// waited for minutes on the clock, and the peer is as well as it was. A few calls may have
// failed just before.
func TestFrozenProcessConvictsNobody(t *testing.T) {
	ends := map[string]func(p *breaker.Permit, i int){
		"all succeed":          func(p *breaker.Permit, _ int) { p.Done(breaker.Success) },
		"all fail at once":     func(p *breaker.Permit, _ int) { p.Done(breaker.Failure) },
		"all are given up":     func(p *breaker.Permit, _ int) { p.Done(breaker.Ignored) },
		"all are lost":         func(*breaker.Permit, int) {},
		"every second is lost": func(p *breaker.Permit, i int) { p.Done(breaker.Outcome(i % 2)) },
	}
	for name, end := range ends {
		for _, frozen := range []time.Duration{3 * time.Second, 30 * time.Second, 10 * time.Minute} {
			for _, callsFirst := range []bool{false, true} {
				for times, failed := range map[int]int{1: 0, 3: 0, 2: 3} {
					t.Run(fmt.Sprintf("%s, frozen for %v, calls first %t, %d times after %d failures", name, frozen, callsFirst, times, failed), func(t *testing.T) {
						inBubble(t, breaker.Config{}, func(r rig) {
							for i := range times {
								r.drive(100, r.now()+20*time.Second, healthy)
								time.Sleep(time.Second) // until all have been answered
								r.fail(failed)
								var out []*breaker.Permit
								for range 200 { // in two tenths of a second
									out = append(out, r.admit())
									time.Sleep(time.Millisecond)
								}
								time.Sleep(frozen)
								var new []*breaker.Permit
								if callsFirst {
									for range 100 {
										new = append(new, r.admit())
									}
								}
								for i, p := range out {
									end(p, i)
								}
								for _, p := range new {
									p.Done(breaker.Success)
								}
								r.drive(100, r.now()+20*time.Second, healthy)
								if s := r.b.Snapshot(); s.Totals.Rejected > 0 || s.State != breaker.Closed || len(*r.seen) > 0 {
									r.Fatalf("round %d: %d rejected; %+v", i, s.Totals.Rejected, *r.seen)
								}
							}
						})
					})
				}
			}
		}
	}
}
