package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// The calls of a comparison, which go to the breaker and to its model.

// allow asks both for a call, and returns it if it was let through.
func (c *comparison) allow() *played {
	c.t.Helper()
	c.rejected = nil
	permit, err := c.b.Allow(context.Background())
	call := c.m.allow()
	if (err == nil) != (call != nil) {
		c.check(fmt.Sprintf("Allow: err = %v, the model says admitted = %v; %s\n got %+v\nwant %+v",
			err, call != nil, c.m.differs(c.b), c.b.Snapshot(), c.m.snapshot()))
	}
	if c.watched {
		if told, want := len(c.rejected) == 1, call == nil || call.bypasses; told != want {
			c.check(fmt.Sprintf("Rejected was told = %v, want %v", told, want))
		} else if told {
			c.check(c.m.differsInRejection(c.rejected[0]))
		}
	}
	if err != nil {
		c.check(c.m.differsInRejection(err))
		return nil
	}
	if permit.Probe() != call.probe {
		c.check(fmt.Sprintf("Probe() = %v, the model says %v", permit.Probe(), call.probe))
	}
	return &played{&permit, call, nil}
}

// take returns a call that is to end.
func (c *comparison) take(p *program) *played {
	call := c.look(p)
	if call == nil {
		return nil
	}
	for i := range c.out {
		if c.out[i] == call {
			c.out = append(c.out[:i:i], c.out[i+1:]...)
			break
		}
	}
	c.ended = append(c.ended, call)
	return call
}

// look returns a call that has not ended.
func (c *comparison) look(p *program) *played {
	if len(c.out) == 0 {
		return nil
	}
	return c.out[int(p.byte())%len(c.out)]
}

// end ends a call, with an error if text is not empty.
func (c *comparison) end(call *played, o breaker.Outcome, text string) {
	c.t.Helper()
	c.part()
	if o == breaker.Failure && text != "" {
		call.permit.Fail(errors.New(text))
	} else {
		text = ""
		call.permit.Done(o)
	}
	c.check(c.m.sees(c.b, call.call))
	c.m.end(call.call, o, text, 0)
	c.told(call)
}

// answer says that a call is answered.
func (c *comparison) answer(call *played) {
	call.permit.Answered()
	c.m.answers(call.call)
}

// part lets a moment pass after calls have begun, so that none of them seems to have
// begun when the next one has ended.
func (c *comparison) part() {
	for _, call := range c.out {
		if call.call.start.Equal(time.Now()) {
			time.Sleep(time.Nanosecond)
			return
		}
	}
}

// told compares what the hooks were told of a call.
func (c *comparison) told(call *played) {
	c.t.Helper()
	want := c.m.told
	for hook, told := range map[string][]breaker.Call{"Done": c.done, "Failed": c.failed} {
		if !(hook == "Done" && c.timed || hook == "Failed" && c.watched && want.Outcome == breaker.Failure) {
			if len(told) > 0 {
				c.check(fmt.Sprintf("%s was told of %+v", hook, told))
			}
			continue
		}
		if len(told) != 1 {
			c.check(fmt.Sprintf("%s was told of %+v, want %+v", hook, told, want))
		}
		got := told[0]
		if got.Began.Equal(want.Began) || hook == "Failed" {
			got.Began = want.Began
		}
		if errorText(got.Err) != c.m.toldErr {
			c.check(fmt.Sprintf("%s was told of error %q, want %q", hook, errorText(got.Err), c.m.toldErr))
		}
		got.Err = nil
		if !c.timed && c.m.cfg.SlowCall <= 0 {
			got.Duration = want.Duration // not every call was timed
		}
		if got != want {
			c.check(fmt.Sprintf("%s was told of\n     %+v\nwant %+v", hook, got, want))
		}
	}
	c.done, c.failed = nil, nil
}

// burst makes some calls that end at once.
func (c *comparison) burst(p *program) {
	c.t.Helper()
	n := choose(p, 3, 8, 25, 45, 60)
	gap := choose(p, 0, 0, time.Millisecond, 20*time.Millisecond, 100*time.Millisecond)
	outcomes := choose(p,
		[]breaker.Outcome{breaker.Success},
		[]breaker.Outcome{breaker.Success},
		[]breaker.Outcome{breaker.Failure},
		[]breaker.Outcome{breaker.Failure, breaker.Success},
		[]breaker.Outcome{breaker.Failure, breaker.Failure, breaker.Failure, breaker.Failure, breaker.Success},
		[]breaker.Outcome{breaker.Ignored})
	c.did("%d calls %v apart that end as %v", n, gap, outcomes)
	for i := range n {
		if call := c.allow(); call != nil {
			c.end(call, outcomes[i%len(outcomes)], "")
		}
		if c.m.phase == open {
			c.m.sameUntil(c.b.Snapshot().Until)
		}
		time.Sleep(gap)
	}
}
