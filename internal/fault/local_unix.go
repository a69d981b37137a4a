//go:build unix || js || wasip1

package fault

import "syscall"

// localErrnos are what the system says when the fault is on this side of the
// network.
var localErrnos = []error{
	// Descriptors, memory and ports have run out.
	syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM,
	syscall.EADDRNOTAVAIL, syscall.EADDRINUSE,
	// A local firewall, sandbox or routing table forbids it.
	syscall.EACCES, syscall.EPERM,
	// This machine has no network, or none of that kind.
	syscall.ENETUNREACH, syscall.ENETDOWN, syscall.EAFNOSUPPORT, syscall.EINVAL,
}
