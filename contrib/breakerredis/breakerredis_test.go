package breakerredis

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

type wrapped struct{ redis.UniversalClient }

func TestBadArgumentsAreNamed(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer client.Close()
	set := breaker.NewSet(breaker.Options{})
	good := &Options{Fleet: "test"}
	for want, try := range map[string]func() error{
		`Options.Fleet = ""; want 1 to 64`:               func() error { _, err := New(client, set, nil); return err },
		`Options.MinNodes = 1; want at least 2`:          func() error { _, err := New(client, set, &Options{Fleet: "x", MinNodes: 1}); return err },
		`Options.Quorum = 1.5; want a share in (0.5, 1]`: func() error { _, err := New(client, set, &Options{Fleet: "x", Quorum: 1.5}); return err },
		"client is nil":      func() error { _, err := New(nil, set, good); return err },
		"New: client is nil": func() error { _, err := New((*redis.Client)(nil), set, good); return err },
		"circuits is nil":    func() error { _, err := New(client, nil, good); return err },
		"client is a breakerredis.wrapped; want a *redis.Cl": func() error { _, err := New(wrapped{client}, set, good); return err },
	} {
		assert.ErrorContains(t, try(), want)
	}
}
