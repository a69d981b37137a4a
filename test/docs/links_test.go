package docs

import (
	"io/fs"
	"path/filepath"
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
