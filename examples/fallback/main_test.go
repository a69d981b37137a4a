package main

import (
	"bytes"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// want is what the example prints, but for the figures that differ from run to run.
const want = `An answer made up beforehand, once the circuit is open

  200  sunny, says the server   the server
  500  out of order             the server
  500  out of order             the server
  503  {"weather":"unknown"}    fallback: httpbreaker; error=destination_unavailable; details="circuit open: 2 calls in a row failed"
       Retry-After: N

A replica, also for the requests that fail before the circuit is open

  200  sunny, says the server   the server
  200  sunny, says the replica  fallback: httpbreaker; received-status=500
  200  sunny, says the replica  fallback: httpbreaker; received-status=500
  200  sunny, says the replica  fallback: httpbreaker; error=destination_unavailable; details="circuit open: 2 calls in a row failed"

The last good answer, by a function of our own

  200  sunny, says the server   the server
  200  sunny, says the server   fallback: httpbreaker; received-status=500
       Age: N
  200  sunny, says the server   fallback: httpbreaker; received-status=500
       Age: N
  200  sunny, says the server   fallback: httpbreaker; error=destination_unavailable; details="circuit open: 2 calls in a row failed"
       Age: N

`

func TestRun(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(&out))
	got := regexp.MustCompile(` over [^"]*s"`).ReplaceAllString(out.String(), `"`)
	got = regexp.MustCompile(`(Age|Retry-After): \d+`).ReplaceAllString(got, "$1: N")
	assert.Equal(t, want, got)
}
