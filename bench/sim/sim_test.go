package sim

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// clockwork rejects everything between two moments, and notes what it saw.
type clockwork struct {
	from, to time.Duration
	began    time.Time
	answers  []Answer
}

func (b *clockwork) Allow() func(Answer) {
	if at := time.Since(b.began); at >= b.from && at < b.to {
		return nil
	}
	return func(a Answer) { b.answers = append(b.answers, a) }
}

func policy(make func() Breaker) *Policy {
	return &Policy{Library: "test", New: func(string, func(Change)) Breaker { return make() }}
}

func admitAll() Breaker  { return &clockwork{} }
func rejectAll() Breaker { return &clockwork{to: math.MaxInt64, began: time.Now()} }

var outage = &Scenario{
	ID: "test", Traffic: Traffic{Rate: 100}, Before: 20 * time.Second,
	Fault: [2]time.Duration{30 * time.Second, 30 * time.Second}, After: time.Minute, Server: during(Refuse),
}

func TestMeasuresOfAKnownBreaker(t *testing.T) {
	const seed = 7
	probe := RunOne(t, Job{outage, policy(admitAll), seed})
	start := probe.start
	var b *clockwork
	run := RunOne(t, Job{outage, policy(func() Breaker {
		b = &clockwork{from: start + time.Second, to: start + 33*time.Second, began: time.Now()}
		return b
	}), seed})

	near := func(what string, got, want, within float64) {
		t.Helper()
		if !(math.Abs(got-want) <= within) {
			t.Errorf("%s is %v, want %v ± %v", what, got, want, within)
		}
	}
	near("Detect", run.Detect, 1, 0.1)
	near("Recover", run.Recover, 3, 0.5)
	near("Wasted", float64(run.Wasted), 100, 30)
	near("AfterRejected", float64(run.AfterRejected), 300, 60)
	near("Offered", float64(run.Offered), 3000, 200)
	near("HealthyRejected", float64(run.HealthyRejected), 0, 0)
	if run.Possible != 0 || run.Answered != 0 {
		t.Errorf("%d calls possible and %d answered while nothing answers", run.Possible, run.Answered)
	}
	if got := len(b.answers) + run.Rejected; got != run.Requests {
		t.Errorf("%d requests were sent or rejected, of %d", got, run.Requests)
	}
	sum := 0
	for _, bin := range run.Bins {
		sum += bin.OK + bin.Failed + bin.Rejected
	}
	if sum != run.Requests {
		t.Errorf("the bins hold %d requests of %d", sum, run.Requests)
	}
}

func TestWithoutRecoveryThereIsNone(t *testing.T) {
	run := RunOne(t, Job{outage, policy(rejectAll), 1})
	if !math.IsNaN(run.Recover) {
		t.Errorf("recovered after %v s, but nothing was ever let through", run.Recover)
	}
	if run.Detect > 0.1 {
		t.Errorf("first rejection after %v s, want at once", run.Detect)
	}
}

func TestAllPoliciesMeetTheSameCalls(t *testing.T) {
	open := RunOne(t, Job{outage, policy(admitAll), 3})
	shut := RunOne(t, Job{outage, policy(rejectAll), 3})
	if open.Requests != shut.Requests || open.Offered != shut.Offered || open.Possible != shut.Possible {
		t.Errorf("with everything let through: %d %d %d; with nothing: %d %d %d",
			open.Requests, open.Offered, open.Possible, shut.Requests, shut.Offered, shut.Possible)
	}
	other := RunOne(t, Job{outage, policy(admitAll), 4})
	if other.Requests == open.Requests {
		t.Error("two seeds have the same number of calls")
	}
}

func TestTimeoutEndsAHangingCall(t *testing.T) {
	hang := *outage
	hang.Server = during(Hang)
	run := RunOne(t, Job{&hang, policy(admitAll), 1})
	if got := run.WastedSeconds / float64(run.Wasted); math.Abs(got-10) > 1e-6 {
		t.Errorf("a hanging call takes %v s, want 10", got)
	}
	if run.PeakInFlight < 900 || run.PeakInFlight > 1150 {
		t.Errorf("%d calls in flight, want about 1000", run.PeakInFlight)
	}
}

// leaky starts goroutines that never end, as some libraries do.
type leaky struct{ clockwork }

func TestLibrariesMayLeak(t *testing.T) {
	run := RunOne(t, Job{outage, policy(func() Breaker {
		go func() {
			for range time.Tick(time.Second) {
			}
		}()
		go func() { <-make(chan int) }()
		return &leaky{}
	}), 1})
	if run.Requests == 0 {
		t.Error("nothing was run")
	}
}

