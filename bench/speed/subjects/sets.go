package subjects

import (
	"context"
	"sync"

	"github.com/afex/hystrix-go/hystrix"
	"github.com/cep21/circuit/v4"
	rubyist "github.com/rubyist/circuitbreaker"
	"github.com/sony/gobreaker/v2"
	gozero "github.com/zeromicro/go-zero/core/breaker"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// KeyedCalls makes n calls to the names that keys yields, and returns how many
// of them were let through.
type KeyedCalls func(n int, keys *Keys, ok bool) (admitted int)

// A Set is a breaker for each key.
type Set struct {
	Name    string
	Title   string
	Module  string
	About   string
	MaxKeys int // zero: any number; more would not fit into memory
	New     func() KeyedCalls
}

// BaselineSet is the name of the set that ratios are taken to.
const BaselineSet = "gobreaker-syncmap"

// Sets are all sets.
var Sets = []Set{
	{
		Name: BaselineSet, Title: "sony/gobreaker in a sync.Map", Module: "github.com/sony/gobreaker/v2",
		About: "rolling window; unbounded",
		New: func() KeyedCalls {
			var breakers sync.Map
			return func(n int, keys *Keys, ok bool) (through int) {
				work := value(ok)
				for range n {
					key := keys.Next()
					b, found := breakers.Load(key)
					if !found {
						b, _ = breakers.LoadOrStore(key, gobreaker.NewCircuitBreaker[any](gobreakerSettings()))
					}
					_, err := b.(*gobreaker.CircuitBreaker[any]).Execute(work)
					through += admitted(err)
				}
				return through
			}
		},
	},
	{
		Name: "httpbreaker", Title: "httpbreaker, breaker.Set", Module: Ours,
		About: "defaults, but as many keys as there are; bounded and evicting",
		New:   func() KeyedCalls { return CallSet(breaker.NewSet(breaker.Options{Config: ourConfig, MaxKeys: -1})) },
	},
	{
		Name: "gobreaker-rwmutex", Title: "sony/gobreaker in a map with a RWMutex", Module: "github.com/sony/gobreaker/v2",
		About: "rolling window; unbounded",
		New: func() KeyedCalls {
			var mu sync.RWMutex
			breakers := map[string]*gobreaker.CircuitBreaker[any]{}
			return func(n int, keys *Keys, ok bool) (through int) {
				work := value(ok)
				for range n {
					key := keys.Next()
					mu.RLock()
					b := breakers[key]
					mu.RUnlock()
					if b == nil {
						mu.Lock()
						if b = breakers[key]; b == nil {
							b = gobreaker.NewCircuitBreaker[any](gobreakerSettings())
							breakers[key] = b
						}
						mu.Unlock()
					}
					_, err := b.Execute(work)
					through += admitted(err)
				}
				return through
			}
		},
	},
	{
		Name: "cep21", Title: "cep21/circuit, Manager", Module: "github.com/cep21/circuit/v4",
		About: "no timeout; unbounded",
		New: func() KeyedCalls {
			manager := circuit.Manager{DefaultCircuitProperties: []circuit.CommandPropertiesConstructor{
				func(name string) circuit.Config {
					return cep21Config(name, circuit.ExecutionConfig{Timeout: -1, MaxConcurrentRequests: -1})
				},
			}}
			ctx := context.Background()
			return func(n int, keys *Keys, ok bool) (through int) {
				work := inContext(ok)
				for range n {
					key := keys.Next()
					b := manager.GetCircuit(key)
					for b == nil {
						_, _ = manager.CreateCircuit(key) // an error if another goroutine was first
						b = manager.GetCircuit(key)
					}
					through += admitted(b.Execute(ctx, work, nil))
				}
				return through
			}
		},
	},
	{
		Name: "rubyist", Title: "rubyist/circuitbreaker, Panel", Module: "github.com/rubyist/circuitbreaker",
		About: "2 goroutines a key; unbounded", MaxKeys: 10_000,
		New: func() KeyedCalls {
			panel := rubyist.NewPanel()
			var adding sync.Mutex
			return func(n int, keys *Keys, ok bool) (through int) {
				call := outcome(ok)
				for range n {
					key := keys.Next()
					b, found := panel.Get(key)
					if !found { // Get has made one that never opens, which the panel does not keep
						adding.Lock()
						if b, found = panel.Get(key); !found {
							b = rubyist.NewRateBreaker(rate, minCalls)
							panel.Add(key, b)
						}
						adding.Unlock()
					}
					through += admitted(b.Call(call, 0))
				}
				return through
			}
		},
	},
	{
		Name: "go-zero", Title: "zeromicro/go-zero, GetBreaker", Module: "github.com/zeromicro/go-zero",
		About: "global; unbounded",
		New: func() KeyedCalls {
			return func(n int, keys *Keys, ok bool) (through int) {
				call := outcome(ok)
				for range n {
					through += admitted(gozero.GetBreaker(keys.Next()).Do(call))
				}
				return through
			}
		},
	},
	{
		Name: "hystrix", Title: "afex/hystrix-go", Module: "github.com/afex/hystrix-go",
		About: "global; 2 goroutines a key; unbounded", MaxKeys: 1000,
		New: func() KeyedCalls {
			hystrix.Flush()
			var configured sync.Map
			return func(n int, keys *Keys, ok bool) (through int) {
				call := outcome(ok)
				for range n {
					key := keys.Next()
					if _, found := configured.Load(key); !found {
						configureHystrix(key)
						configured.Store(key, nil)
					}
					through += admitted(hystrix.Do(key, call, nil))
				}
				return through
			}
		},
	},
}

// ourConfig is the default, but for the time it stays open.
var ourConfig = breaker.Config{OpenFor: openFor, MaxOpenFor: openFor}

// CallSet returns calls through the breakers of a set.
func CallSet(set *breaker.Set) KeyedCalls {
	ctx := context.Background()
	return func(n int, keys *Keys, ok bool) (through int) {
		call := outcome(ok)
		for range n {
			permit, err := set.Get(keys.Next()).Allow(ctx)
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
