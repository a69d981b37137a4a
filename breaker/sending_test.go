package breaker_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// While a caller sends, such as a body that comes from a visitor, the peer is not late.

// sendRule opens by whatever is taken for slow or hanging.
var sendRule = breaker.Config{
	SlowCall: time.Second, SlowRate: 0.5, MinCalls: 5, ConsecutiveFailures: 5, ConsecutiveSpan: -1, HangAfter: 2 * time.Second, Jitter: -1,
}

// Slow callers convict nobody: not while they send, and not when they have.
func TestSendingIsNeitherTimedNorWaiting(t *testing.T) {
	inBubble(t, sendRule, func(r rig) {
		r.drive(20, 5*time.Second, healthy)
		var uploads []*breaker.Permit
		var sendings []*breaker.Sending
		for range 30 {
			p := r.admit()
			uploads, sendings = append(uploads, p), append(sendings, p.Sending())
		}
		if s := r.b.Snapshot(); s.InFlight > 1 { // the last of the healthy ones, perhaps
			r.Errorf("%d in flight while 30 send, want 1 at most", s.InFlight)
		}
		for range 100 { // looks now and then, for two minutes
			time.Sleep(time.Second)
			if s := r.b.Snapshot(); s.Counts.Overdue != 0 || s.InFlight != 0 {
				r.Fatalf("%+v", s)
			}
			r.ignore(1)
		}
		r.wantSeen()
		for i, p := range uploads {
			sendings[i].Sent()
			if s := r.b.Snapshot(); s.InFlight != 1 {
				r.Errorf("%d in flight, want the one that was sent", s.InFlight)
			}
			time.Sleep(300 * time.Millisecond)
			p.Done(breaker.Success)
		}
		r.wantSeen()
		if s := r.b.Snapshot(); s.InFlight != 0 || s.Totals.Slow != 0 || s.Counts.Slow != 0 {
			r.Errorf("%+v", s)
		}
	})
}

// Once it is sent, a call is timed and waits as any other: a host that hangs is noticed.
func TestSentCallsAreTimedAndWait(t *testing.T) {
	inBubble(t, sendRule, func(r rig) {
		for range 6 {
			s := r.admit().Sending()
			time.Sleep(500 * time.Millisecond)
			s.Sent()
		}
		if s := r.b.Snapshot(); s.InFlight != 6 {
			r.Errorf("%d in flight, want 6", s.InFlight)
		}
		time.Sleep(1100 * time.Millisecond)
		r.reject()
	})
	inBubble(t, sendRule, func(r rig) {
		p := r.admit()
		s := p.Sending()
		time.Sleep(time.Hour)
		s.Sent()
		time.Sleep(1500 * time.Millisecond)
		p.Done(breaker.Success)
		if got := r.b.Snapshot(); got.Totals.Slow != 1 || got.Counts.Slow != 1 {
			r.Errorf("1.5s after it was sent: %+v", got)
		}
	})
}

// The time of a call begins when it is sent, for whoever asks and whenever.
func TestElapsedBeginsWhenTheCallIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended breaker.Call
		b := breaker.New("peer", sendRule, breaker.Hooks{Done: func(_ context.Context, c breaker.Call) { ended = c }})
		p, err := b.Allow(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s := p.Sending()
		time.Sleep(time.Minute)
		if got := p.Elapsed(); got != 0 {
			t.Errorf("%v while it is being sent, want 0", got)
		}
		s.Sent()
		time.Sleep(100 * time.Millisecond)
		if got := p.Elapsed(); got != 100*time.Millisecond {
			t.Errorf("%v after it was sent, want 100ms", got)
		}
		p.Answered()
		time.Sleep(time.Minute)
		if got := p.Elapsed(); got != 100*time.Millisecond {
			t.Errorf("%v once it is answered, want 100ms", got)
		}
		p.Done(breaker.Success)
		if ended.Duration != 100*time.Millisecond || ended.Slow {
			t.Errorf("told as %+v, want 100ms", ended)
		}
	})
}

