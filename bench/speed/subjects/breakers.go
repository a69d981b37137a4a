package subjects

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/afex/hystrix-go/hystrix"
	"github.com/cep21/circuit/v4"
	closers "github.com/cep21/circuit/v4/closers/hystrix"
	eapache "github.com/eapache/go-resiliency/breaker"
	"github.com/failsafe-go/failsafe-go"
	failsafebreaker "github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/go-kratos/aegis/circuitbreaker/sre"
	mercari "github.com/mercari/go-circuitbreaker"
	rubyist "github.com/rubyist/circuitbreaker"
	"github.com/sony/gobreaker/v2"
	handy "github.com/streadway/handy/breaker"
	gozero "github.com/zeromicro/go-zero/core/breaker"
	"github.com/zeromicro/go-zero/core/logx"
	"github.com/zeromicro/go-zero/core/stat"
	"resty.dev/v3"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/record"
)

// Calls makes n calls, one after the other, that succeed or fail, and returns
// how many of them were let through.
type Calls func(n int, ok bool) (admitted int)

// A Breaker is one circuit breaker, used in one way.
type Breaker struct {
	Name     string // in the name of the benchmark
	Title    string
	Module   string
	Settings string // what it opens at, and how it is called
	NoRate   bool   // it counts failures only, so that enough of them open it at any rate
	NoWindow bool   // it keeps no window of time
	New      func() Calls
}

const rolling = "50 % of ≥ 20 calls in a rolling 10 s"

// Ours is the module that all this is about.
const Ours = "github.com/seed-0b728cf8/httpbreaker"

// Baseline is the name of the breaker that ratios are taken to.
const Baseline = "gobreaker-rolling"

