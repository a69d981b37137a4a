package fleet_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerredis/fleet"
)

// A call of a closed circuit: alone, in a fleet that is well, and in one whose
// engine is frozen.
func BenchmarkClosedCall(b *testing.B) {
	for name, link := range map[string]*fleet.Link{
		"alone": nil, "well": {}, "frozen": {Fault: func() error { return fleet.ErrFrozen }},
	} {
		b.Run(name, func(b *testing.B) {
			set := breaker.NewSet(breaker.Options{})
			if link != nil {
				f, err := fleet.New(fleet.NewMemory().Connect(*link), set, fleet.Options{Fleet: "test", Logger: slog.New(slog.DiscardHandler)})
				require.NoError(b, err)
				defer f.Close()
			}
			c := set.Get(host)
			ctx := context.Background()
			b.ReportAllocs()
			for b.Loop() {
				p, _ := c.Allow(ctx)
				p.Done(breaker.Success)
			}
		})
	}
}
