package fleet_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerredis/fleet"
)

func TestAFleetFindsOutTogether(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(20)
		r.run(5 * time.Second)
		setUp(false, r.nodes...)
		took := r.runUntil(5*time.Second, "all are open", isOpen)
		assert.Less(t, took, 3500*time.Millisecond, "each call twice a second")
		failed := 0
		for _, n := range r.nodes {
			failed += int(n.snapshot().Totals.Failures)
			assert.Contains(t, n.snapshot().Reason, "nodes of the fleet cannot reach it")
		}
		assert.Less(t, failed, 3*len(r.nodes), "one alone needs five")
	})
}

func TestAQuietNodeHearsOfIt(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(5)
		r.nodes[4].rate = 0
		setUp(false, r.nodes...)
		r.runUntil(10*time.Second, "all are open", isOpen)
		s := r.nodes[4].snapshot()
		assert.Equal(t, breaker.ByFleet, s.Origin)
		assert.True(t, s.Fleet)
		assert.Zero(t, s.Totals.Failures)
		assert.Regexp(t, `^(3 of 3|4 of 4) nodes of the fleet cannot reach it$`, s.Reason)
	})
}

func TestAProcessThatStartsDuringAnOutageHearsOfIt(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(3)
		setUp(false, r.nodes...)
		r.runUntil(10*time.Second, "all are open", isOpen)
		r.add(1)
		r.nodes[3].rate = 0
		r.runUntil(500*time.Millisecond, "the new one is open", isOpen)
	})
}

func TestAKeyThatComesDuringAnOutageIsHeldAtOnce(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(4)
		late := r.nodes[3]
		late.rate = 0
		late.set.Remove(host)
		setUp(false, r.nodes...)
		for range 4 * 500 {
			for _, n := range r.nodes[:3] {
				n.call()
			}
			time.Sleep(5 * time.Millisecond)
		}
		assert.Equal(t, breaker.Closed, late.set.Get(host).State())
		time.Sleep(100 * time.Millisecond)
		assert.Equal(t, breaker.Open, late.set.Get(host).State())
	})
}

func TestFewerThanMinNodesOpenNothing(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(5)
		r.nodes[2].rate, r.nodes[3].rate, r.nodes[4].rate = 0, 0, 0 // nobody contradicts
		setUp(false, r.nodes[:2]...)
		r.run(2 * time.Minute)
		for _, n := range r.nodes[2:] {
			assert.Equal(t, breaker.Closed, n.snapshot().State)
		}
		assert.Equal(t, breaker.Open, r.nodes[0].snapshot().State)
	})
}

func TestAFleetOfTwoNeedsMinNodesTwo(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(3, func(o *fleet.Options, _ *fleet.Link) { o.MinNodes = 2 })
		r.nodes[2].rate = 0
		setUp(false, r.nodes...)
		r.runUntil(10*time.Second, "all are open", isOpen)
	})
}

func TestOfDifferentMinNodesTheStrictestHolds(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(2, func(o *fleet.Options, _ *fleet.Link) { o.MinNodes = 2 })
		r.add(1)
		r.add(1, func(o *fleet.Options, _ *fleet.Link) { o.MinNodes = 2 })
		r.nodes[3].rate = 0
		r.nodes[2].rate = 0
		setUp(false, r.nodes...)
		r.run(30 * time.Second)
		assert.Equal(t, breaker.Closed, r.nodes[2].snapshot().State, "it wants three")
	})
}

func TestAZoneThatIsCutOffTakesNobodyWithIt(t *testing.T) {
	for _, cut := range []int{1, 5, 10} {
		inBubble(t, func(r *rig) {
			r.add(15)
			r.run(5 * time.Second)
			setUp(false, r.nodes[:cut]...)
			r.run(2 * time.Minute)
			for i, n := range r.nodes[cut:] {
				assert.Zero(t, n.snapshot().Totals.Rejected, "cut %d, node %d", cut, i)
			}
		})
	}
}

func TestANodeThatSucceedsIsNotOverruled(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(40) // so that one good opinion changes nothing
		r.run(5 * time.Second)
		lucky := r.nodes[0]
		setUp(false, r.nodes[1:]...)
		r.run(time.Minute)
		assert.Zero(t, lucky.snapshot().Totals.Rejected)
		assert.Equal(t, breaker.Open, r.nodes[1].snapshot().State)
		setUp(false, lucky)
		r.runUntil(5*time.Second, "it opens", isOpen)
		assert.Less(t, lucky.snapshot().Totals.Failures, uint64(5), "sooner than alone")
	})
}

func TestOneProbeForAll(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(50)
		r.run(5 * time.Second)
		setUp(false, r.nodes...)
		r.runUntil(10*time.Second, "all are open", isOpen)
		before := sentBy(r)
		r.run(time.Minute)
		probes := sentBy(r) - before
		assert.InDelta(t, 45, probes, 15, "about one a second for all of them")
	})
}

func sentBy(r *rig) (sum int) {
	for _, n := range r.nodes {
		sum += n.sent
	}
	return sum
}

