package peers

import (
	"testing"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

func scenario(t *testing.T, id string) *sim.Scenario {
	t.Helper()
	for _, s := range sim.Scenarios() {
		if s.ID == id {
			return s
		}
	}
	t.Fatalf("no scenario %s", id)
	return nil
}

// Each adapter must let its library see failures, reject by it and recover by it.
func TestEveryLibraryOpensAndCloses(t *testing.T) {
	perfect := func(c sim.Call) sim.Answer { return sim.Answer{After: sim.Latency(c)} }
	down := sim.Scenario{
		ID: "down", Traffic: sim.Traffic{Rate: 100}, Before: 20 * time.Second,
		Fault: [2]time.Duration{30 * time.Second, 30 * time.Second}, After: 150 * time.Second,
		Server: sim.During(perfect, sim.Refuse),
	}
	policies := append(All(), Ours(Defaults, breaker.Config{}, 0))
	for _, p := range policies {
		t.Run(p.Library+" "+p.Settings, func(t *testing.T) {
			run := sim.RunOne(t, sim.Job{Scenario: &down, Policy: p, Seed: 1})
			if run.Wasted >= run.Offered {
				t.Errorf("all %d calls to a server that is down were sent", run.Offered)
			}
			if run.Wasted == 0 {
				t.Error("no call was sent: it cannot know")
			}
			if run.AfterAnswered == 0 {
				t.Error("no call was answered after the fault")
			}
			if p.Notifies && run.Changes < 2 {
				t.Errorf("%d state changes told", run.Changes)
			}
		})
	}
}

// The settings like ours must be comparable: none may cut off a healthy server.
func TestSettingsLikeOursLeaveAHealthyServerAlone(t *testing.T) {
	healthy := *scenario(t, "S0")
	healthy.Before = time.Minute
	for _, p := range All() {
		if p.Settings != LikeOurs {
			continue
		}
		t.Run(p.Library, func(t *testing.T) {
			run := sim.RunOne(t, sim.Job{Scenario: &healthy, Policy: p, Seed: 1})
			if run.Rejected > 0 {
				t.Errorf("%d of %d calls to a healthy server rejected", run.Rejected, run.Requests)
			}
		})
	}
}

func TestModulesNameEveryLibrary(t *testing.T) {
	named := map[string]bool{}
	for _, library := range Modules {
		named[library] = true
	}
	for _, p := range All() {
		if !named[p.Library] {
			t.Errorf("no module for %s", p.Library)
		}
	}
}
