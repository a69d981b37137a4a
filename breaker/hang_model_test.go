package breaker_test

import (
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// What the breaker takes for a hang, which it knows from counts alone, is checked here
// against a list of all calls, in random traffic and with nothing set.

// A circuit opens or sheds for a hang only where at least eight calls have waited for
// as long as its reason says, no fewer than it says, and no fewer than were answered
// meanwhile.
func TestHangIsFoundOnlyWhereCallsWait(t *testing.T) {
	found := 0
	eachTraffic(t, 100, func(w *traffic) {
		for w.now() < time.Minute {
			w.peer = w.anyPeer()
			w.run(w.upTo(15 * time.Second))
			if w.IntN(4) == 0 {
				w.freeze(w.upTo(30 * time.Second))
			}
		}
		found += len(w.hangs)
	})
	if found < 10 {
		t.Errorf("%d hangs were found: too few to say anything", found)
	}
}

// A busy peer that has answered and then hangs wholly is cut off soon after HangAfter: by
// an eighth of it for each of two samples, and the time in which eighty calls come, as one
// in sixteen looks.
func TestBusyPeerThatHangsWhollyIsCutOffSoon(t *testing.T) {
	if breaker.AlwaysStriped {
		t.Skip("which calls look for hangs depends on their stripes, and these on the core")
	}
	eachTraffic(t, 160, func(w *traffic) {
		w.peer = w.quickPeer()
		w.run(time.Second + w.upTo(20*time.Second))
		if w.b.State() != breaker.Closed || w.b.Snapshot().Totals.Successes < 20 {
			return
		}
		w.peer.hangs, w.peer.timeout = 1, 4*time.Second+w.upTo(30*time.Second)
		soon := 2500*time.Millisecond + time.Duration(80/w.peer.perSecond*float64(time.Second))
		for w.b.State() != breaker.Open && w.now() < w.answers[len(w.answers)-1]+soon {
			w.run(10 * time.Millisecond)
		}
		if got := w.b.Snapshot(); got.State != breaker.Open {
			w.Errorf("%d calls in flight: %v; %s; the peer was %+v", got.InFlight, got.State, got.Reason, w.peer)
		}
	})
}

// A process that was stopped finds all its calls late and all its clocks ahead. That is
// no fault of its peers.
func TestFrozenProcessFindsNoHang(t *testing.T) {
	eachTraffic(t, 100, func(w *traffic) {
		for w.now() < time.Minute {
			w.peer = w.quickPeer()
			busy := w.peer.perSecond * w.Float64()
			for _, w.peer.perSecond = range []float64{pause, busy, pause, busy} { // steady traffic would prove little
				w.run(time.Second + w.upTo(4*time.Second))
			}
			w.freeze(w.upTo(time.Minute))
			w.run(w.upTo(10 * time.Second))
		}
		if len(w.hangs) > 0 {
			w.Errorf("%s; the peer is %+v", w.hangs[0], w.peer)
		}
	})
}

var hangReason = regexp.MustCompile(`(\d+) calls unanswered for (\S+), (\d+) answered meanwhile$`)

// changed checks a transition against the list.
func (w *traffic) changed(t breaker.Transition) {
	since, answers := w.since, w.answers
	if w.since = w.now(); t.To == breaker.Open {
		w.openings, w.answers = w.openings+1, nil
	}
	found := hangReason.FindStringSubmatch(t.Reason)
	if found == nil || t.Origin != breaker.ByRules {
		return // if there is one, it is only why the outage began
	}
	w.hangs = append(w.hangs, t.Reason)
	said, _ := strconv.Atoi(found[1])
	saidAnswered, _ := strconv.Atoi(found[3])
	limit, err := time.ParseDuration(found[2])
	limit -= limit / 100 // it is rounded
	waiting, answered := 0, 0
	for c := range w.waiting {
		if w.now()-c.sent >= limit {
			waiting++
		}
	}
	for _, at := range answers {
		if at > since && w.now()-at < limit {
			answered++
		}
	}
	if err != nil || said < max(8, saidAnswered) || waiting < max(said, answered) {
		w.Errorf("at %v: %s, but %d calls have waited for so long, and %d were answered; %+v",
			w.now(), t.Reason, waiting, answered, w.peer)
	}
}
