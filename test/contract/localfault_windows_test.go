package contract_test

import (
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// dialError is how package net reports a system call that failed.
func dialError(errno syscall.Errno) error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connectex", errno)}
}

func TestDefaultClassifierSystemErrors(t *testing.T) {
	req, err := http.NewRequest("GET", "http://example.com", nil)
	require.NoError(t, err)
	for errno, want := range map[syscall.Errno]breaker.Outcome{
		10013: breaker.Ignored, // WSAEACCES
		10022: breaker.Ignored, // WSAEINVAL
		10024: breaker.Ignored, // WSAEMFILE
		10047: breaker.Ignored, // WSAEAFNOSUPPORT
		10048: breaker.Ignored, // WSAEADDRINUSE
		10049: breaker.Ignored, // WSAEADDRNOTAVAIL
		10050: breaker.Ignored, // WSAENETDOWN
		10051: breaker.Ignored, // WSAENETUNREACH
		10055: breaker.Ignored, // WSAENOBUFS

		10054: breaker.Failure, // WSAECONNRESET
		10060: breaker.Failure, // WSAETIMEDOUT
		10061: breaker.Failure, // WSAECONNREFUSED
		10065: breaker.Failure, // WSAEHOSTUNREACH
	} {
		require.Equal(t, want, httpbreaker.DefaultClassifier(httpbreaker.Result{Request: req, Err: dialError(errno)}), "%d", errno)
	}
}
