// Package peers tests the transport against servers of other makes and against
// connections that break in every way, and that nothing of it leaks. It is a
// module of its own for the sake of its dependencies.
package peers
