//go:build !httpbreaker_striped

package breaker

// alwaysStriped is true with the build tag httpbreaker_striped, for tests.
const alwaysStriped = false
