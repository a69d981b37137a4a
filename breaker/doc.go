// Package breaker is a circuit breaker for calls of any kind, and a bounded set of
// them by key:
//
//	circuits := breaker.NewSet(breaker.Options{})
//	user, err := breaker.Do(ctx, circuits.Get("users-db"), func(ctx context.Context) (User, error) {
//		return db.User(ctx, id)
//	})
//
// For HTTP there is the package above this one, which decides what is a failure
// and answers in the place of a host that is cut off.
//
// # States
//
// A [Closed] circuit lets all calls through, an [Open] one none, a [HalfOpen] one some.
// A rejected call gets an [*OpenError], which matches [ErrOpen] and says who, since
// when, why, what the peer said last and what comes next.
//
// # The law
//
// By default, and with nothing to set, a circuit moves by these rules. Each has its
// fields in [Config], can be changed there and switched off.
//
//  1. Evidence. It opens when 5 calls in a row have failed over a second or more, or
//     20 over a tenth of a second that began after the first of them had failed: one
//     lost connection is one event, however many calls were on it. A run that chance
//     explains, at the failure rate that the peer has anyway, opens nothing.
//  2. Shedding. When half of at least 20 calls in 10 s fail and others succeed, a share
//     is rejected, larger the more fail. It opens when next to all fail.
//  3. Hangs. When at least as many calls have waited for 2 s as were answered meanwhile,
//     a share is rejected, or all if next to none is answered. Where good answers take
//     longer, it waits for three times the slowest of them.
//  4. Probes. An open circuit lets one call through as a probe after about 10 calls
//     were rejected, then after 14, 20, … 50, never before 0.1 s, later 2 s, and after
//     5 s at the latest, doubling to 45 s. The time is fixed when it opens. The first
//     call from then on is the probe.
//  5. Slow start. After a good probe few calls may be in flight. The number grows with
//     success, and is halved when more calls fail than did before the outage; five
//     failures in a row open the circuit again, unless so many are usual. After two
//     seconds of calls, 50 at most, with none rejected it is closed, and after three
//     minutes in any case. A peer with less than one call a second is closed by the probe.
//
// # Outcomes
//
// A call ends as a [Success], as a [Failure], or [Ignored]: with something that
// says nothing about the peer, such as a cancellation by the caller. An ignored
// call changes no rate and ends no run, and as a probe it makes way for the next.
// A call counts when it ends, whenever it began; but one that ends after the
// generation in which it was admitted has passed is late, and moves nothing, except
// that its success disproves a hang.
//
// # Permits
//
// [Do] suits most. Where a call ends elsewhere than it began, [Breaker.Allow] gives a
// [Permit] that is ended by hand:
//
//	permit, err := b.Allow(ctx)
//	if err != nil {
//		return err
//	}
//	defer permit.Done(breaker.Ignored) // if nothing else ends it: a panic, say
//	…
//	permit.Done(breaker.Success)
//
// A permit that is never ended wedges nothing: a probe has failed after
// Config.ProbeTimeout, a place in a slow start is free again after it, and any other
// call is one that waits.
//
// # Watching and steering
//
// [Breaker.Snapshot] tells what a breaker is like, [Hooks] what happens to it.
// Operators can [Breaker.Trip] and [Breaker.Reset] a circuit, set its [Mode] to
// Observe, ForceOpen or Disabled, for all circuits with [Set.SetMode], and change
// rules while it runs ([Breaker.Update], [Set.Update]). Processes that tell each other
// what they know use [Breaker.Hold] and [Breaker.Retry].
//
// # Guarantees
//
// Nothing runs in the background: no goroutine, timer or ticker. Time is monotonic
// and looked at when a call arrives, so that all of it can be tested with
// [testing/synctest]. No user's function is called under a lock. A call through a
// closed circuit takes no lock and allocates nothing.
package breaker
