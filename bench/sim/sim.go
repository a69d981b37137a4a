// Package sim plays the traffic of one service to another in virtual time, lets
// a circuit breaker stand between them, and measures how well it decided.
//
// Nothing here is a model of a breaker: a [Policy] drives a library's own code
// through its public API, and only time (testing/synctest), traffic and the far
// server are simulated. Calls arrive whatever became of the calls before them
// (open loop), as they do at a service with many users.
//
// All policies that run a [Scenario] with one seed meet exactly the same calls:
// same moments, same routes, same luck.
package sim

import (
	"math"
	"math/rand/v2"
	"time"
)

// Breaker is one circuit of a policy. The simulator calls it from one goroutine.
type Breaker interface {
	// Allow asks to make a call. If it may be made, done must be called once
	// with what came of it, and done is nil if the call is rejected.
	Allow() (done func(Answer))
}

// Policy is one way to guard calls: a library with certain settings.
type Policy struct {
	Library  string // "sony/gobreaker"
	Settings string // a word for the settings, such as "defaults"
	About    string // the settings in a sentence

	// New makes the circuit for one key of one client. It is called inside the
	// bubble. Where the library can tell of state changes, notify is called for
	// each; Notifies says whether it can.
	New      func(key string, notify func()) Breaker
	Notifies bool

	// Timeout is when the library itself gives up on a call, or zero. If
	// Abandons, the call goes on in the background then; else it is cancelled.
	Timeout  time.Duration
	Abandons bool
}

// Fate is what becomes of a call.
type Fate uint8

const (
	OK         Fate = iota
	Failed          // an error or a 5xx, or no answer before the timeout
	BodyFailed      // a 200 whose body breaks off
	Cancelled       // the caller lost interest
	Throttled       // a 429, with Retry-After
	Local           // this machine could not even try
)

// Answer is what the far server, or whatever stands in for it, makes of a call.
type Answer struct {
	Fate       Fate
	After      time.Duration // from sending the call
	RetryAfter time.Duration // of a Throttled call
}

// Call is one attempt to call the server, with its share of luck, drawn before
// anybody knows whether it will be let through.
type Call struct {
	At     time.Duration // since the start of the run
	Client int
	Route  int
	Error  float64 // uniform in [0, 1): below the error rate it fails
	Speed  float64 // standard normal: how slow it is
	Other  float64 // uniform in [0, 1), for a scenario's own use
}

// Server answers calls. Answer is called in the order of Call.At.
type Server interface{ Answer(Call) Answer }

// ServerFunc is a Server without a memory: asked about calls that were never
// sent, it says what would have come of them.
type ServerFunc func(Call) Answer

// Answer calls f.
func (f ServerFunc) Answer(c Call) Answer { return f(c) }

// Traffic is when calls arrive.
type Traffic struct {
	Rate    float64       // calls in a second, as a Poisson process
	On, Off time.Duration // if On is positive: bursts of On with silence of Off between
	Batch   int           // if positive: so many calls at one moment, each On+Off, instead
}

// Scenario is one story to live through.
type Scenario struct {
	ID    string
	Title string
	About string // what happens, in a sentence or two

	Traffic  Traffic
	Clients  int // processes, each with circuits of its own; 0 means 1
	Routes   int // 0 means 1
	Circuits int // circuits that a client keeps for its routes; 0 means 1

	Before, After time.Duration    // healthy time on both sides of the fault
	Fault         [2]time.Duration // shortest and longest fault; its logarithm is drawn evenly
	Silent        bool             // no calls arrive during the fault
	Timeout       time.Duration    // of the client; 0 means 10 s
	Retries       int              // further attempts after a failure or rejection …
	RetryPause    time.Duration    // … each after so long

	Server Maker
}

// FaultLength is how long the fault is with that seed.
func (s *Scenario) FaultLength(seed uint64) time.Duration {
	shortest, longest := float64(s.Fault[0]), float64(s.Fault[1])
	if longest <= shortest {
		return s.Fault[0]
	}
	share := rand.New(rand.NewPCG(seed, 4)).Float64()
	return time.Duration(shortest * math.Pow(longest/shortest, share))
}

func (s *Scenario) clients() int  { return max(1, s.Clients) }
func (s *Scenario) routes() int   { return max(1, s.Routes) }
func (s *Scenario) circuits() int { return max(1, s.Circuits) }

func (s *Scenario) timeout() time.Duration {
	if s.Timeout == 0 {
		return 10 * time.Second
	}
	return s.Timeout
}
