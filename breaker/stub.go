package breaker

import (
	"context"
	"iter"
	"time"
)

// THIS FILE IS A STUB while the engine is written; signatures are final.

const windowBuckets = 10

type Breaker struct{ key string }

func New(key string, cfg Config, hooks ...Hooks) *Breaker    { return &Breaker{key: key} }
func (b *Breaker) Key() string                               { return b.key }
func (b *Breaker) Allow(ctx context.Context) (Permit, error) { return Permit{b: b}, nil }
func (b *Breaker) State() State                              { return Closed }
func (b *Breaker) Snapshot() Snapshot                        { return Snapshot{Key: b.key} }
func (b *Breaker) Trip(d time.Duration, reason string)       {}
func (b *Breaker) Reset()                                    {}
func (b *Breaker) SetMode(m Mode, reason string)             {}
func (b *Breaker) Update(cfg Config) error                   { return nil }
func Do[T any](ctx context.Context, b *Breaker, call func(context.Context) (T, error)) (T, error) {
	return call(ctx)
}

type Permit struct{ b *Breaker }

func (p *Permit) Done(o Outcome)                      {}
func (p *Permit) Fail(err error)                      {}
func (p *Permit) Answered()                           {}
func (p *Permit) Elapsed() time.Duration              { return 0 }
func (p *Permit) Probe() bool                         { return false }
func (p *Permit) Trip(d time.Duration, reason string) {}

type Options struct {
	Config   Config
	Override func(key string, c *Config)
	MaxKeys  int
	Hooks    []Hooks
}
type Set struct{}

func NewSet(o Options) *Set                       { return &Set{} }
func (s *Set) Get(key string) *Breaker            { return New(key, Config{}) }
func (s *Set) Lookup(key string) (*Breaker, bool) { return nil, false }
func (s *Set) All() iter.Seq2[string, *Breaker]   { return func(func(string, *Breaker) bool) {} }
func (s *Set) Len() int                           { return 0 }
func (s *Set) Remove(key string)                  {}
func (s *Set) Update(o Options) error             { return nil }
func (s *Set) Watch(h Hooks) (stop func())        { return func() {} }
func (s *Set) Stats() Stats                       { return Stats{} }

// Stats are a Set's own numbers. All but Keys and Records only ever grow.
type Stats struct {
	Keys      int    // breakers in the set
	Records   int    // records of open circuits whose breakers had to go
	Evicted   uint64 // closed breakers given up to make room
	Demoted   uint64 // open or forced breakers reduced to a record to make room
	Forgotten uint64 // records lost because there was no room for them either
}