// A call that ends or is answered while it is being sent was not slow; Sent has no
// effect any more, and none on a call that was never to be sent.
func TestEndsWhileSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended []breaker.Call
		b := breaker.New("peer", sendRule, breaker.Hooks{Done: func(_ context.Context, c breaker.Call) { ended = append(ended, c) }})
		r := rig{T: t, b: b, start: time.Now()}
		for _, end := range []func(*breaker.Permit){
			func(p *breaker.Permit) { p.Done(breaker.Success) },
			func(p *breaker.Permit) { p.Done(breaker.Ignored) },
			func(p *breaker.Permit) { p.Fail(errBroken) },
			func(p *breaker.Permit) { p.Answered(); time.Sleep(time.Hour); p.Done(breaker.Success) },
		} {
			p := r.admit()
			s := p.Sending()
			time.Sleep(time.Minute)
			end(p)
			s.Sent()
			s.Sent()
			time.Sleep(time.Minute)
			if got := b.Snapshot(); got.InFlight != 0 || got.Answered != 0 || got.Totals.Slow != 0 || got.Counts.Overdue != 0 {
				t.Errorf("%+v", got)
			}
		}
		for _, c := range ended {
			if c.Slow || c.Duration != 0 {
				t.Errorf("%+v, want no time at all", c)
			}
		}
		var zero breaker.Permit
		zero.Sending().Sent()
		p := r.admit()
		p.Answered()
		p.Sending().Sent() // what is answered has been sent
		p.Done(breaker.Success)
		p.Sending().Sent()
		p = r.admit()
		first := p.Sending()
		p.Sending().Sent() // there is one already
		time.Sleep(time.Minute)
		if got := b.Snapshot(); got.InFlight != 0 {
			t.Errorf("a second Sending has ended the first: %+v", got)
		}
		if got := p.Elapsed(); got != 0 {
			t.Errorf("%v have elapsed since a second Sending, want 0", got)
		}
		first.Sent()
		p.Done(breaker.Success)
		if got := b.Snapshot(); got.InFlight != 0 || got.Answered != 0 || got.Totals.Slow != 0 {
			t.Errorf("%+v", got)
		}
	})
}

// An upload that outlasts the state in which it began is late, and is taken for no call
// that waits: neither when it is sent, nor once it has ended.
func TestLateUploadsAreNotTakenToWait(t *testing.T) {
	for _, end := range []breaker.Outcome{breaker.Success, breaker.Failure, breaker.Ignored} {
		for _, sent := range []bool{false, true} {
			inBubble(t, sendRule, func(r rig) {
				var uploads []*breaker.Permit
				var sendings []*breaker.Sending
				for range 30 {
					p := r.admit()
					uploads, sendings = append(uploads, p), append(sendings, p.Sending())
				}
				r.b.Trip(time.Second, "test")
				r.b.Reset("test")
				r.drive(20, 5*time.Second, healthy)
				if sent {
					for _, s := range sendings {
						s.Sent()
					}
				}
				time.Sleep(100 * time.Millisecond)
				for _, p := range uploads {
					p.Done(end)
				}
				seen := len(*r.seen)
				for range 20 { // a quiet host, on which nothing waits
					time.Sleep(time.Second)
					if s := r.b.Snapshot(); s.Counts.Overdue != 0 || s.Counts.ConsecutiveFailures != 0 || s.InFlight != 0 {
						r.Fatalf("sent %t, ended as %v: %+v", sent, end, s)
					}
					if p, err := r.b.Allow(r.Context()); err != nil {
						r.Fatalf("sent %t, ended as %v: %v", sent, end, err)
					} else {
						p.Done(breaker.Ignored)
					}
				}
				if len(*r.seen) != seen {
					r.Errorf("sent %t, ended as %v: %+v", sent, end, (*r.seen)[seen:])
				}
			})
		}
	}
}

