package breaker

import (
	"context"
	"errors"
)

// Do makes a call through b: if b rejects it, Do returns an [*OpenError] and
// does not call. A nil error is a Success. An error is Ignored if ctx was
// cancelled by then, or if it is the rejection of another breaker; any other is
// a Failure, a deadline of ctx included. A call that panics or ends its
// goroutine is Ignored, and goes on doing so.
//
// If ctx is done already, Do returns its cause and does not ask b.
func Do[T any](ctx context.Context, b *Breaker, call func(context.Context) (T, error)) (T, error) {
	var none T
	if ctx.Err() != nil {
		return none, context.Cause(ctx)
	}
	p, err := b.Allow(ctx)
	if err != nil {
		return none, err
	}
	defer p.Done(Ignored)
	v, err := call(ctx)
	switch {
	case err == nil:
		p.Done(Success)
	case errors.Is(ctx.Err(), context.Canceled), errors.Is(err, ErrOpen):
		p.Ignore(err)
	default:
		p.Fail(err)
	}
	return v, err
}
