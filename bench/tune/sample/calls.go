package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/record"
)

var (
	begin  = time.Date(2026, 3, 10, 9, 0, 0, 0, time.UTC)
	length = 20 * time.Minute
)

// call is one call, at a time since begin.
type call struct {
	host     string
	at, took time.Duration
	status   int // 0: no answer
}

func (c call) end() time.Duration { return c.at + c.took }

// host is one that is called, and what is wrong with it for a while.
type host struct {
	name     string
	rate     float64 // calls a second
	median   time.Duration
	from, to time.Duration
	fault    func(c *call, rng *rand.Rand)
}

var hosts = []host{
	{
		name: "payments.example.com", rate: 5, median: 80 * time.Millisecond, from: 5 * time.Minute, to: 7 * time.Minute,
		fault: func(c *call, rng *rand.Rand) {
			c.status, c.took = 0, time.Millisecond+time.Duration(rng.ExpFloat64()*float64(time.Millisecond))
		},
	},
	{
		name: "search.example.com", rate: 4, median: 40 * time.Millisecond, from: 9 * time.Minute, to: 10*time.Minute + 30*time.Second,
		fault: func(c *call, _ *rand.Rand) { c.status, c.took = 0, 10*time.Second },
	},
	{
		name: "catalog.example.com", rate: 5, median: 25 * time.Millisecond, from: 12 * time.Minute, to: 15 * time.Minute,
		fault: func(c *call, rng *rand.Rand) {
			if rng.Float64() < 0.6 {
				c.status = 503
			}
		},
	},
	{
		name: "ledger.example.com", rate: 0.1, median: 120 * time.Millisecond, from: 3 * time.Minute, to: 9 * time.Minute,
		fault: func(c *call, _ *rand.Rand) { c.status, c.took = 502, 4*time.Millisecond },
	},
}

// makeCalls makes the same calls each time, in the order in which they begin. Three
// in a thousand fail without a reason.
func makeCalls() (calls []call) {
	for i, h := range hosts {
		rng := rand.New(rand.NewPCG(2026, uint64(i)))
		at := 0.0
		for {
			at += rng.ExpFloat64() / h.rate
			c := call{host: h.name, at: time.Duration(at * float64(time.Second)), status: 200}
			if c.at >= length {
				break
			}
			c.took = time.Duration(float64(h.median) * math.Exp(0.4*rng.NormFloat64()))
			if rng.Float64() < 0.003 {
				c.status = 500
			}
			if c.at >= h.from && c.at < h.to {
				h.fault(&c, rng)
			}
			// Nobody's clock is better, and the file is smaller.
			c.at, c.took = c.at.Round(time.Microsecond), c.took.Round(time.Microsecond)
			calls = append(calls, c)
		}
	}
	slices.SortStableFunc(calls, func(a, b call) int { return cmp.Compare(a.at, b.at) })
	return calls
}

func sortByEnd(calls []call) {
	slices.SortStableFunc(calls, func(a, b call) int { return cmp.Compare(a.end(), b.end()) })
}

// recordCalls makes the calls in virtual time, through circuits that reject nothing
// and have a recorder.
func recordCalls(t *testing.T, w io.Writer, calls []call) (err error) {
	synctest.Test(t, func(*testing.T) {
		time.Sleep(time.Until(begin))
		recorder := record.New(w, nil)
		circuits := breaker.NewSet(breaker.Options{
			Config: breaker.Config{Mode: breaker.Disabled}, Hooks: []breaker.Hooks{recorder.Hooks()},
		})
		play(calls, circuits)
		err = recorder.Close()
	})
	return err
}

// play begins and ends each call at its time.
func play(calls []call, circuits *breaker.Set) {
	type step struct {
		at   time.Duration
		call int
		ends bool
	}
	var steps []step
	for i, c := range calls {
		steps = append(steps, step{c.at, i, false}, step{c.end(), i, true})
	}
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	permits := make([]breaker.Permit, len(calls))
	for _, s := range steps {
		time.Sleep(time.Until(begin.Add(s.at)))
		if !s.ends {
			permits[s.call], _ = circuits.Get(calls[s.call].host).Allow(context.Background())
			continue
		}
		outcome := breaker.Success
		if status := calls[s.call].status; status == 0 || status >= 500 {
			outcome = breaker.Failure
		}
		permits[s.call].Done(outcome)
	}
}

// formats are how others would have logged a call.
var formats = map[string]func(call) string{
	"nginx": func(c call) string {
		status := c.status
		if status == 0 {
			status = 504
		}
		end := begin.Add(c.end())
		return fmt.Sprintf(`{"time":"%s","msec":"%d.%03d","remote_addr":"10.4.0.17","request":"GET /v1/items HTTP/1.1","status":"%d","request_time":"%.3f",`+
			`"upstream_name":"%s","upstream_addr":"10.4.1.9:443","upstream_status":"%d","upstream_response_time":"%.3f"}`,
			end.Format("2006-01-02T15:04:05-07:00"), end.Unix(), end.Nanosecond()/1e6, status, c.took.Seconds(), c.host, status, c.took.Seconds())
	},
	"envoy": func(c call) string {
		flags := "-"
		if c.status == 0 {
			flags = "UF,URX"
		}
		return fmt.Sprintf(`{"start_time":"%s","method":"GET","path":"/v1/items","response_code":%d,"response_flags":"%s","duration":%d,"authority":"%s","upstream_host":"10.4.1.9:443"}`,
			begin.Add(c.at).Format("2006-01-02T15:04:05.000Z"), c.status, flags, c.took.Milliseconds(), c.host)
	},
	"combined": func(c call) string {
		return fmt.Sprintf(`%s:443 10.4.0.17 - - [%s] "GET /v1/items HTTP/1.1" %03d 512 "-" "Go-http-client/1.1" rt=%.3f`,
			c.host, begin.Add(c.end()).Format("02/Jan/2006:15:04:05 -0700"), c.status, c.took.Seconds())
	},
	"csv": func(c call) string {
		return fmt.Sprintf("%s,%s,%.3f,%d", begin.Add(c.at).Format("2006-01-02 15:04:05.000"), c.host, float64(c.took.Microseconds())/1000, c.status)
	},
}
