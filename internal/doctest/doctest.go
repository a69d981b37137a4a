// Package doctest checks pages of documentation against the repository: the tests of each
// module call it for the pages whose code they hold.
package doctest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")
	testRef = regexp.MustCompile("`(Test[A-Za-z0-9_]+)`")
	link    = regexp.MustCompile(`(?:\]\(|src(?:set)?=")([^)"\s]+)`)
	heading = regexp.MustCompile("(?m)^#+ .*")
	fence   = regexp.MustCompile("(?s)```.*?```")
)

// Check fails t for everything in the page, a file of Markdown, that is not so:
//
//   - each block of Go stands in one of sources, line by line, except for indentation and
//     comments behind code, so that it is compiled there and, in an Example, run;
//   - each `TestName` is a test in sources.
//
// Sources are patterns of [filepath.Glob], relative to the directory of the test, as is page.
// Check returns the text of the page.
func Check(t *testing.T, page string, sources ...string) string {
	t.Helper()
	text, source := read(t, page), Sources(t, sources...)
	lines := "\n" + flat(source) + "\n"

	for _, block := range goBlock.FindAllStringSubmatch(text, -1) {
		if !strings.Contains(lines, "\n"+flat(block[1])+"\n") {
			t.Errorf("%s shows what is in none of %q:\n%s", page, sources, block[1])
		}
	}
	prose := fence.ReplaceAllString(text, "")
	for _, name := range testRef.FindAllStringSubmatch(prose, -1) {
		if !strings.Contains(source, "\nfunc "+name[1]+"(t *testing.T)") {
			t.Errorf("%s names %s, which is no test in %q", page, name[1], sources)
		}
	}
	return text
}

// Links fails t for each link of the page to a file of the repository that is not there, or that
// lacks the heading that the link names. It needs a clone: the zip of a module, which is what users
// have, lacks the modules nested in it.
func Links(t *testing.T, page string) {
	t.Helper()
	for _, l := range link.FindAllStringSubmatch(fence.ReplaceAllString(read(t, page), ""), -1) {
		if strings.Contains(l[1], ":") {
			continue // elsewhere
		}
		file, anchor, _ := strings.Cut(l[1], "#")
		target := page
		if file != "" {
			target = filepath.Join(filepath.Dir(page), file)
		}
		if _, err := os.Stat(target); err != nil {
			t.Errorf("%s links to %s: %v", page, l[1], err)
		} else if anchor != "" && filepath.Ext(target) == ".md" && !HasHeading(read(t, target), anchor) {
			t.Errorf("%s links to %s, which has no such heading", page, l[1])
		}
	}
}

// Sources returns the text of all files that the patterns match. Each has to match one.
func Sources(t *testing.T, patterns ...string) string {
	t.Helper()
	var all strings.Builder
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no source is %s (%v)", pattern, err)
		}
		for _, file := range files {
			all.WriteString(read(t, file) + "\n")
		}
	}
	return all.String()
}

// flat leaves layout aside: indentation, alignment, empty lines and comments.
func flat(code string) string {
	var lines []string
	for line := range strings.Lines(code) {
		line, _, _ = strings.Cut(line, " // ")
		line = strings.Join(strings.Fields(line), " ")
		if line != "" && !strings.HasPrefix(line, "//") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// HasHeading tells whether a page of this text has a heading to which #anchor leads.
func HasHeading(text, anchor string) bool {
	for _, h := range heading.FindAllString(text, -1) {
		h = strings.ToLower(strings.TrimLeft(h, "# "))
		h = regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(h, "")
		if strings.ReplaceAll(h, " ", "-") == anchor {
			return true
		}
	}
	return false
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