// Breakers are all subjects. The baseline stands beside ours, so that both are
// measured at the same time.
var Breakers = []Breaker{
	{
		Name: "none", Title: "no breaker", Settings: "the call alone", NoWindow: true,
		New: func() Calls {
			return func(n int, ok bool) (through int) {
				call := outcome(ok)
				for range n {
					through += admitted(call())
				}
				return through
			}
		},
	},
	{
		Name: Baseline, Title: "sony/gobreaker, rolling window", Module: "github.com/sony/gobreaker/v2",
		Settings: rolling + "; Execute",
		New:      func() Calls { return executeGobreaker(gobreaker.NewCircuitBreaker[any](gobreakerSettings())) },
	},
	{
		Name: "httpbreaker", Title: "httpbreaker", Module: Ours,
		Settings: "defaults, which are " + rolling + " or 5 failures in a row over 1 s; Allow and Done",
		New:      func() Calls { return newOurs(breaker.Config{}) },
	},
	{
		Name: "httpbreaker-slowcall", Title: "httpbreaker, SlowCall on", Module: Ours,
		Settings: "the same, and half of the calls slower than 1 s",
		New:      func() Calls { return newOurs(breaker.Config{SlowCall: time.Second}) },
	},
	{
		Name: "httpbreaker-do", Title: "httpbreaker, Do", Module: Ours,
		Settings: "defaults; the wrapper form Do",
		New: func() Calls {
			b := breaker.New("", breaker.Config{OpenFor: openFor, MaxOpenFor: openFor})
			ctx := context.Background()
			return func(n int, ok bool) (through int) {
				work := valueInContext(ok)
				for range n {
					_, err := breaker.Do(ctx, b, work)
					through += admitted(err)
				}
				return through
			}
		},
	},
	{
		Name: "httpbreaker-scraped", Title: "httpbreaker, while scraped", Module: Ours,
		Settings: "defaults; meanwhile another goroutine takes a Snapshot every millisecond",
		New:      newScraped,
	},
	{
		Name: "httpbreaker-recorded", Title: "httpbreaker, every call recorded", Module: Ours,
		Settings: "defaults; the hooks of package record write a line for each call to nowhere; what comes too fast is dropped",
		New: func() Calls {
			hooks := record.New(io.Discard, nil).Hooks()
			return callOurs(breaker.New("api.example.com", breaker.Config{OpenFor: openFor, MaxOpenFor: openFor}, hooks))
		},
	},
	{
		Name: "gobreaker", Title: "sony/gobreaker, no window", Module: "github.com/sony/gobreaker/v2",
		Settings: "defaults: 6 failures in a row; Execute", NoRate: true, NoWindow: true,
		New: func() Calls {
			return executeGobreaker(gobreaker.NewCircuitBreaker[any](gobreaker.Settings{Timeout: openFor}))
		},
	},
	{
		Name: "gobreaker-twostep", Title: "sony/gobreaker, two-step", Module: "github.com/sony/gobreaker/v2",
		Settings: rolling + "; Allow and done",
		New: func() Calls {
			b := gobreaker.NewTwoStepCircuitBreaker[any](gobreakerSettings())
			return func(n int, ok bool) (through int) {
				call := outcome(ok)
				for range n {
					if done, err := b.Allow(); err == nil {
						done(call())
						through++
					}
				}
				return through
			}
		},
	},
	{
		Name: "failsafe", Title: "failsafe-go, permits", Module: "github.com/failsafe-go/failsafe-go",
		Settings: rolling + "; TryAcquirePermit and RecordSuccess",
		New: func() Calls {
			b := newFailsafe[any]().Build()
			return func(n int, ok bool) (through int) {
				call := outcome(ok)
				for range n {
					if b.TryAcquirePermit() {
						if err := call(); err != nil {
							b.RecordError(err)
						} else {
							b.RecordSuccess()
						}
						through++
					}
				}
				return through
			}
		},
	},
	{
		Name: "failsafe-executor", Title: "failsafe-go, executor", Module: "github.com/failsafe-go/failsafe-go",
		Settings: rolling + "; Run",
		New: func() Calls {
			executor := failsafe.With(newFailsafe[any]().Build())
			return func(n int, ok bool) (through int) {
				call := outcome(ok)
				for range n {
					through += admitted(executor.Run(call))
				}
				return through
			}
		},
	},
	{
		Name: "mercari", Title: "mercari/go-circuitbreaker", Module: "github.com/mercari/go-circuitbreaker",
		Settings: "50 % of ≥ 20 calls since a ticker last cleared them, every 10 s; Ready and Done", NoWindow: true,
		New: func() Calls {
			b := mercari.New(
				mercari.WithTripFunc(mercari.NewTripFuncFailureRate(minCalls, rate)),
				mercari.WithCounterResetInterval(window),
				mercari.WithOpenTimeout(openFor),
				mercari.WithHalfOpenMaxSuccesses(1))
			ctx := context.Background()
			return func(n int, ok bool) (through int) {
				call := outcome(ok)
				for range n {
					if b.Ready() {
						_ = b.Done(ctx, call())
						through++
					}
				}
				return through
			}
		},
	},
	{
		Name: "cep21", Title: "cep21/circuit, no timeout", Module: "github.com/cep21/circuit/v4",
		Settings: rolling + "; Execute, without limits on duration and number of calls",
		New:      func() Calls { return newCep21(circuit.ExecutionConfig{Timeout: -1, MaxConcurrentRequests: -1}) },
	},
	{
		Name: "cep21-defaults", Title: "cep21/circuit, defaults", Module: "github.com/cep21/circuit/v4",
		Settings: rolling + "; Execute, with its timeout of 1 s and at most 10 calls at once",
		New:      func() Calls { return newCep21(circuit.ExecutionConfig{}) },
	},
	{
		Name: "eapache", Title: "eapache/go-resiliency", Module: "github.com/eapache/go-resiliency",
		Settings: "20 failures no two of which are a minute apart: it has no rate, and a success records nothing; Run", NoRate: true, NoWindow: true,
		New: func() Calls {
			b := eapache.New(minCalls, 1, openFor)
			return func(n int, ok bool) (through int) {
				call := outcome(ok)
				for range n {
					through += admitted(b.Run(call))
				}
				return through
			}
		},
	},
	{
		Name: "handy", Title: "streadway/handy", Module: "github.com/streadway/handy",
		Settings: "more than 50 % of > 10 calls in 5 s, open for 1 s: only the share can be set; Allow and Success",
		New: func() Calls {
			b := handy.NewBreaker(rate)
			return func(n int, ok bool) (through int) {
				call := outcome(ok)
				for range n {
					if b.Allow() {
						if call() != nil {
							b.Failure(0)
						} else {
							b.Success(0)
						}
						through++
					}
				}
				return through
			}
		},
	},
	{
		Name: "rubyist", Title: "rubyist/circuitbreaker", Module: "github.com/rubyist/circuitbreaker",
		Settings: rolling + ", open for 0.5 s and longer each time; Call",
		New: func() Calls {
			b := rubyist.NewRateBreaker(rate, minCalls)
			return func(n int, ok bool) (through int) {
				call := outcome(ok)
				for range n {
					through += admitted(b.Call(call, 0))
				}
				return through
			}
		},
	},
	{
		Name: "resty", Title: "resty, its breaker alone", Module: "resty.dev/v3",
		Settings: "50 % of ≥ 20 responses in a rolling minute, which is also how long it opens; Allow and ApplyPolicies",
		New: func() Calls {
			b := resty.NewCircuitBreakerRatio(rate, minCalls, openFor)
			good := &resty.Response{RawResponse: &http.Response{StatusCode: http.StatusOK}}
			bad := &resty.Response{RawResponse: &http.Response{StatusCode: http.StatusServiceUnavailable}}
			return func(n int, ok bool) (through int) {
				call := outcome(ok)
				for range n {
					if b.Allow() == nil {
						if call() != nil {
							b.ApplyPolicies(bad)
						} else {
							b.ApplyPolicies(good)
						}
						through++
					}
				}
				return through
			}
		},
	},
	{
		Name: "aegis", Title: "go-kratos/aegis SRE", Module: "github.com/go-kratos/aegis",
		Settings: "rejects by chance, the more the fewer than 50 % of ≥ 20 calls in a rolling 10 s succeed; Allow and MarkSuccess",
		New: func() Calls {
			b := sre.NewBreaker(sre.WithSuccess(rate), sre.WithRequest(minCalls), sre.WithWindow(window), sre.WithBucket(buckets))
			return func(n int, ok bool) (through int) {
				call := outcome(ok)
				for range n {
					if b.Allow() != nil {
						b.MarkFailed() // as its own interceptors do
						continue
					}
					if call() != nil {
						b.MarkFailed()
					} else {
						b.MarkSuccess()
					}
					through++
				}
				return through
			}
		},
	},
	{
		Name: "go-zero", Title: "zeromicro/go-zero", Module: "github.com/zeromicro/go-zero",
		Settings: "rejects by chance, by what failed in a rolling 10 s with 40 buckets: nothing can be set; Do",
		New: func() Calls {
			b := gozero.NewBreaker()
			return func(n int, ok bool) (through int) {
				call := outcome(ok)
				for range n {
					through += admitted(b.Do(call))
				}
				return through
			}
		},
	},
	{
		Name: "hystrix", Title: "afex/hystrix-go", Module: "github.com/afex/hystrix-go",
		Settings: rolling + ", at most 1,000 calls at once, each for at most 10 s in a goroutine of its own; Do",
		New: func() Calls {
			name := "command-" + strconv.Itoa(int(hystrixCommands.Add(1)))
			configureHystrix(name)
			return func(n int, ok bool) (through int) {
				call := outcome(ok)
				for range n {
					through += admitted(hystrix.Do(name, call, nil))
				}
				return through
			}
		},
	},
}

