package fleet

import (
	"math"
	"time"
)

// host is what the store of Memory knows of one host. The script of package
// breakerredis does the same in Lua, and a test compares the two.
type host struct {
	rules  Rules
	votes  map[string]vote
	since  time.Duration // when the suspicion began
	asked  time.Duration // when all were last asked, or zero
	keep   time.Duration // until when it is kept
	id     int64         // of the incident, or zero
	opened time.Duration

	round    int64
	level    int           // probes that have failed
	goodBy   string        // who made the first of two good probes
	began    time.Duration // when the wait for the probe began
	due      time.Duration // when it ends
	rejected int           // since then
	last     string        // who made the last probe
	lease    time.Duration // until when the probe is granted
	leased   float64       // calls in a second of those that it is granted to
}

type vote struct {
	Opinion
	until time.Duration
}

func (h *host) count(now time.Duration) (v Verdict) {
	for node, vote := range h.votes {
		switch {
		case vote.until <= now:
			delete(h.votes, node)
		case vote.Opinion == Bad:
			v.Bad++
		case vote.Opinion == Good:
			v.Good++
		default:
			v.Quiet++
		}
	}
	return v
}

// report books r at that time and returns the verdict, and the event that all
// are to be told of, if any. The host is to be forgotten when keep has come.
func (h *host) report(now time.Duration, r Report) (v Verdict, event EventKind) {
	h.rules.MinNodes = max(h.rules.MinNodes, r.Rules.MinNodes)
	h.rules.Quorum = max(h.rules.Quorum, r.Rules.Quorum)
	if h.rules.MaxOpenFor == 0 || r.Rules.MaxOpenFor < h.rules.MaxOpenFor {
		h.rules.MaxOpenFor = r.Rules.MaxOpenFor
	}
	if r.Incident != 0 && r.Incident != h.id {
		r.Opinion, r.Probe = None, None
	}
	h.votes[r.Node] = vote{r.Opinion, now + r.TTL}
	h.keep = now + KeepFor
	v = h.count(now)
	if v.Bad == 0 && h.id == 0 {
		h.keep = now
		return Verdict{}, 0
	}
	if h.id == 0 {
		switch {
		case now-h.since >= Doubt && h.rules.allow(v.Bad, v.Good):
			h.open(now)
			event = Opened
		case v.Bad >= 2 && (h.asked == 0 || now-h.asked >= AskAgain):
			h.asked = now
			event = Suspected
		}
	} else {
		h.rejected += r.Rejected
		if h.over(now, r, v) {
			h.keep = now
			return Verdict{}, Closed
		}
	}
	v.Suspected, v.Age = true, now-h.since
	if h.id != 0 {
		v.Incident = h.id
		v.Lease = h.grant(now, r, v)
		v.Round, v.Due = h.round, h.due-now
	}
	return v, event
}

func (h *host) open(now time.Duration) {
	h.id, h.opened = max(1, now.Milliseconds()), now
	h.began, h.due, h.rejected = now, now+ProbeSoonest, 0
}

// over books the result of a probe, and reports whether the incident is over: by
// probes, or because too many find the host good.
func (h *host) over(now time.Duration, r Report, v Verdict) bool {
	if r.Probe != None && r.Round == h.round {
		h.round++
		h.last, h.lease, h.leased = r.Node, 0, 0
		if r.Probe == Good {
			if v.nodes() < LargeFleet || h.goodBy != "" && h.goodBy != r.Node {
				return true
			}
			h.goodBy, h.due = r.Node, now
		} else {
			h.level, h.goodBy = h.level+1, ""
			h.due = now + h.wait(now)
			h.began, h.rejected = now, 0
		}
	}
	return v.Good > 0 && !h.rules.allow(v.Bad, v.Good)
}

// wait is how long after a failed probe the next one is due.
func (h *host) wait(now time.Duration) time.Duration {
	longest := time.Duration(min(float64(ProbeOpenFor)*math.Pow(2, float64(h.level)), float64(h.rules.MaxOpenFor)))
	wait := longest
	if h.rejected > 0 {
		need := min(ProbeCallsMost, ProbeCallsFirst*math.Pow(ProbeGrowth, float64(h.level)))
		wait = min(wait, time.Duration(float64(now-h.began)*need/float64(h.rejected)))
	}
	return min(longest, max(wait, ProbeSoonest, (now-h.opened)/ProbeAgeShare))
}

// grant returns how long the reporting node may probe, or zero.
func (h *host) grant(now time.Duration, r Report, v Verdict) time.Duration {
	if r.Rate <= 0 || now < h.due || r.Node == h.last && v.nodes() > 1 && now < h.due+LeaseFor {
		return 0
	}
	if now >= h.lease {
		h.lease, h.leased = now+LeaseFor, 0
	}
	if h.leased >= LeaseRate {
		return 0
	}
	h.leased += r.Rate
	return h.lease - now
}
