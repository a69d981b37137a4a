package breakerredis

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/redis/go-redis/v9"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerredis/fleet"
)

// Options configure the sharing. Only Fleet has no default.
type Options = fleet.Options

// New lets the breakers of circuits share through Redis, from now until Close. It
// returns at once, also when Redis cannot be reached; that is logged once.
//
// The error names what is wrong with opts, or says that client is nil or of a
// kind that New cannot make one like. Nothing is started then.
func New(client redis.UniversalClient, circuits *breaker.Set, opts *Options) (*fleet.Fleet, error) {
	if opts == nil {
		opts = &Options{}
	}
	bad := []error{opts.Validate()}
	if circuits == nil {
		bad = append(bad, errors.New("breakerredis: New: circuits is nil"))
	}
	if client == nil || reflect.ValueOf(client).Kind() == reflect.Pointer && reflect.ValueOf(client).IsNil() {
		bad = append(bad, errors.New("breakerredis: New: client is nil"))
	}
	if err := errors.Join(bad...); err != nil {
		return nil, err
	}
	own, err := clientLike(client, *opts)
	if err != nil {
		return nil, err
	}
	e := newEngine(own, opts.Fleet)
	f, err := fleet.New(e, circuits, *opts)
	if err != nil {
		return nil, fmt.Errorf("breakerredis: %w", errors.Join(err, e.Close()))
	}
	return f, nil
}
