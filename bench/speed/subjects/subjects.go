// Package subjects puts circuit breakers of the Go ecosystem under one harness,
// so that their cost can be compared. It uses their public API only, the way
// their manuals do.
//
// Where a library lets one choose, it opens at 50 % of at least 20 calls in a
// rolling window of 10 s with 10 buckets, for a minute, with one probe. What
// it does instead is said in Settings.
//
// Each subject contains its own loop, with direct calls, so that the compiler
// can do for it what it would do in a program, and that the harness adds
// nothing to a call.
package subjects

import (
	"context"
	"errors"
	"strconv"
	"time"
)

// The settings that all subjects have as far as they can.
const (
	window   = 10 * time.Second
	buckets  = 10
	minCalls = 20
	rate     = 0.5
	openFor  = time.Minute
)

// errFailed is how a guarded call fails.
var errFailed = errors.New("failed")

// The guarded call, in the forms that the libraries want. None of them costs
// more than another.

func outcome(ok bool) func() error {
	if ok {
		return func() error { return nil }
	}
	return func() error { return errFailed }
}

func inContext(ok bool) func(context.Context) error {
	if ok {
		return func(context.Context) error { return nil }
	}
	return func(context.Context) error { return errFailed }
}

func value(ok bool) func() (any, error) {
	if ok {
		return func() (any, error) { return nil, nil }
	}
	return func() (any, error) { return nil, errFailed }
}

func valueInContext(ok bool) func(context.Context) (any, error) {
	if ok {
		return func(context.Context) (any, error) { return nil, nil }
	}
	return func(context.Context) (any, error) { return nil, errFailed }
}

// admitted reports whether a guarded call was made, by what came out.
func admitted(err error) int {
	if err == nil || err == errFailed {
		return 1
	}
	return 0
}

// A Keys yields host names in a random order that is the same for everybody.
// It is a value: each goroutine has its own.
type Keys struct {
	names []string
	order []uint32
	at    int
}

// NewKeys returns n names that end in domain. The order in which they come has nothing to do with
// the order in which they were made, so that what a set keeps of them does not
// come in the order of its addresses.
func NewKeys(n int, domain string) Keys {
	k := Keys{names: make([]string, n), order: make([]uint32, max(n, 1<<17))}
	for i := range k.names {
		k.names[i] = "host-" + strconv.Itoa(i) + "." + domain
	}
	random := uint64(1)
	for i := range k.order {
		random = random*6364136223846793005 + 1442695040888963407
		k.order[i] = uint32((random >> 33) % uint64(n))
	}
	return k
}

// From returns keys that begin at another place in the order.
func (k Keys) From(at int) Keys {
	k.at = at % len(k.order)
	return k
}

// InOrder returns keys that come in the order in which they were made.
func (k Keys) InOrder() Keys {
	k.order, k.at = make([]uint32, len(k.names)), 0
	for i := range k.order {
		k.order[i] = uint32(i)
	}
	return k
}

// Names returns all names, in the order in which they were made.
func (k Keys) Names() []string { return k.names }

// Next returns the next name.
func (k *Keys) Next() string { return k.names[k.NextIndex()] }

// NextIndex returns the next name's place in Names.
func (k *Keys) NextIndex() uint32 {
	i := k.order[k.at]
	if k.at++; k.at == len(k.order) {
		k.at = 0
	}
	return i
}
