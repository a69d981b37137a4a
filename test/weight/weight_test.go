package weight

import (
	"archive/zip"
	"bytes"
	"cmp"
	"slices"
	"testing"

	"golang.org/x/mod/module"
	modzip "golang.org/x/mod/zip"
)

// The zip of the root module, which everybody downloads, has less than 420 kB, tests and pages included
// (docs/decisions.md says why not less). What weighs belongs into a nested module: pictures with the test
// that takes them, figures with the bench, tests of no single package in test/.
func TestRootModuleIsSmall(t *testing.T) {
	var file bytes.Buffer
	version := module.Version{Path: "github.com/seed-0b728cf8/httpbreaker", Version: "v0.0.0"}
	if err := modzip.CreateFromDir(&file, version, "../.."); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes", file.Len())
	if file.Len() < 420_000 {
		return
	}
	t.Error("the root module has become too large; its largest files:")
	r, err := zip.NewReader(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(r.File, func(a, b *zip.File) int { return cmp.Compare(b.CompressedSize64, a.CompressedSize64) })
	for _, f := range r.File[:min(10, len(r.File))] {
		t.Logf("%7d %s", f.CompressedSize64, f.Name)
	}
}
