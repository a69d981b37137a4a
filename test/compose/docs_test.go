package compose

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const page = "../../docs/composing.md"

// TestPage checks that what docs/composing.md shows and names is here: its code, word for
// word, the tests that it calls its proof, and the files that it links to.
func TestPage(t *testing.T) {
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	files, err := filepath.Glob("*_test.go")
	require.NoError(t, err)
	var source strings.Builder
	for _, file := range files {
		code, err := os.ReadFile(file)
		require.NoError(t, err)
		source.Write(code)
	}

	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		assert.Contains(t, unindented(source.String()), unindented(block[1]))
	}
	named := regexp.MustCompile("`(Test[A-Za-z]+)`").FindAllStringSubmatch(string(text), -1)
	require.NotEmpty(t, named)
	for _, name := range named {
		assert.Contains(t, source.String(), "func "+name[1]+"(t *testing.T)")
	}
	for _, link := range regexp.MustCompile(`\]\((\.[^)#]*)`).FindAllStringSubmatch(string(text), -1) {
		assert.FileExists(t, filepath.Join(filepath.Dir(page), link[1], map[bool]string{true: "main.go"}[filepath.Ext(link[1]) == ""]))
	}
}

// unindented is text without the white space at the begin and end of its lines.
func unindented(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}
