// Package compose tests httpbreaker in company: with retries, hedging, a cache, tracing
// and authentication around it and below it, over real servers. It is the proof of what
// docs/composing.md says.
package compose
