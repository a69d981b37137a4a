package peers

import (
	"testing"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

func perfect(c sim.Call) sim.Answer { return sim.Answer{After: sim.Latency(c)} }

// Each adapter must let its library see failures, reject by it and recover by it.
func TestEveryLibraryOpensAndCloses(t *testing.T) {
	down := sim.Scenario{
		ID: "down", Traffic: sim.Traffic{Rate: 100}, Before: 20 * time.Second,
		Fault: [2]time.Duration{30 * time.Second, 30 * time.Second}, After: 150 * time.Second,
		Server: sim.During(perfect, sim.Refuse),
	}
	// A limiter does not look at failures: for it, the server hangs.
	hang := down
	hang.ID, hang.Server = "hang", sim.During(perfect, sim.Hang)
	for _, p := range append(All(), Ours("", breaker.Config{}, 0)) {
		t.Run(p.Name(), func(t *testing.T) {
			story := &down
			if p.Library == "failsafe-go limiter" {
				story = &hang
			}
			run := sim.RunOne(t, sim.Job{Scenario: story, Policy: p, Seed: 1})
			if run.Wasted >= run.Offered {
				t.Errorf("all %d calls to a server that is down were sent", run.Offered)
			}
			if run.Wasted == 0 {
				t.Error("no call was sent: it cannot know")
			}
			if run.AfterAnswered == 0 {
				t.Error("no call was answered after the fault")
			}
			if p.Notifies && (run.Changes < 2 || run.Openings == 0) {
				t.Errorf("%d state changes told, %d of them openings", run.Changes, run.Openings)
			}
		})
	}
}

// A loop of calls drives the same circuit as the simulator does.
func TestCallsAreLetThroughUntilTheyFail(t *testing.T) {
	for _, p := range append(All(), Ours("", breaker.Config{}, 0)) {
		t.Run(p.Name(), func(t *testing.T) {
			circuit, ok := p.New(t.Name(), func(sim.Change) {}).(Circuit)
			if !ok {
				t.Fatal("it has no loop")
			}
			// hystrix-go gives a place among its ten back in a goroutine of its own, so a
			// fast caller is rejected now and then.
			if got := circuit.Calls(100, sim.Answer{Fate: sim.OK}); got < 100 && (p.Library != "afex/hystrix-go" || got < 10) {
				t.Errorf("%d of 100 calls that succeed were let through", got)
			}
		})
	}
}

// The settings like ours must be comparable: none may cut off a healthy server.
func TestSettingsLikeOursLeaveAHealthyServerAlone(t *testing.T) {
	healthy := &sim.Scenario{
		ID: "healthy", Traffic: sim.Traffic{Rate: 100}, Before: time.Minute, Server: sim.During(sim.Healthy, sim.Healthy),
	}
	for _, p := range All() {
		if p.Settings != LikeOurs {
			continue
		}
		t.Run(p.Library, func(t *testing.T) {
			run := sim.RunOne(t, sim.Job{Scenario: healthy, Policy: p, Seed: 1})
			if run.Rejected > 0 {
				t.Errorf("%d of %d calls to a healthy server rejected", run.Rejected, run.Requests)
			}
		})
	}
}
