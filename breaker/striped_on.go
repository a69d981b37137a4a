//go:build httpbreaker_striped

package breaker

const alwaysStriped = true
