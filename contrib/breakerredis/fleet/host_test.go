package fleet

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var rules = Rules{MinNodes: 3, Quorum: 0.9, MaxOpenFor: 45 * time.Second}

// say reports the opinion of some nodes, named from 0 on.
func (h *host) say(now time.Duration, o Opinion, nodes ...int) (v Verdict, e EventKind) {
	for _, n := range nodes {
		v, e = h.report(now, Report{Node: fmt.Sprint(n), Opinion: o, TTL: time.Hour, Rules: rules})
	}
	return v, e
}

func upTo(n int) (nodes []int) {
	for i := range n {
		nodes = append(nodes, i)
	}
	return nodes
}

func opened(t *testing.T, nodes int) *host {
	h := &host{votes: map[string]vote{}}
	h.say(0, Bad, upTo(nodes)...)
	v, event := h.say(Doubt, Bad, 0)
	require.NotZero(t, v.Incident)
	require.Equal(t, Opened, event)
	return h
}

func TestThereIsNoVerdictBeforeTheDoubtIsOver(t *testing.T) {
	h := &host{votes: map[string]vote{}}
	_, event := h.say(0, Bad, 0)
	assert.Zero(t, event)
	_, event = h.say(0, Bad, 1)
	assert.Equal(t, Suspected, event, "the second one makes all be asked")
	v, _ := h.say(Doubt-time.Millisecond, Bad, upTo(50)...)
	assert.Zero(t, v.Incident)
	v, _ = h.say(Doubt, Bad, 0)
	assert.NotZero(t, v.Incident)
}

func TestGoodOpinionsEndAnIncident(t *testing.T) {
	h := opened(t, 20)
	v, event := h.say(time.Second, Good, 20, 21)
	assert.NotZero(t, v.Incident, "20 of 22 are enough")
	assert.Zero(t, event)
	v, event = h.say(time.Second, Good, 22)
	assert.Zero(t, v.Incident, "20 of 23 are not")
	assert.Equal(t, Closed, event)
}

func TestALargeFleetNeedsGoodProbesOfTwoNodes(t *testing.T) {
	probe := func(h *host, node int) (Verdict, EventKind) {
		return h.report(2*time.Second, Report{Node: fmt.Sprint(node), Opinion: Good, TTL: time.Hour, Probe: Good, Round: h.round, Rules: rules})
	}
	h := opened(t, LargeFleet)
	v, _ := probe(h, 0)
	assert.NotZero(t, v.Incident)
	assert.Zero(t, v.Due, "the next one is due at once")
	v, _ = probe(h, 0)
	assert.NotZero(t, v.Incident, "it was the same node")
	_, event := probe(h, 1)
	assert.Equal(t, Closed, event)

	_, event = probe(opened(t, LargeFleet-2), 0)
	assert.Equal(t, Closed, event)
}

func TestAProbeOfAnEarlierRoundCountsForNothing(t *testing.T) {
	h := opened(t, 5)
	bad := Report{Node: "0", Opinion: Bad, TTL: time.Hour, Probe: Bad, Rules: rules}
	v, _ := h.report(2*time.Second, bad)
	assert.EqualValues(t, 1, v.Round)
	bad.Node = "1"
	v, _ = h.report(2*time.Second, bad)
	assert.EqualValues(t, 1, v.Round)
	assert.Equal(t, 1, h.level)
}

func TestWhoFailedToProbeLetsOthersTry(t *testing.T) {
	h := opened(t, 5)
	ask := func(now time.Duration, node string) time.Duration {
		v, _ := h.report(now, Report{Node: node, Opinion: Bad, TTL: time.Hour, Rate: 1, Rules: rules})
		return v.Lease
	}
	due := h.due
	assert.Zero(t, ask(due-time.Millisecond, "0"), "not yet")
	assert.Equal(t, LeaseFor, ask(due, "0"))
	assert.Zero(t, ask(due, "1"), "one at a time")
	h.report(due+time.Second, Report{Node: "0", Opinion: Bad, TTL: time.Hour, Probe: Bad, Rules: rules})
	due = h.due
	assert.Zero(t, ask(due, "0"))
	assert.Equal(t, LeaseFor, ask(due, "1"))
	assert.Equal(t, LeaseFor, ask(due+LeaseFor, "0"), "when the other has made no call")
}

func TestQuietNodesShareALease(t *testing.T) {
	h := opened(t, 5)
	granted := 0
	for i := range 5 {
		v, _ := h.report(h.due, Report{Node: fmt.Sprint(i), Opinion: Bad, TTL: time.Hour, Rate: 0.4, Rules: rules})
		if v.Lease > 0 {
			granted++
		}
	}
	assert.Equal(t, 3, granted, "until they have a call a second together")
}

func TestTheWaitForAProbeGrows(t *testing.T) {
	for _, c := range []struct {
		level, rejected int
		passed, age     time.Duration
		want            time.Duration
	}{
		{1, 0, time.Second, time.Minute, 10 * time.Second},         // nobody calls: by time alone
		{9, 0, time.Second, time.Minute, 45 * time.Second},         // up to MaxOpenFor
		{1, 15, 5 * time.Second, time.Minute, 5 * time.Second},     // 15 calls at that rate
		{9, 100, 30 * time.Second, time.Minute, 30 * time.Second},  // at last 100
		{1, 1e6, time.Second, time.Minute, time.Second},            // not sooner
		{9, 1e6, time.Second, 10 * time.Minute, 3 * time.Second},   // rarer with age
		{1, 1e6, time.Second, 24 * time.Hour, 10 * time.Second},    // no longer than by time alone
		{60, 1e6, time.Second, 24 * time.Hour, 45 * time.Second},   // up to MaxOpenFor
		{2000, 0, time.Second, 24 * time.Hour, 45 * time.Second},   // without end
		{1, 1, 100 * time.Millisecond, 0, 1500 * time.Millisecond}, // 15 times 0.1s
	} {
		h := &host{rules: rules, level: c.level, rejected: c.rejected, began: time.Hour - c.passed, opened: time.Hour - c.age}
		assert.Equal(t, c.want, h.wait(time.Hour), "%+v", c)
	}
}

func TestWhatBelongsToAnIncidentThatIsOverCountsForNothing(t *testing.T) {
	h := opened(t, 5)
	r := Report{Node: "9", Opinion: Bad, TTL: time.Hour, Probe: Good, Round: 0, Incident: h.id + 1, Rules: rules}
	v, _ := h.report(2*time.Second, r)
	assert.Equal(t, 5, v.Bad)
	assert.NotZero(t, v.Incident, "nor does its probe")
	r.Incident = h.id
	_, event := h.report(2*time.Second, r)
	assert.Equal(t, Closed, event)
}
