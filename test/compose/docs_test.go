package compose

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/seed-0b728cf8/httpbreaker/internal/doctest"
)

// TestPage checks that what docs/composing.md shows and names is here or in test/clients,
// code in the cells of its tables, too.
func TestPage(t *testing.T) {
	sources := []string{"*_test.go", "../clients/*_test.go"}
	page := doctest.Check(t, "../../docs/composing.md", sources...)
	code := doctest.Sources(t, sources...)
	for _, row := range regexp.MustCompile(`(?m)^\|.*`).FindAllString(page, -1) {
		for _, cell := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row, -1) {
			assert.Contains(t, code, cell[1])
		}
	}
}
