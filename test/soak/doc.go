// Package soak keeps a transport busy with fifty hosts, some of which refuse, fail, hang, drip or
// reset at any time, while every operation is done to its circuits. In the end nothing has
// leaked, and the books are balanced.
//
//	go test ./test/soak                                   ten seconds
//	go test -race -timeout 20m ./test/soak -soak 10m      make soak
package soak
