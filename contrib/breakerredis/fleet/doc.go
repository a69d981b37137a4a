// Package fleet lets processes that call the same hosts share what they learn:
// that a host is down, and that it is back. It is the protocol alone; an [Engine]
// carries it. Package breakerredis has one for Redis and Valkey, and [Memory] is
// one for tests.
//
// # What a node does
//
// A node is one process with one [breaker.Set]. Its breakers decide as they
// always do: no call ever waits for the network, and while the engine does not
// answer, each process is what it is alone.
//
//  1. Suspect. A node whose calls have failed 3 times in a row, or whose own rules
//     have opened the circuit, tells the fleet that the host is bad. What it heard
//     from others is never an opinion of its own.
//  2. Ask. When a second node says so, all are asked. Whoever then sees a call
//     succeed says that the host is good. Whoever makes no call says nothing.
//  3. Verdict. When the suspicion is 250ms old, at least MinNodes say bad, and
//     those are at least Quorum of all with an opinion, the host is down for the
//     fleet: an incident.
//  4. Obey. Each node then holds its circuit open. A node whose own last call
//     succeeded needs one failure of its own first, so that nobody is cut off from
//     a host that answers. Good opinions that come later end the incident.
//  5. Probe. One node at a time is granted the probe, for 2s. Its next call goes
//     through. The wait between two probes is what a breaker's would be that sees
//     the calls of the whole fleet, and never less than 1s.
//  6. Recover. After a good probe (two by different nodes, from 20 nodes on) the
//     incident is over. Within 2s each node lets one call of its own through, and
//     closes by its own rules. Nobody is closed by hearsay.
//
// A healthy fleet sends nothing, except that each node reads one small value a
// minute.
//
// # What it cannot do
//
// An incident cuts nobody off for longer than Options.MaxOpenFor without a probe:
// a node that hears of none for that long tries for itself. Nothing is kept that
// has no end, so whatever becomes of the engine's data, each node is on its own
// again within seconds, and the next opinions build it anew.
//
// A key has to mean the same host to every node; see Options.Shared.
package fleet