func TestQueue(t *testing.T) {
	q := &queue{capacity: func(time.Duration) float64 { return queueCapacity }}
	call := Call{At: time.Minute, Error: 1}
	slowest, turnedAway := time.Duration(0), 0
	for range 2000 { // at one moment: 260 are served each second, up to 3 s of them
		switch a := q.Answer(call); a.Fate {
		case OK:
			slowest = max(slowest, a.After)
		default:
			turnedAway++
		}
	}
	if turnedAway < 1200 || turnedAway > 1230 {
		t.Errorf("%d of 2000 turned away, want 2000 - 3·260 = 1220", turnedAway)
	}
	if slowest < 2900*time.Millisecond || slowest > 3200*time.Millisecond {
		t.Errorf("the slowest took %v, want 3 s", slowest)
	}
}

func TestAServerThatComesBackColdCanDoMoreAndMore(t *testing.T) {
	for at, want := range map[float64]float64{-1: 260, 0: 0, 19: 0, 20: 104, 35: 182, 50: 260} {
		if got := cold(at, 20); math.Abs(got-want) > 1e-9 {
			t.Errorf("%v s after the beginning of a fault of 20 s it can do %v calls a second, want %v", at, got, want)
		}
	}
	server := queued(cold)(nil, time.Minute, 2*time.Minute)
	if got := server.Answer(Call{At: 90 * time.Second}).Fate; got != Failed {
		t.Errorf("a call during the fault is %v, want refused", got)
	}
	if got := server.Answer(Call{At: 2 * time.Minute, Error: 1}).Fate; got != OK {
		t.Errorf("a call after the fault is %v, want answered", got)
	}
}

func TestARestartLosesTheCallsInFlightOnce(t *testing.T) {
	server := restart(500*time.Millisecond)(nil, time.Minute, time.Minute+time.Second/2)
	for at, want := range map[time.Duration]Answer{
		59 * time.Second:                   {OK, 500 * time.Millisecond, 0},
		time.Minute - 100*time.Millisecond: {Failed, 100 * time.Millisecond, 0},
		time.Minute + 100*time.Millisecond: {Failed, time.Millisecond, 0},
		time.Minute + 500*time.Millisecond: {OK, 500 * time.Millisecond, 0},
	} {
		if got := server.Answer(Call{At: at, Error: 1}); got != want {
			t.Errorf("a call at %v is %v, want %v", at, got, want)
		}
	}
}

func TestCallsThatNobodyMakesAreNotMade(t *testing.T) {
	silent := *outage
	silent.Absent = func(c Call) bool { return c.Other < 0.75 }
	all := RunOne(t, Job{outage, policy(admitAll), 1})
	some := RunOne(t, Job{&silent, policy(admitAll), 1})
	if part := float64(some.Offered) / float64(all.Offered); math.Abs(part-0.25) > 0.03 {
		t.Errorf("%v of the calls are made during the fault, want a quarter", part)
	}
	if got, want := some.Requests-some.Offered, all.Requests-all.Offered; got != want {
		t.Errorf("%d calls are made outside of the fault, want %d", got, want)
	}
}

func TestAFigureIsBetterByAShareAndByWhatCounts(t *testing.T) {
	never := math.Inf(1)
	for _, tt := range []struct {
		measure  string
		a, b, by float64
		want     bool
	}{
		{"wasted", 97, 100, 0, true},
		{"wasted", 98, 100, 0.03, false},
		{"wasted", 96, 100, 0.03, true},
		{"good", 96, 100, 0.03, false},
		{"good", 52, 50, 0.03, true},
		{"good", 99.99, 100, 0, false}, // reads alike
		{"recover", 5, never, 0.03, true},
		{"recover", never, 5, 0.03, false},
		{"recover", never, never, 0.03, false},
		{"recover", math.NaN(), 5, 0.03, false},
		{"rejected", 0, 0.04, 0.03, false}, // too few to count
		{"rejected", 0, 0.06, 0.03, true},
	} {
		if got := MeasureOf(tt.measure).Better(tt.a, tt.b, tt.by); got != tt.want {
			t.Errorf("%s of %v better than %v by %v: %v", tt.measure, tt.a, tt.b, tt.by, got)
		}
	}
}

func TestScenariosAreSound(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range Scenarios() {
		if seen[s.ID] {
			t.Errorf("two scenarios %s", s.ID)
		}
		seen[s.ID] = true
		if s.Title == "" || s.About == "" {
			t.Errorf("%s has no title or no text", s.ID)
		}
		if len(s.Figures) == 0 || len(s.Figures) > 3 {
			t.Errorf("%s shows %d figures", s.ID, len(s.Figures))
		}
		for _, id := range s.Figures {
			MeasureOf(id) // panics if there is none
		}
		for id := range s.Goals {
			MeasureOf(id)
		}
		if s.Server(rand.New(rand.NewPCG(1, 1)), time.Second, 2*time.Second) == nil {
			t.Errorf("%s has no server", s.ID)
		}
		for seed := range uint64(20) {
			if d := s.FaultLength(seed); d < s.Fault[0] || d > max(s.Fault[0], s.Fault[1]) {
				t.Errorf("%s: a fault of %v, want within %v", s.ID, d, s.Fault)
			}
		}
	}
}
