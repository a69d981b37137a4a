package docs

import (
	"fmt"
	"os"
	"testing"
)

// The tests read the whole repository. A module that was downloaded is not that.
func TestMain(m *testing.M) {
	if _, err := os.Stat("../../bench/go.mod"); err != nil {
		fmt.Println("skipped: this is no clone of the repository")
		return
	}
	os.Exit(m.Run())
}