func init() {
	logx.Disable()    // go-zero logs every circuit that opens,
	stat.DisableLog() // and every minute how the process does
}

func newOurs(cfg breaker.Config) Calls {
	cfg.OpenFor, cfg.MaxOpenFor = openFor, openFor
	return callOurs(breaker.New("", cfg))
}

func callOurs(b *breaker.Breaker) Calls {
	ctx := context.Background()
	return func(n int, ok bool) (through int) {
		call := outcome(ok)
		for range n {
			permit, err := b.Allow(ctx)
			if err != nil {
				continue
			}
			if err := call(); err != nil {
				permit.Fail(err)
			} else {
				permit.Done(breaker.Success)
			}
			through++
		}
		return through
	}
}

// newScraped returns calls during which somebody looks at the breaker all the
// time.
func newScraped() Calls {
	b := breaker.New("", breaker.Config{OpenFor: openFor, MaxOpenFor: openFor})
	calls := callOurs(b)
	return func(n int, ok bool) (through int) {
		stop := make(chan struct{})
		defer close(stop)
		go func() {
			every := time.NewTicker(time.Millisecond)
			defer every.Stop()
			for {
				select {
				case <-every.C:
					_ = b.Snapshot()
				case <-stop:
					return
				}
			}
		}()
		return calls(n, ok)
	}
}

func gobreakerSettings() gobreaker.Settings {
	return gobreaker.Settings{
		Interval:     window,
		BucketPeriod: window / buckets,
		Timeout:      openFor,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return c.Requests >= minCalls && float64(c.TotalFailures) >= rate*float64(c.Requests)
		},
	}
}

func executeGobreaker(b *gobreaker.CircuitBreaker[any]) Calls {
	return func(n int, ok bool) (through int) {
		work := value(ok)
		for range n {
			_, err := b.Execute(work)
			through += admitted(err)
		}
		return through
	}
}

func newFailsafe[R any]() failsafebreaker.Builder[R] {
	return failsafebreaker.NewBuilder[R]().
		WithFailureRateThreshold(rate, minCalls, window).
		WithSuccessThreshold(1).
		WithDelay(openFor)
}

func cep21Config(name string, execution circuit.ExecutionConfig) circuit.Config {
	factory := closers.Factory{
		ConfigureOpener: closers.ConfigureOpener{
			ErrorThresholdPercentage: 100 * rate, RequestVolumeThreshold: minCalls,
			RollingDuration: window, NumBuckets: buckets,
		},
		ConfigureCloser: closers.ConfigureCloser{SleepWindow: openFor},
	}
	config := factory.Configure(name)
	config.Execution = execution
	return config
}

func newCep21(execution circuit.ExecutionConfig) Calls {
	b := circuit.NewCircuitFromConfig("", cep21Config("", execution))
	ctx := context.Background()
	return func(n int, ok bool) (through int) {
		work := inContext(ok)
		for range n {
			through += admitted(b.Execute(ctx, work, nil))
		}
		return through
	}
}

// hystrixCommands counts the circuits of hystrix-go, which are global.
var hystrixCommands atomic.Int64

func configureHystrix(name string) {
	hystrix.ConfigureCommand(name, hystrix.CommandConfig{
		Timeout: 10_000, MaxConcurrentRequests: 1000,
		RequestVolumeThreshold: minCalls, ErrorPercentThreshold: 100 * rate,
		SleepWindow: int(openFor / time.Millisecond),
	})
}
