// Package http3 tests httpbreaker over HTTP/3: quic-go's http3.Transport as Config.Base, and
// a server of quic-go.
//
// It is a module of its own, and not in go.work, so that nobody downloads QUIC to test
// httpbreaker: run "GOWORK=off go test ./..." in this directory.
package http3
