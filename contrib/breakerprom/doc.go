// Package breakerprom shows the circuits of a [breaker.Set] to Prometheus.
//
//	transport := httpbreaker.New(nil)
//	client := &http.Client{Transport: transport}
//	prometheus.MustRegister(breakerprom.NewCollector(transport.Breakers(), nil))
//
// The set is read when it is scraped and at no other time: requests cost the
// same with a collector and without, and a state is never out of date.
//
// # Metrics
//
// For each key, with the label key:
//
//	httpbreaker_circuit_state                           0 closed, 0.5 half-open, 1 open
//	httpbreaker_circuit_let_through_ratio               share of the calls that is let through: 1 closed, 0 open
//	httpbreaker_circuit_mode                            1, with the label mode: enforce, observe, force-open, disabled
//	httpbreaker_circuit_origin                          1, with the label origin: rules, probe, peer, operator, fleet; absent while closed
//	httpbreaker_circuit_since_timestamp_seconds         when it came into its state
//	httpbreaker_circuit_outage_start_timestamp_seconds  when it left closed; absent while closed
//	httpbreaker_circuit_until_timestamp_seconds         when it is tried again; absent when no time is set
//	httpbreaker_circuit_in_flight_calls                 let through, not answered and not ended
//	httpbreaker_circuit_answered_calls                  answered and not ended: their bodies are still open
//	httpbreaker_circuit_calls_total                     ended, with the label outcome: success, failure, ignored
//	httpbreaker_circuit_late_calls_total                ended after the state that admitted them, without an outcome
//	httpbreaker_circuit_slow_calls_total                among circuit_calls_total, took SlowCall or longer
//	httpbreaker_circuit_rejected_calls_total            not let through; in mode observe, would not have been
//	httpbreaker_circuit_openings_total                  how often it opened, after a failed probe included
//	httpbreaker_circuit_open_time_seconds_total         how long it has been open
//
// Why a circuit opened and what the host said last are no labels: each text would
// make a series. The log, the status page and package breakerotel's span events
// have them.
//
// For the set:
//
//	httpbreaker_set_circuits                     circuits, with the label state: closed, open, half-open
//	httpbreaker_set_records                      open circuits remembered by a deadline only
//	httpbreaker_set_evicted_keys_total           keys given up to make room, their circuits closed
//	httpbreaker_set_evicted_active_keys_total    of them, those that were in use: the set is too small
//	httpbreaker_set_demoted_keys_total           keys reduced to a record to make room
//	httpbreaker_set_forgotten_records_total      records lost for want of room
//
// For a fleet with which the set is shared (Options.Fleet), with its name in the
// label fleet, as this process knows it:
//
//	httpbreaker_fleet_reachable                  1 if Redis, or what else it shares through, answers; else 0
//	httpbreaker_fleet_listening                  1 if messages arrive, 0 if the process has to ask
//	httpbreaker_fleet_requests_total             exchanges with it
//	httpbreaker_fleet_failed_requests_total      of them, those that failed
//	httpbreaker_fleet_dropped_messages_total     heard of circuits and dropped for want of room
//	httpbreaker_fleet_circuits                   circuits, with the label state: down, suspected
//	httpbreaker_fleet_nodes                      nodes, with the labels key, a circuit in trouble, and opinion: bad, good, none
//
// At most MaxKeys circuits in trouble have fleet_nodes, those that most nodes find
// bad first.
//
// # Labels
//
// The label key is the breaker's key, as a quoted Go string where it is not
// UTF-8, is empty, starts with a quote or is "other": nothing that a key can
// hold breaks the scrape.
//
// At most Options.MaxKeys keys, 100 by default, have series of their own. The
// counters, the calls in flight and the answered calls of the rest are added up under key="other";
// set_circuits counts the states of all. A key keeps its series until it leaves
// the set, with one exception: a circuit that is open, half-open, forced or
// disabled takes the place of the one that has been quiet for the longest time,
// so that what is cut off is named even when thousands of keys are not.
//
// Each call is counted in one series only, and no counter ever falls while its
// series lasts, whatever moves where: a key that comes out of "other" starts at
// what its own series had reached before, or at zero, and what it counted in
// the meantime stays in "other". So rates and their sums are right, while the
// number beside one key may be less than that breaker's own total.
//
// The series of a key that has left the set disappear; its share of "other"
// stays there.
//
// # Dashboard and alerts
//
// The module's dashboard.json is a Grafana dashboard, its alerts.yml a file of
// Prometheus alerting rules. The project's docs/operating.md says what to do
// about each alert.
package breakerprom
