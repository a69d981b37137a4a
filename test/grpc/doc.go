// Package grpc tests httpbreaker under real clients and servers of gRPC, gRPC-Web and
// Connect, and has an interceptor for what a transport cannot see: the status that ends a
// stream of Connect is in the body.
//
// It is a module of its own, and not in go.work, so that nobody downloads gRPC to test
// httpbreaker: run "GOWORK=off go test ./..." in this directory.
package grpc
