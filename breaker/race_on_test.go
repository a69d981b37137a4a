//go:build race

package breaker

// raceDetector is true in tests that run ten times as long for it.
const raceDetector = true