func TestAFleetComesBackTogetherBySingleProbesOfItsOwn(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(50)
		setUp(false, r.nodes...)
		r.runUntil(20*time.Second, "all are open", isOpen)
		r.run(time.Minute)
		setUp(true, r.nodes...)
		took := r.runUntil(20*time.Second, "all are back", isBack)
		assert.Less(t, took, 8*time.Second, "each call twice a second")
		r.run(30 * time.Second)
		assert.Empty(t, r.nodes[0].Status().Circuits)
	})
}

func TestAHealthyFleetRunsNoScript(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(20)
		r.run(10 * time.Minute)
		c := r.store.Counts()
		assert.Zero(t, c.Reports)
		assert.Zero(t, c.Events)
		assert.InDelta(t, 20*10, c.Polls, 60, "one a minute and node")
	})
}

func TestWithoutEventsNodesPoll(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(5, func(_ *fleet.Options, l *fleet.Link) { l.Deaf = true })
		r.nodes[4].rate = 0
		setUp(false, r.nodes...)
		r.runUntil(15*time.Second, "all are open", isOpen)
		s := r.nodes[4].Status()
		assert.False(t, s.Listening)
		assert.Contains(t, s.ListenError, "carries no events")
		setUp(true, r.nodes...)
		r.runUntil(30*time.Second, "all but the quiet one are back", func(n *node) bool { return n.rate == 0 || isBack(n) })
	})
}

func TestTheMessagesMayBeLostLateDoubledAndOutOfOrder(t *testing.T) {
	inBubble(t, func(r *rig) {
		luck := newDice(1)
		r.add(20, func(_ *fleet.Options, l *fleet.Link) {
			l.Delay = func() time.Duration { return time.Duration(luck.Float64() * float64(200*time.Millisecond)) }
			l.Copies = func() int { return int(3 * luck.Float64()) }
		})
		r.run(5 * time.Second)
		for range 3 {
			setUp(false, r.nodes...)
			r.runUntil(15*time.Second, "all are open", isOpen)
			setUp(true, r.nodes...)
			r.runUntil(30*time.Second, "all are back", isBack)
		}
	})
}

func TestWithoutTheEngineEachIsOnItsOwn(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(5)
		r.nodes[4].rate = 0
		for _, n := range r.nodes {
			n.link.set(fleet.ErrFrozen)
		}
		setUp(false, r.nodes...)
		r.run(30 * time.Second)
		for _, n := range r.nodes[:4] {
			assert.Equal(t, breaker.Open, n.snapshot().State)
			assert.NotEqual(t, breaker.ByFleet, n.snapshot().Origin)
			s := n.Status()
			assert.False(t, s.Reachable)
			assert.NotEmpty(t, s.Error)
		}
		assert.Equal(t, breaker.Closed, r.nodes[4].snapshot().State)
		assert.Equal(t, 5, strings.Count(r.log.text(), "level=WARN"), "told once a node:\n%s", r.log.text())

		for _, n := range r.nodes {
			n.link.set(nil)
		}
		r.run(20 * time.Second)
		assert.Equal(t, breaker.Open, r.nodes[4].snapshot().State)
		assert.Equal(t, 5, strings.Count(r.log.text(), "level=INFO"), r.log.text())
	})
}

func TestTheEngineGoesAwayDuringAnOutage(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(5)
		r.nodes[4].rate = 0
		setUp(false, r.nodes...)
		r.runUntil(10*time.Second, "all are open", isOpen)
		for _, n := range r.nodes {
			n.link.set(fleet.ErrFrozen)
		}
		r.run(5 * time.Second)
		quiet := r.nodes[4].snapshot()
		assert.True(t, time.Until(quiet.Until) <= 0, "held for %v more", time.Until(quiet.Until))
		setUp(true, r.nodes...)
		r.runUntil(time.Minute, "each is back by itself", func(n *node) bool { return n.rate == 0 || isBack(n) })
	})
}

func TestAStoreThatForgetsIsBuiltAnew(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(5)
		r.nodes[4].rate = 0
		setUp(false, r.nodes...)
		r.runUntil(10*time.Second, "all are open", isOpen)
		for range 5 {
			r.store.Forget()
			r.run(2 * time.Second)
		}
		setUp(true, r.nodes...)
		r.runUntil(time.Minute, "all but the quiet one are back", func(n *node) bool { return n.rate == 0 || isBack(n) })
	})
}

func TestALostLeaseholderHoldsUpNobody(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(5)
		setUp(false, r.nodes...)
		r.runUntil(10*time.Second, "all are open", isOpen)
		// Whoever is granted the probe stops calling at that moment.
		for range 300 {
			for _, n := range r.nodes {
				if n.snapshot().Origin == breaker.ByFleet && !n.snapshot().Fleet {
					n.rate = 0
				}
			}
			r.run(10 * time.Millisecond)
		}
		r.nodes[0].rate = 500 * time.Millisecond
		setUp(true, r.nodes...)
		r.runUntil(20*time.Second, "who calls is back", func(n *node) bool { return n.rate == 0 || isBack(n) })
	})
}