// A place of a slow start and a probe are given back by a call that was sent slowly.
func TestSendingGivesItsPlaceBack(t *testing.T) {
	inBubble(t, slowStartRule, func(r rig) {
		r.toSlowStart()
		for range 200 {
			p := r.admit()
			s := p.Sending()
			time.Sleep(10 * time.Millisecond)
			s.Sent()
			p.Done(breaker.Success)
		}
		r.want(breaker.Closed)
	})
	inBubble(t, runRule, func(r rig) {
		r.fail(3)
		time.Sleep(10 * time.Second)
		p := r.admit()
		s := p.Sending()
		r.reject()
		time.Sleep(time.Second)
		s.Sent()
		p.Done(breaker.Ignored)
		r.succeed(1)
		r.want(breaker.Closed)
	})
}

// An upload has no place in the slow start while it is sent. It gives back the one that it
// has then, and not that of a call which began when it was sent.
func TestUploadGivesItsPlaceBackOnce(t *testing.T) {
	for _, answered := range []bool{false, true} {
		inBubble(t, startRule, func(r rig) {
			r.recover(200)
			upload := r.admit()
			s := upload.Sending()
			time.Sleep(time.Second)
			calls := r.fill()
			s.Sent()
			if answered {
				upload.Answered()
			}
			upload.Done(breaker.Ignored)
			r.reject()
			calls[0].Done(breaker.Ignored)
			r.admit()
			r.reject()
		})
	}
}

// A call that was not timed when it was admitted is timed from Sent on, and one that was
// never timed has taken no time.
func TestCallIsTimedFromSentOn(t *testing.T) {
	inBubble(t, breaker.Config{}, func(r rig) {
		var failed []breaker.Call
		r.b = breaker.New("peer", breaker.Config{}, breaker.Hooks{Failed: func(c breaker.Call) { failed = append(failed, c) }})
		r.drive(100, 5*time.Second, healthy) // so busy that few calls are timed
		untimed := func() *breaker.Permit {
			for {
				p := r.admit()
				time.Sleep(time.Millisecond)
				if p.Elapsed() == 0 {
					return p
				}
				p.Done(breaker.Success)
			}
		}
		p := untimed()
		time.Sleep(time.Second)
		if got := p.Elapsed(); got != 0 {
			r.Errorf("%v have elapsed of a call that is not timed", got)
		}
		p.Done(breaker.Failure)
		r.succeed(1)
		p = untimed()
		s := p.Sending()
		s.Sent()
		time.Sleep(time.Second)
		p.Answered()
		if got := p.Elapsed(); got != time.Second {
			r.Errorf("%v have elapsed since Sent, want 1s", got)
		}
		p.Done(breaker.Failure)
		if got := p.Elapsed(); got != 0 {
			r.Errorf("%v have elapsed of a call that has ended", got)
		}
		if len(failed) != 2 || failed[0].Duration != 0 || failed[1].Duration != time.Second {
			r.Errorf("%+v", failed)
		}
		var zero breaker.Permit
		if got := zero.Elapsed(); got != 0 {
			r.Errorf("%v have elapsed of no call", got)
		}
	})
}

// Nor has an upload that was not timed to wait for its answer to be told how long it takes.
func TestElapsedOfAnUploadThatIsNotTimed(t *testing.T) {
	inBubble(t, breaker.Config{}, func(r rig) {
		r.drive(100, 5*time.Second, healthy) // so busy that few calls are timed
		for range 16 {
			p := r.admit()
			s := p.Sending()
			time.Sleep(time.Millisecond)
			if got := p.Elapsed(); got != 0 {
				r.Errorf("%v have elapsed before Sent, want 0", got)
			}
			s.Sent()
			time.Sleep(time.Second)
			if got := p.Elapsed(); got != time.Second {
				r.Errorf("%v have elapsed since Sent, want 1s", got)
			}
			p.Done(breaker.Success)
		}
	})
}

