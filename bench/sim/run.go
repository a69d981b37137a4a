package sim

import (
	"math"
	"sync"
	"time"
)

// Recovery is judged by slices of 2 s, which may begin at every step.
const (
	step          = 500 * time.Millisecond
	stepsPerSlice = 4
	slicesToHold  = 5
	settled       = 10 * time.Second
)

// Bin is one second of a run. Requests are counted in the second in which they
// arrived, whenever they ended.
type Bin struct {
	OK, Failed, Rejected, Possible int
	Sent                           int // attempts that reached the server in this second
	InFlight                       int // most at once in this second
}

// Run is what came of one scenario under one policy with one seed. Times are in
// seconds; NaN is "never".
type Run struct {
	FaultLength float64
	Requests    int

	// During the fault.
	Offered       int     // requests that arrived
	Possible      int     // of them, how many a policy that knew the future could have had answered
	Answered      int     // of them, answered well
	Wasted        int     // calls sent that failed
	WastedSeconds float64 // how long those were in flight altogether
	Detect        float64 // until the first rejection

	// After the fault.
	Recover       float64 // until 95 % of what is possible is answered, for 10 s on end
	AfterOffered  int
	AfterRejected int
	AfterAnswered int
	Herd          float64 // busiest second at the server within 90 s ÷ ordinary traffic

	// While nothing is wrong: before the fault, and from 10 s after recovery on.
	HealthyOffered  int
	HealthyRejected int

	Rejected     int // in the whole run
	PeakInFlight int
	Openings     int // changes of state from closed, as the library tells
	Probes       int // and from open to half-open
	Changes      int // and all of them
	tells        bool

	// Bins are the seconds of the run. One of them begins with the fault: number
	// FaultBin.
	Bins     []Bin
	FaultBin int

	start, end time.Duration
	steps      []Bin
	levelBin   int // the bin of the last change of calls in flight, and their number since
	lastLevel  int
}

func newRun(job Job, start, end, finish time.Duration) *Run {
	return &Run{
		FaultLength: (end - start).Seconds(),
		Detect:      math.NaN(),
		tells:       job.Policy.Notifies,
		start:       start,
		end:         end,
		Bins:        make([]Bin, int(finish/time.Second)+2),
		FaultBin:    int(math.Ceil(start.Seconds())),
		steps:       make([]Bin, int((finish-end)/step)+1),
	}
}

// bin is the number of the bin that holds at.
func (r *Run) bin(at time.Duration) int {
	shift := time.Duration(r.FaultBin)*time.Second - r.start
	return int((at + shift) / time.Second)
}

// changing guards what changed writes: some libraries tell of changes from goroutines of
// their own.
var changing sync.Mutex

func (r *Run) changed(to Change) {
	changing.Lock()
	defer changing.Unlock()
	r.Changes++
	switch to {
	case Opened:
		r.Openings++
	case Probed:
		r.Probes++
	}
}

// told is a number of changes, or NaN where the library does not tell.
func (r *Run) told(changes int) float64 {
	if !r.tells {
		return math.NaN()
	}
	return float64(changes)
}

func (r *Run) faulty(at time.Duration) bool { return at >= r.start && at < r.end }

func (r *Run) request(arrived time.Duration, fate Fate, rejected, possible bool) {
	count := func(b *Bin) {
		switch {
		case rejected:
			b.Rejected++
		case fate == OK:
			b.OK++
		case fate == Cancelled:
		default:
			b.Failed++
		}
		if possible {
			b.Possible++
		}
	}
	count(&r.Bins[r.bin(arrived)])
	r.Requests++
	if rejected {
		r.Rejected++
	}
	if arrived >= r.end {
		count(&r.steps[(arrived-r.end)/step])
		return
	}
	if r.faulty(arrived) {
		r.Offered++
		if possible {
			r.Possible++
		}
		if fate == OK && !rejected {
			r.Answered++
		}
	}
}

func (r *Run) rejection(at time.Duration) {
	if r.faulty(at) && math.IsNaN(r.Detect) {
		r.Detect = (at - r.start).Seconds()
	}
}

func (r *Run) sent(at time.Duration, inFlight int) {
	r.PeakInFlight = max(r.PeakInFlight, inFlight)
	r.level(at, inFlight)
	if i := r.bin(at); i < len(r.Bins) {
		r.Bins[i].Sent++
	}
}

// level notes how many calls are in flight from now on.
func (r *Run) level(at time.Duration, inFlight int) {
	i := r.bin(at)
	for ; r.levelBin < min(i, len(r.Bins)); r.levelBin++ {
		r.Bins[r.levelBin].InFlight = max(r.Bins[r.levelBin].InFlight, r.lastLevel)
	}
	if i < len(r.Bins) {
		r.Bins[i].InFlight = max(r.Bins[i].InFlight, r.lastLevel, inFlight)
	}
	r.lastLevel = inFlight
}

func (r *Run) ended(at, sent time.Duration, fate Fate, inFlight int) {
	r.level(at, inFlight)
	if r.faulty(sent) && fate != OK && fate != Cancelled {
		r.Wasted++
		r.WastedSeconds += (at - sent).Seconds()
	}
}

// close works out what can only be known at the end.
func (r *Run) close(e *engine) {
	recovered, ok := r.recovery()
	r.Recover = math.NaN()
	if ok {
		r.Recover = (recovered - r.end).Seconds()
	}
	for _, b := range r.steps {
		r.AfterOffered += b.OK + b.Failed + b.Rejected
		r.AfterRejected += b.Rejected
		r.AfterAnswered += b.OK
	}
	for i, b := range r.Bins {
		from := r.start + time.Duration(i-r.FaultBin)*time.Second
		if i < r.FaultBin || ok && from >= recovered+settled {
			r.HealthyOffered += b.OK + b.Failed + b.Rejected
			r.HealthyRejected += b.Rejected
		}
		if from >= r.end && from < r.end+90*time.Second {
			r.Herd = max(r.Herd, float64(b.Sent)/e.Scenario.Traffic.Rate)
		}
	}
	r.steps = nil
}

// recovery finds the first slice after the fault from which on, for 10 s, 95 %
// of what is possible is answered. Slices without traffic are good ones.
func (r *Run) recovery() (time.Duration, bool) {
	good := func(from int) bool {
		answered, possible := 0, 0
		for _, b := range r.steps[from : from+stepsPerSlice] {
			answered += b.OK
			possible += b.Possible
		}
		return float64(answered) >= 0.95*float64(possible)
	}
next:
	for from := 0; from+slicesToHold*stepsPerSlice <= len(r.steps); from++ {
		for i := range slicesToHold {
			if !good(from + i*stepsPerSlice) {
				continue next
			}
		}
		return r.end + time.Duration(from)*step, true
	}
	return 0, false
}
