package breaker

// For the tests outside of the package.
const (
	AlwaysStriped = alwaysStriped
	RaceDetector  = raceDetector
)
