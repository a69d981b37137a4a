package docs

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker/internal/doctest"
)

// pages are all files of Markdown in the repository.
func pages(t *testing.T) (pages []string) {
	err := filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) == ".md" {
			pages = append(pages, path)
		}
		return err
	})
	require.NoError(t, err)
	return pages
}

func TestNoLinkIsDead(t *testing.T) {
	all := pages(t)
	assert.Contains(t, all, "../../README.md")
	for _, page := range all {
		doctest.Links(t, page)
	}
}

// A page that is longer than a screen begins with links to its sections.
func TestLongPagesHaveAContents(t *testing.T) {
	for _, page := range pages(t) {
		text := file(t, page)
		if filepath.Dir(page) != "../../docs" || strings.Count(text, "\n") < 60 {
			continue
		}
		for _, heading := range regexp.MustCompile(`(?m)^## (.*)$`).FindAllStringSubmatch(text, -1) {
			assert.Contains(t, text, "\n- ["+heading[1]+"](#", page)
		}
	}
}
