// Package yaml tests that breaker.Config is read from YAML, by the packages that
// people read it with.
package yaml
