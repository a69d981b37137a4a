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

// TestPage checks that what docs/composing.md shows and names is here or in test/clients:
// its code, word for word, also in tables, the tests that it calls its proof, and the files
// and headings that it links to.
func TestPage(t *testing.T) {
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	var source strings.Builder
	for _, pattern := range []string{"*_test.go", "../clients/*_test.go"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, file := range files {
			code, err := os.ReadFile(file)
			require.NoError(t, err)
			source.Write(code)
		}
	}

	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		assert.Contains(t, unindented(source.String()), unindented(block[1]))
	}
	for _, row := range regexp.MustCompile(`(?m)^\|.*`).FindAllString(string(text), -1) {
		for _, code := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row, -1) {
			assert.Contains(t, source.String(), code[1])
		}
	}
	named := regexp.MustCompile("`(Test[A-Za-z]+)`").FindAllStringSubmatch(string(text), -1)
	require.NotEmpty(t, named)
	for _, name := range named {
		assert.Contains(t, source.String(), "func "+name[1]+"(t *testing.T)")
	}
	headings := regexp.MustCompile("(?m)^#+ .*").FindAllString(string(text), -1)
	for _, link := range regexp.MustCompile(`\]\(#([^)]*)`).FindAllStringSubmatch(string(text), -1) {
		assert.Contains(t, anchors(headings), link[1])
	}
	for _, link := range regexp.MustCompile(`\]\((\.[^)#]*)`).FindAllStringSubmatch(string(text), -1) {
		assert.FileExists(t, filepath.Join(filepath.Dir(page), link[1], map[bool]string{true: "main.go"}[filepath.Ext(link[1]) == ""]))
	}
}

// anchors are what a link to each of headings ends with.
func anchors(headings []string) (anchors []string) {
	for _, heading := range headings {
		anchor := strings.ToLower(strings.TrimLeft(heading, "# "))
		anchor = regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(anchor, "")
		anchors = append(anchors, strings.ReplaceAll(anchor, " ", "-"))
	}
	return anchors
}

// unindented is text without the white space at the begin and end of its lines.
func unindented(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}
