package main

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRun runs the show as a user does, which takes its time: once as into a file and
// once as on a terminal.
func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("runs for 12 seconds")
	}
	escape := regexp.MustCompile(`\x1b\[[?0-9;]*[a-zA-Z]`)
	for _, live := range []bool{false, true} {
		t.Run(fmt.Sprintf("live=%v", live), func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			var out bytes.Buffer
			require.NoError(t, run(&out, live))
			assert.Less(t, time.Since(began), 20*time.Second)

			text := escape.ReplaceAllString(out.String(), "")
			if !live {
				t.Log(text) // shown if the test fails
			}
			assert.Equal(t, live, text != out.String(), "escape sequences")
			inOrder(t, text,
				`● prices: "fresh from the server"`,
				"the prices server hangs",
				"✗ prices: no answer within 900ms",
				"closed → open: ", " calls in a row failed",
				`◆ prices: rejected, fallback "yesterday's prices"`,
				"open → half-open: ",
				"half-open → open: a probe failed",
				"the prices server has recovered",
				"half-open → closed: ", " calls succeeded with none rejected",
				`● prices: "fresh from the server"`,
				"The same requests to prices",
				"The catalog answered 60 of 60",
			)
			var failed, failedWithout, spared, held int
			var waited, waitedWithout, saved float64
			scan(t, text, "  failed for the caller", " %d %d", &failed, &failedWithout)
			scan(t, text, "  time spent on failures   ", "%f s %f s", &waited, &waitedWithout)
			scan(t, text, "The cost:", " %d requests", &held)
			summary := regexp.MustCompile(`(\d+ doomed calls were spared, and .*) of waiting`).FindString(text)
			_, err := fmt.Sscanf(summary, "%d doomed calls were spared, and %f s", &spared, &saved)
			require.NoError(t, err, "%q", summary)
			assert.Positive(t, failed)
			assert.GreaterOrEqual(t, spared, 10)
			assert.Less(t, failed, failedWithout)
			assert.Greater(t, saved, 5.0)
			assert.InDelta(t, waitedWithout-waited, saved, 0.01)
			assert.Positive(t, held, "some request is rejected between the recovery and the probe")

			for line := range strings.Lines(text) {
				assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimRight(line, "\n")), 88, "%q", line)
			}
		})
	}
}

// inOrder checks that the parts come one after the other.
func inOrder(t *testing.T, text string, parts ...string) {
	t.Helper()
	rest := text
	for _, part := range parts {
		_, after, found := strings.Cut(rest, part)
		if !found {
			t.Fatalf("no %q at its place", part)
		}
		rest = after
	}
}

// scan reads the numbers on the last line that begins so.
func scan(t *testing.T, text, prefix, format string, to ...any) {
	t.Helper()
	i := strings.LastIndex(text, prefix)
	require.GreaterOrEqual(t, i, 0, "no %q", prefix)
	_, err := fmt.Sscanf(text[i+len(prefix):], format, to...)
	require.NoError(t, err, "%q", prefix)
}
