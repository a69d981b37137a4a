package main

import (
	"bytes"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A small story by each policy: sharing saves calls, and costs healthy processes
// none.
func TestStories(t *testing.T) {
	results := Results{}
	for _, g := range groups() {
		for _, s := range g.Stories {
			if s.ID != "10" && s.ID != "cut-2-of-5-4" {
				continue
			}
			results[s.ID] = map[string]Figures{}
			for _, p := range policies(s) {
				results[s.ID][p.Name] = mean(s, []*Run{runStory(t, s, p, 1)})
			}
		}
	}
	ten := results["10"]
	assert.Less(t, ten["fleet"].Wasted, 0.8*ten["local"].Wasted)
	assert.Less(t, ten["fleet"].Recover, ten["local"].Recover)
	assert.Zero(t, ten["fleet"].Well)
	assert.Zero(t, results["cut-2-of-5-4"]["fleet"].Held)
	assert.Greater(t, results["cut-2-of-5-4"]["one opens all"].Held, 0.2)
}

func TestGoalsThatAreMissedAreSaid(t *testing.T) {
	var out bytes.Buffer
	good := Results{"1000": {"fleet": {Wasted: 10, T95: 1, Probes: 1}, "local": {Wasted: 100, Probes: 100}}}
	assert.True(t, checkGoals(&out, good), out.String())
	slow := Results{"1000": {"fleet": {T95: 2}, "local": {Wasted: 1, Probes: 1}}}
	assert.False(t, checkGoals(&out, slow))
	assert.Contains(t, out.String(), "MISSED")
}

func TestNumbers(t *testing.T) {
	for want, v := range map[string]float64{"never": math.Inf(1), "12,345": 12345.4, "3.5": 3.46} {
		assert.Equal(t, want, number(v, 1))
	}
	require.Equal(t, "1,004", thousands(1004))
}
