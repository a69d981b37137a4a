//go:build !(unix || js || wasip1 || windows)

package fault

// localErrnos is empty where the system has no error numbers, as on Plan 9: the
// faults of such a machine count as the peer's.
var localErrnos []error
