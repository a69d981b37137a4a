package lastgood

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestClockThatIsSetBack(t *testing.T) {
	now := time.Now()
	assert.Zero(t, since(now.Add(time.Hour)), "no answer is younger than it was")
	assert.Zero(t, since(now.Round(0).Add(time.Hour)))
	assert.GreaterOrEqual(t, since(now.Round(0).Add(-time.Hour)), time.Hour)
	assert.Equal(t, mostTime, since(time.Time{}), "and no age overflows")
}
