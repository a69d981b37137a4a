package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
	"github.com/seed-0b728cf8/httpbreaker/bench/tune/logs"
	"github.com/seed-0b728cf8/httpbreaker/bench/tune/replay"
)

// traffic is five minutes of calls to one host, and what is wrong with it. Times are
// in seconds.
type traffic struct {
	Rate    float64 `json:"rps"`
	Latency float64 `json:"latency"`
	P99     float64 `json:"p99"`
	Errors  float64 `json:"errors"`
	Timeout float64 `json:"timeout"`
	Fault   string  `json:"fault"`
	Share   float64 `json:"share"`
	Slow    float64 `json:"slow"`
	Length  float64 `json:"for"`
}

// The page shows so much, and the fault begins there.
const (
	shownSeconds = 300
	faultBegins  = 60
)

// check returns an error that names what is wrong with t. The bounds are those of
// the page's sliders, so that nobody can ask for more than a moment's work.
func (t *traffic) check() error {
	for _, c := range []struct {
		what     string
		v        float64
		from, to float64
	}{
		{"rps", t.Rate, 0.1, 2000}, {"latency", t.Latency, 1e-4, 60}, {"p99", t.P99, 0, 600}, {"errors", t.Errors, 0, 1},
		{"timeout", t.Timeout, 1e-3, 600}, {"share", t.Share, 0, 1}, {"slow", t.Slow, 1e-4, 600}, {"for", t.Length, 1, shownSeconds},
	} {
		if !(c.v >= c.from && c.v <= c.to) {
			return fmt.Errorf("%s is %g; want %g to %g", c.what, c.v, c.from, c.to)
		}
	}
	if _, ok := faults(0, 0, 0, 0, 0)[t.Fault]; !ok {
		return fmt.Errorf("fault is %q; want down, hang, slow, errors or flap", t.Fault)
	}
	return nil
}

// log makes the calls, the same ones each time.
func (t *traffic) log() *replay.Log {
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	begin := seconds(faultBegins)
	server := faults(t.Errors, t.Share, seconds(t.Latency), seconds(t.P99), seconds(t.Slow))[t.Fault](nil, begin, begin+seconds(t.Length))
	l := &replay.Log{Keys: []string{"host"}, Begin: origin}
	rng := rand.New(rand.NewPCG(1, 1))
	limit := seconds(t.Timeout)
	for at := rng.ExpFloat64() / t.Rate; at < shownSeconds; at += rng.ExpFloat64() / t.Rate {
		a := server.Answer(sim.Call{At: seconds(at), Error: rng.Float64(), Speed: rng.NormFloat64(), Other: rng.Float64()})
		if a.After > limit {
			a = sim.Answer{Fate: sim.Failed, After: limit}
		}
		o := logs.Succeeded
		if a.Fate != sim.OK {
			o = logs.Failed
		}
		_ = l.Add(logs.Call{Start: origin + int64(seconds(at)), Took: int64(a.After), Outcome: o}) // fails only on a disk
	}
	_ = l.Sort()
	return l
}

// origin is when such traffic begins: any time will do.
var origin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()