// Sent may come from another goroutine while the call ends: the books are right, however
// the two meet.
func TestSentWhileTheCallEnds(t *testing.T) {
	b := breaker.New("peer", sendRule)
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for i := range 2000 {
				p, err := b.Allow(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				s := p.Sending()
				var sender sync.WaitGroup
				sender.Go(func() { s.Sent(); s.Sent() })
				if i%3 == 0 {
					p.Answered()
				}
				p.Done(breaker.Outcome(i % 2)) // ignored or successful
				sender.Wait()
			}
		})
	}
	callers.Wait()
	s := b.Snapshot()
	if s.InFlight != 0 || s.Answered != 0 || s.Totals.Successes != 8000 || s.Totals.Ignored != 8000 || s.State != breaker.Closed {
		t.Errorf("%+v", s)
	}
	// Not one too few, which InFlight would not show: ten calls are ten in flight.
	for range 10 {
		if _, err := b.Allow(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.Snapshot().InFlight; got != 10 {
		t.Errorf("%d in flight, want 10", got)
	}
}

// One lost connection ends many uploads in a while. They are one event, as other calls are
// that had begun before the first of them failed.
func TestUploadsOnALostConnectionAreOneEvent(t *testing.T) {
	for name, during := range map[string]func(*breaker.Permit, *breaker.Sending){
		"sending":  func(*breaker.Permit, *breaker.Sending) {},
		"sent":     func(_ *breaker.Permit, s *breaker.Sending) { s.Sent() },
		"answered": func(p *breaker.Permit, _ *breaker.Sending) { p.Answered() },
	} {
		inBubble(t, breaker.Config{}, func(r rig) {
			r.drive(20, 5*time.Second, healthy)
			var uploads []*breaker.Permit
			var sendings []*breaker.Sending
			for range 60 {
				p := r.admit()
				uploads, sendings = append(uploads, p), append(sendings, p.Sending())
			}
			for i, p := range uploads {
				time.Sleep(5 * time.Millisecond)
				if i > 0 {
					during(p, sendings[i])
				}
				p.Done(breaker.Failure)
				if s := r.b.Snapshot(); s.State == breaker.Open {
					r.Fatalf("%s: %+v", name, s)
				}
			}
		})
	}
}

// A call that was sent just now is not overdue, however long ago the last one came.
func TestCallThatWasSentJustNowIsNotOverdue(t *testing.T) {
	inBubble(t, sendRule, func(r rig) {
		r.succeed(1)
		s := r.admit().Sending()
		r.admit()
		time.Sleep(1500 * time.Millisecond)
		s.Sent()
		if got := r.b.Snapshot().Counts.Overdue; got > 1 {
			r.Errorf("%d overdue, and there is one call that waits for so long", got)
		}
	})
}

// Callers who stall their uploads keep nobody from a host that is well again: a probe that
// is not sent in its time makes way, and the places of a slow start are for calls that are sent.
func TestStalledUploadsHoldNoRecoveryBack(t *testing.T) {
	inBubble(t, breaker.Config{Jitter: -1}, func(r rig) {
		r.steady(20, 30*time.Second, of(0, 20*time.Millisecond))
		r.steady(20, 10*time.Second, of(100, 0))
		time.Sleep(10 * time.Second)
		opened := r.b.Snapshot().Totals.Opened
		r.admit().Sending()
		r.want(breaker.HalfOpen)
		time.Sleep(10 * time.Second)
		for range 30 { // and so many are under way in the slow start
			if p, err := r.b.Allow(r.Context()); err == nil {
				p.Sending()
			}
		}
		sent, rejected := r.steady(20, time.Minute, of(0, 20*time.Millisecond))
		if s := r.b.Snapshot(); s.State != breaker.Closed || s.Totals.Opened != opened || rejected > sent/20 {
			r.Errorf("%d sent, %d rejected; %+v", sent, rejected, s)
		}
		time.Sleep(time.Second)
	})
}