func TestOperatorsAndThePeerAreNotOverruled(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(6)
		tripped, forced, disabled := r.nodes[3], r.nodes[4], r.nodes[5]
		tripped.set.Get(host).Trip(time.Hour, "maintenance")
		forced.set.Get(host).SetMode(breaker.ForceOpen, "by hand")
		disabled.set.Get(host).SetMode(breaker.Disabled, "by hand")
		setUp(false, r.nodes[:3]...)
		r.run(20 * time.Second)
		assert.Equal(t, breaker.Open, r.nodes[0].snapshot().State)
		setUp(true, r.nodes[:3]...)
		r.run(20 * time.Second)
		assert.True(t, isBack(r.nodes[0]))
		s := tripped.snapshot()
		assert.Equal(t, "maintenance", s.Reason)
		assert.Greater(t, time.Until(s.Until), 55*time.Minute)
		assert.Equal(t, breaker.ForceOpen, forced.snapshot().Mode)
		assert.Equal(t, breaker.Closed, disabled.snapshot().State)
		assert.Zero(t, disabled.snapshot().Totals.Rejected)
	})
}

func TestAnOperatorsTripIsNoOpinion(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(5)
		for _, n := range r.nodes[:4] {
			n.set.Get(host).Trip(time.Minute, "maintenance")
		}
		r.nodes[4].rate = 0
		r.run(30 * time.Second)
		assert.Equal(t, breaker.Closed, r.nodes[4].snapshot().State)
		assert.Zero(t, r.store.Counts().Reports)
	})
}

func TestKeysThatAreNotSharedStayHere(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(5, func(o *fleet.Options, _ *fleet.Link) { o.Shared = func(key string) bool { return key != host } })
		r.nodes[4].rate = 0
		setUp(false, r.nodes...)
		r.run(30 * time.Second)
		assert.Equal(t, breaker.Closed, r.nodes[4].snapshot().State)
		assert.Zero(t, r.store.Counts().Reports)
	})
}

func TestSharedByDefault(t *testing.T) {
	for key, want := range map[string]bool{
		"api.example.com": true, "api.example.com:8080": true, "10.0.0.7:80": true, "[2001:db8::1]:443": true,
		"GET /users/{id} api.example.com": true, "": true, "users-db": true,
		"localhost": false, "localhost:8080": false, "db.localhost:80": false, "127.0.0.1:9": false, "[::1]:8443": false, "[::1]": false,
		"GET /users/{id} localhost:80": false, "POST / 127.0.0.1": false,
	} {
		assert.Equal(t, want, fleet.SharedByDefault(key), "%q", key)
	}
}

func TestCloseWhileTheEngineIsFrozen(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(1)
		n := r.nodes[0]
		n.link.set(fleet.ErrFrozen)
		setUp(false, n)
		r.run(5 * time.Second)
		start := time.Now()
		require.NoError(t, n.Close())
		require.NoError(t, n.Close(), "again")
		assert.Less(t, time.Since(start), time.Second)
		r.run(time.Second) // its hooks are gone, its breaker is not
	})
}

func TestStatusTellsWhoThinksWhat(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(10)
		r.run(5 * time.Second)
		r.nodes[9].rate = 0
		setUp(false, r.nodes[:3]...)
		r.run(5 * time.Second)
		s := r.nodes[0].Status()
		assert.Equal(t, "test", s.Fleet)
		assert.True(t, s.Reachable)
		assert.True(t, s.Listening)
		require.Len(t, s.Circuits, 1)
		c := s.Circuits[0]
		assert.Equal(t, host, c.Key)
		assert.False(t, c.Down)
		assert.Equal(t, fleet.Bad, c.Opinion)
		assert.Equal(t, 3, c.Bad)
		assert.InDelta(t, 6, c.Good, 1)
		assert.Zero(t, s.Dropped)
	})
}

func TestManyHostsInTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := fleet.NewMemory()
		var sets []*breaker.Set
		var nodes []*fleet.Fleet
		for range 3 {
			set := breaker.NewSet(breaker.Options{})
			f, err := fleet.New(store.Connect(fleet.Link{}), set, fleet.Options{Fleet: "test"})
			require.NoError(t, err)
			sets, nodes = append(sets, set), append(nodes, f)
		}
		const hosts = 1500
		for range 20 {
			for _, set := range sets {
				for i := range hosts {
					p, err := set.Get(strings.Repeat("h", 1+i/100) + string(rune('A'+i%100))).Allow(t.Context())
					if err == nil {
						p.Fail(errDown)
					}
				}
			}
			time.Sleep(500 * time.Millisecond)
		}
		c := store.Counts()
		assert.Less(t, c.Reports, 4*10*2000, "about 2,000 scripts a second for all, and those of the beginning")
		for _, n := range nodes {
			s := n.Status()
			assert.LessOrEqual(t, len(s.Circuits), fleet.MaxHosts)
			assert.NotZero(t, s.Dropped, "it says so")
			require.NoError(t, n.Close())
		}
	})
}
