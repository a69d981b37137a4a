package fault

import "syscall"

// localErrnos are what the system says when the fault is on this side of the
// network. They are Winsock's numbers: the names that package syscall shares
// with Unix, such as EMFILE, are numbers of its own that Windows never returns.
var localErrnos = []error{
	// Descriptors, memory and ports have run out.
	syscall.Errno(4),     // ERROR_TOO_MANY_OPEN_FILES
	syscall.Errno(8),     // ERROR_NOT_ENOUGH_MEMORY, WSA_NOT_ENOUGH_MEMORY
	syscall.Errno(1450),  // ERROR_NO_SYSTEM_RESOURCES
	syscall.Errno(10024), // WSAEMFILE
	syscall.Errno(10055), // WSAENOBUFS
	syscall.Errno(10048), // WSAEADDRINUSE
	syscall.Errno(10049), // WSAEADDRNOTAVAIL
	// A local firewall, sandbox or routing table forbids it.
	syscall.Errno(5),     // ERROR_ACCESS_DENIED
	syscall.Errno(10013), // WSAEACCES
	// This machine has no network, or none of that kind.
	syscall.Errno(10022), // WSAEINVAL
	syscall.Errno(10047), // WSAEAFNOSUPPORT
	syscall.Errno(10050), // WSAENETDOWN
	syscall.Errno(10051), // WSAENETUNREACH
}
