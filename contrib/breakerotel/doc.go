// Package breakerotel shows the circuits of a [breaker.Set] to OpenTelemetry, as
// metrics and as events of the spans that meet them.
//
//	transport := httpbreaker.New(nil)
//	registration, err := breakerotel.Register(transport.Breakers(), nil)
//	stop := transport.Breakers().Watch(breakerotel.SpanEvents())
//
// # Metrics
//
// The instruments are observable ones: the set is read when metrics are
// collected and at no other time, so requests cost the same with them and
// without, and a state is never out of date.
//
// For each key, with the attribute httpbreaker.key:
//
//	httpbreaker.circuit.state                   gauge              0 closed, 0.5 half-open, 1 open
//	httpbreaker.circuit.let_through             gauge, 1           share of the calls that is let through: 1 closed, 0 open
//	httpbreaker.circuit.mode                    gauge              1, with httpbreaker.mode: enforce, observe, force-open, disabled
//	httpbreaker.circuit.origin                  gauge              1, with httpbreaker.origin: rules, probe, peer, operator, fleet; absent while closed
//	httpbreaker.circuit.since.timestamp         gauge, s           when it came into its state, since the epoch
//	httpbreaker.circuit.outage_start.timestamp  gauge, s           when it left closed; absent while closed
//	httpbreaker.circuit.until.timestamp         gauge, s           when it is tried again; absent when no time is set
//	httpbreaker.circuit.in_flight_calls         up-down, {call}    let through, not answered and not ended
//	httpbreaker.circuit.answered_calls          up-down, {call}    answered and not ended: their bodies are still open
//	httpbreaker.circuit.calls                   counter, {call}    ended, with httpbreaker.outcome: success, failure, ignored
//	httpbreaker.circuit.late_calls              counter, {call}    ended after the state that admitted them, without an outcome
//	httpbreaker.circuit.slow_calls              counter, {call}    among circuit.calls, took SlowCall or longer
//	httpbreaker.circuit.rejected_calls          counter, {call}    not let through; in mode observe, would not have been
//	httpbreaker.circuit.openings                counter, {opening} how often it opened, after a failed probe included
//	httpbreaker.circuit.open_time               counter, s         how long it has been open
//
// For the set:
//
//	httpbreaker.set.circuits             up-down, {circuit}  circuits, with httpbreaker.state: closed, open, half-open
//	httpbreaker.set.records              up-down, {record}   open circuits remembered by a deadline only
//	httpbreaker.set.evicted_keys         counter, {key}      keys given up to make room, their circuits closed
//	httpbreaker.set.evicted_active_keys  counter, {key}      of them, those that were in use: the set is too small
//	httpbreaker.set.demoted_keys         counter, {key}      keys reduced to a record to make room
//	httpbreaker.set.forgotten_records    counter, {record}   records lost for want of room
//
// Names and units follow the naming rules of OpenTelemetry's semantic
// conventions, which have none for circuit breakers of their own. Turned into
// Prometheus names they are those of package breakerprom.
//
// At most Options.MaxKeys keys, 100 by default, have series of their own. The
// rest are added up under the key "other". A key keeps its series until it
// leaves the set, except that a circuit which is open, half-open, forced or
// disabled takes the place of the one that has been quiet for the longest time.
// Each call is counted in one series only, and no counter falls while its series
// lasts: what a key counted while it was part of "other" stays there. A key that
// is not UTF-8, is empty, starts with a quote or is "other" is shown as a quoted
// Go string.
//
// # Span events
//
// [SpanEvents] returns hooks that add these events to the span in the context of
// a call:
//
//	httpbreaker.rejected    the call was rejected, or under Observe would have been
//	httpbreaker.transition  the circuit changed its state because of the call
//
// with these attributes, each where there is something to say:
//
//	httpbreaker.key             who
//	httpbreaker.state           closed, open or half-open
//	httpbreaker.previous_state  of a transition
//	httpbreaker.mode            enforce, observe, force-open or disabled
//	httpbreaker.since           since when, as in RFC 3339: when the circuit left closed
//	httpbreaker.reason          why
//	httpbreaker.origin          who moved it: rules, probe, peer, operator or fleet
//	httpbreaker.last_failure    what the host said last, in one short line without URLs and credentials
//	httpbreaker.retry_after     what next: seconds from the event until the circuit is tried again
//	httpbreaker.let_through     share of the calls that a half-open circuit lets through; of a transition
package breakerotel
