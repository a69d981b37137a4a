//go:build unix

package breakerredis

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// documentedRights are those of the ACL in the package comment, for a fleet
// named test.
func documentedRights(t *testing.T) (rights []any) {
	page, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	text := regexp.MustCompile(`(?s)ACL SETUSER checkout on >password (.*?)\n//\n`).FindSubmatch(page)
	require.NotNil(t, text)
	for _, word := range strings.Fields(strings.ReplaceAll(string(text[1]), "//", "")) {
		rights = append(rights, strings.ReplaceAll(word, "{checkout}", "{test}"))
	}
	return rights
}
