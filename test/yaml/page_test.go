package yaml

import (
	"encoding/json"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// The two files that docs/settings.md shows say the same.
func TestYAMLAndJSONOfThePageAreOneConfig(t *testing.T) {
	page, err := os.ReadFile("../../docs/settings.md")
	require.NoError(t, err)
	block := func(language string) []byte {
		return regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindSubmatch(page)[1]
	}
	var want breaker.Config
	require.NoError(t, json.Unmarshal(block("json"), &want))
	require.NotEqual(t, breaker.Config{}, want)
	for _, lib := range libraries {
		var got breaker.Config
		require.NoError(t, lib.unmarshal(block("yaml"), &got), lib.name)
		assert.Equal(t, want, got, lib.name)
	}
}
