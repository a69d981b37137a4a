package fleet

import (
	"context"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// An Engine carries the protocol: it keeps the opinions of all nodes, with an
// end for each, and reaches the verdicts by one clock. It must be safe for
// concurrent use. An Engine that is an io.Closer is closed by [Fleet.Close],
// which must make all its methods return.
//
// Every method returns soon after its context is done. An error means that
// nothing is known: the node goes on alone, and tries again later.
type Engine interface {
	// Report tells what this node has found, at most one report for a key, and
	// returns the fleet's verdict on each, in the same order.
	Report(ctx context.Context, reports []Report) ([]Verdict, error)
	// Look returns what all nodes should know. If nothing has changed since the
	// version that the node has seen, only View.Version need be set.
	Look(ctx context.Context, version int64) (View, error)
	// SetMode sets a mode for the fleet, or takes it back if it is Enforce.
	SetMode(ctx context.Context, m Mode) error
	// Listen calls ready each time that it begins to receive, and got for each
	// event, until ctx is done or receiving is impossible. Events may be lost,
	// late, doubled or out of order.
	Listen(ctx context.Context, ready func(), got func(Event)) error
}

// Opinion is what a node's own calls say of a host.
type Opinion uint8

const (
	// None is of a node that makes no call, or has no clear view.
	None Opinion = iota
	// Good is of a node whose last call succeeded, lately.
	Good
	// Bad is of a node whose calls fail.
	Bad
)

// Report is what one node has found of one host.
type Report struct {
	Key     string
	Node    string
	Opinion Opinion
	// TTL is how long the opinion stands unless it is renewed.
	TTL time.Duration
	// Rejected is how many calls the node has rejected since its last report.
	Rejected int
	// Rate is how many calls the node has had in a second lately; zero if it
	// cannot probe.
	Rate float64
	// Incident is the one that the node knows of, or zero. What it says belongs to
	// that: if it is over, neither opinion nor probe count.
	Incident int64
	// Probe is what came of the probe that was granted in Round, or None.
	Probe Opinion
	Round int64
	// Rules are the node's. Of different ones the strictest hold.
	Rules Rules
}

// Rules are what a verdict needs.
type Rules struct {
	MinNodes   int
	Quorum     float64
	MaxOpenFor time.Duration
}

// allow reports whether these opinions are enough for an incident.
func (r Rules) allow(bad, good int) bool {
	return bad >= r.MinNodes && float64(bad) >= r.Quorum*float64(bad+good)
}

// Verdict is what the fleet makes of one host.
type Verdict struct {
	// Incident is its number, or zero: the host is not down for the fleet.
	Incident int64
	// Suspected says that there are bad opinions, enough or not.
	Suspected bool
	// Age is how long ago the suspicion began.
	Age time.Duration
	// Bad, Good and Quiet are how many nodes have which opinion; Quiet ones have
	// none.
	Bad, Good, Quiet int
	// Round grows with each probe of the incident.
	Round int64
	// Due is the time until the next probe; negative when it is overdue.
	Due time.Duration
	// Lease, if positive, grants this node the probe for so long.
	Lease time.Duration
}

func (v Verdict) nodes() int { return v.Bad + v.Good + v.Quiet }

// View is what all nodes should know.
type View struct {
	// Version changes whenever the rest does.
	Version int64
	// Keys are those of which somebody has a bad opinion, at most 1,000.
	Keys []string
	// Modes are those in force, at most 1,000.
	Modes []Mode
	// Unchanged says that only Version is set.
	Unchanged bool
}

// Mode is a mode that an operator has set for the fleet.
type Mode struct {
	// Key is that of the circuit; empty stands for all of them.
	Key string
	// Mode is what the circuit is set to. Enforce takes back what was set.
	Mode breaker.Mode
	// Reason is shown wherever the mode is, cut to 200 bytes.
	Reason string
	// By is who set it, cut to 200 bytes.
	By string
	// For is how long it holds from now on: positive, at most 30 days.
	For time.Duration
}

// Event is a hint that something has changed.
type Event struct {
	Kind EventKind
	Key  string
}

// EventKind is what has changed. Kinds that a node does not know it ignores.
type EventKind byte

const (
	// Suspected: a second node says that the host is bad.
	Suspected EventKind = 's'
	// Opened: an incident has begun.
	Opened EventKind = 'o'
	// Closed: the incident is over.
	Closed EventKind = 'c'
	// ModesSet: the modes of the fleet have changed. It has no key.
	ModesSet EventKind = 'm'
)

// The constants of the protocol, for engines that run elsewhere to take over.
const (
	// MaxKey is the longest key, in bytes, that is shared.
	MaxKey = 256
	// MaxModeFor is the longest time for which a mode can be set.
	MaxModeFor = 30 * 24 * time.Hour
	// MaxHosts is how many hosts the fleet can suspect at once.
	MaxHosts = 1000

	// Doubt is how old a suspicion is before there can be a verdict: refusals
	// come back faster than answers do.
	Doubt = 250 * time.Millisecond
	// AskAgain is how often all are asked again while a suspicion lasts.
	AskAgain = 5 * time.Second
	// LeaseFor is how long a node is granted the probe.
	LeaseFor = 2 * time.Second
	// LeaseRate is how many calls a second those have together who are granted it.
	LeaseRate = 1.0
	// LargeFleet is the number of nodes from which on two good probes are needed.
	LargeFleet = 20
	// KeepFor is how long the engine keeps what it knows of a host of which
	// nobody reports any more.
	KeepFor = 2 * time.Minute

	// ProbeCallsFirst is how many calls the fleet rejects before the second probe
	// of an incident. The number grows by ProbeGrowth with each failed probe, up to
	// ProbeCallsMost: at last one call in a hundred is a probe.
	ProbeCallsFirst, ProbeCallsMost, ProbeGrowth = 10.0, 100.0, 1.5
	// ProbeSoonest is the shortest wait for a probe, and ProbeAgeShare the part of
	// the incident's age that it grows to.
	ProbeSoonest, ProbeAgeShare = time.Second, 200
	// ProbeOpenFor is the longest wait, doubled with each failed probe up to
	// Rules.MaxOpenFor.
	ProbeOpenFor = 5 * time.Second
)
