package main

import (
	"bytes"
	"context"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// want is what the example prints, but for figures that differ from run to run.
const want = `gateway http://HOST, backend http://HOST

  GET /                            200  hello from the backend

The backend breaks down: three failures open its circuit.
  GET /                            502  the backend has hung up
  GET /                            502  the backend has hung up
  GET /                            502  the backend has hung up
  GET /                            503  Service Unavailable, Retry-After: 1
  GET /                            503  Service Unavailable, Retry-After: 1

The status page knows why:
  GET /status/circuits?state=open  200  N bytes of JSON
  HOST is open: 3 calls in a row failed; 2 rejected so far

The backend has recovered. A visitor comes back when Retry-After says:
  GET /                            200  hello from the backend
`

func TestRun(t *testing.T) {
	done, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	require.NoError(t, run(done, &out))

	got := regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(out.String(), "HOST")
	got = regexp.MustCompile(`\d+ bytes`).ReplaceAllString(got, "N bytes")
	got = regexp.MustCompile(`failed over .*s;`).ReplaceAllString(got, "failed;")
	assert.Equal(t, want, got)
}
