package fleet_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerredis/fleet"
)

func TestBadOptionsAreNamed(t *testing.T) {
	for want, o := range map[string]fleet.Options{
		`Options.Fleet = ""; want 1 to 64`:                      {},
		`Options.Fleet = "a}b"; want 1 to 64`:                   {Fleet: "a}b"},
		`Options.Fleet = "a b"; want 1 to 64`:                   {Fleet: "a b"},
		`want 1 to 64 letters`:                                  {Fleet: strings.Repeat("x", 65)},
		`Options.MinNodes = 1; want at least 2`:                 {Fleet: "x", MinNodes: 1},
		`Options.MinNodes = -1; want at least 2`:                {Fleet: "x", MinNodes: -1},
		`Options.Quorum = 1.1; want a share in (0.5, 1]`:        {Fleet: "x", Quorum: 1.1},
		`Options.Quorum = 0.5; want a share in (0.5, 1]`:        {Fleet: "x", Quorum: 0.5},
		`Options.Quorum = -1; want a share`:                     {Fleet: "x", Quorum: -1},
		`Options.MaxOpenFor = 1ms; want 1s to 24h`:              {Fleet: "x", MaxOpenFor: time.Millisecond},
		`Options.MaxOpenFor = -1s; want 1s to 24h`:              {Fleet: "x", MaxOpenFor: -time.Second},
		`Options.Timeout = 2s; want at most 1s`:                 {Fleet: "x", Timeout: 2 * time.Second},
		`Options.Timeout = -1ns; want at most 1s`:               {Fleet: "x", Timeout: -1},
		"want 1 to 64 letters, digits or \"-_.:/\"\nfleet: Opt": {MinNodes: 1},
	} {
		assert.ErrorContains(t, o.Validate(), want)
		f, err := fleet.New(fleet.NewMemory().Connect(fleet.Link{}), breaker.NewSet(breaker.Options{}), o)
		assert.ErrorContains(t, err, want)
		assert.Nil(t, f)
	}
	assert.NoError(t, fleet.Options{Fleet: "eu/checkout-v2.a:b_c"}.Validate())
	assert.NoError(t, fleet.Options{Fleet: "x", MinNodes: 2, Quorum: 1, MaxOpenFor: time.Second, Timeout: time.Second}.Validate())
}

func TestNewPanicsWithoutAnEngineOrASet(t *testing.T) {
	assert.Panics(t, func() { _, _ = fleet.New(nil, breaker.NewSet(breaker.Options{}), fleet.Options{Fleet: "x"}) })
	assert.Panics(t, func() { _, _ = fleet.New(fleet.NewMemory().Connect(fleet.Link{}), nil, fleet.Options{Fleet: "x"}) })
}
