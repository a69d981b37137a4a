package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// want is what the example prints, but for ports and durations.
const want = `shop = http://SHOP, partner = http://PARTNER

{
  "default": {"consecutive_failures": 4, "consecutive_span": "-1s", "open_for": "1m"},
  "hosts": {"PARTNER": {"consecutive_failures": 2}}
}

GET http://SHOP/search?q=shoes  500 500 500 500 rejected rejected
GET http://SHOP/users/1  200 200 200
GET http://SHOP/users/2  200 200 200
GET http://PARTNER/offers  500 500 rejected rejected rejected rejected
  PARTNER open 2 calls in a row failed
  GET /search SHOP open 4 calls in a row failed
  GET /users/{id} SHOP closed

Now one failure is enough for everybody: kill -HUP.

{"default": {"consecutive_failures": 1, "consecutive_span": "-1s", "open_for": "1m"}}

GET http://SHOP/users/3  500 rejected rejected
  PARTNER open 2 calls in a row failed
  GET /search SHOP open 4 calls in a row failed
  GET /users/{id} SHOP open 1 call failed

A file with mistakes is refused as a whole: kill -HUP.

{"default": {"failure_rate": 50, "window": "-10s"}}

breaker: Config.Window = -10s; want a positive duration, or zero for the default
breaker: Config.FailureRate = 50; want a share in (0, 1], zero for the default or a negative number for off
`

func TestRun(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no SIGHUP on Windows")
	}
	var out bytes.Buffer
	require.NoError(t, run(&out))

	hosts := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindAllString(out.String(), 2)
	require.Len(t, hosts, 2)
	got := strings.NewReplacer(hosts[0], "SHOP", hosts[1], "PARTNER").Replace(out.String())
	got = regexp.MustCompile(`failed over .*s`).ReplaceAllString(got, "failed")
	got = regexp.MustCompile(`(SHOP|PARTNER) +(open|closed) *`).ReplaceAllString(got, "$1 $2 ")
	got = strings.ReplaceAll(got, "closed \n", "closed\n")
	assert.Equal(t, want, got)
}

func TestLoad(t *testing.T) {
	file := filepath.Join(t.TempDir(), "breakers.json")
	for _, test := range []struct{ name, json, err string }{
		{"not JSON", `{`, "unexpected EOF"},
		{"unknown name", `{"defaults": {}}`, `unknown field "defaults"`},
		{"unknown rule", `{"default": {"retries": 3}}`, `unknown field "retries"`},
		{"bad host", `{"hosts": {"api": {"jitter": 2}}}`, "host api: breaker: Config.Jitter = 2"},
		{"bad together", `{"default": {"window_calls": 10}, "hosts": {"api": {"min_calls": 11}}}`, "host api: breaker: Config.MinCalls = 11"},
	} {
		t.Run(test.name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(file, []byte(test.json), 0o600))
			_, err := load(file)
			assert.ErrorContains(t, err, test.err)
		})
	}
	t.Run("no file", func(t *testing.T) {
		_, err := load(file + ".missing")
		assert.ErrorIs(t, err, os.ErrNotExist)
	})
	t.Run("override", func(t *testing.T) {
		require.NoError(t, os.WriteFile(file, []byte(`{"default": {"probes": 2, "open_for": "3s"}, "hosts": {"api": {"probes": 4}}}`), 0o600))
		o, err := load(file)
		require.NoError(t, err)
		for key, probes := range map[string]int{"api": 4, "GET /users/{id} api": 4, "other": 2, "api:80": 2} {
			c := o.Config
			o.Override(key, &c)
			assert.Equal(t, probes, c.Probes, key)
			assert.Equal(t, "3s", c.OpenFor.String(), key)
		}
		require.NotNil(t, breaker.NewSet(o))
	})
}
