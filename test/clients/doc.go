// Package clients tests httpbreaker under client libraries that people use: SDKs with
// retries of their own, and others. It is the proof of what docs/composing.md says of
// them.
//
// The module is not listed in go.work, so that nobody downloads all these libraries to
// run the other tests:
//
//	cd test/clients && GOWORK=off go test ./...
package clients
