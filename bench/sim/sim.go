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
	Module   string // its module path; empty if there is none
	Settings string // a word for the settings, such as "defaults"
	About    string // the settings in a sentence

	// New makes the circuit for one key of one client. It is called inside the
	// bubble. Where Notifies, notify is called for each change of state.
	New      func(key string, notify func(Change)) Breaker
	Notifies bool

	// Timeout is when the library itself gives up on a call, or zero. If
	// Abandons, the call goes on in the background then; else it is cancelled.
	Timeout  time.Duration
	Abandons bool
}

// Name is the library and, if it has any to name, its settings.
func (p *Policy) Name() string {
	if p.Settings == "" {
		return p.Library
	}
	return p.Library + ", " + p.Settings
}

// Change is a change of a circuit's state.
type Change uint8

const (
	Otherwise Change = iota
	Opened           // from closed to any other
	Probed           // from open to half-open
)

// Fate is what becomes of a call.
type Fate uint8

const (
	OK         Fate = iota
	Failed          // an error or a 5xx
	TimedOut        // no answer before the client's timeout
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
	Absent        func(Call) bool  // calls that nobody makes during the fault; nil: none
	Timeout       time.Duration    // of the client; 0 means 10 s
	Retries       int              // further attempts after a failure or rejection …
	RetryPause    time.Duration    // … each after so long

	Server Maker
	Well   bool // nothing is wrong: every rejection is one too many

	Figures []string // measures that tell the story; the frontier compares the first two
	Goals   Goals    // for our breaker with nothing set
	Remark  string   // why the figures are as they are, without any
	Plot    *Plot    // how a run is drawn; nil: not at all
}

// Goals are figures to reach, by measure: at most, or at least if more is better.
type Goals map[string]float64

// Plot says how a run is drawn.
type Plot struct {
	Kind          Kind
	Before, After float64 // seconds that are shown around the fault
	// Capacity, if not nil, is what the server can do: calls in a second, t
	// seconds after the beginning of a fault of that length.
	Capacity func(t, length float64) float64
}

// Kind is what is drawn over time.
type Kind uint8

const (
	Requests Kind = iota // what became of the requests, by when they were made
	InFlight             // calls in flight
	Arrivals             // calls that reach the server, and what it can do
)

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
