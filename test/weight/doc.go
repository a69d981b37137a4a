// Package weight checks how much the users of the root module download. It is a module of its
// own, for the library that makes zip files as the go command does, and not in go.work.
package weight
