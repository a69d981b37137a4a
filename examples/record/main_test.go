package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "calls.log")
	var out bytes.Buffer
	require.NoError(t, run(file, &out))
	assert.Contains(t, out.String(), "60 of them are in "+file+", 0 had to be dropped.")
	assert.Contains(t, out.String(), "go run ./bench/tune -replay "+file)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, 61, strings.Count(string(text), "\n"), "one line for each call, and one for the beginning")
	assert.GreaterOrEqual(t, strings.Count(string(text), `"rejected"`), 5)
}
