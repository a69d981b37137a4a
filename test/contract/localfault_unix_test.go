//go:build unix

package contract_test

import (
	"context"
	"fmt"
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
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", errno)}
}

func TestDefaultClassifierSystemErrors(t *testing.T) {
	req, err := http.NewRequest("GET", "http://example.com", nil)
	require.NoError(t, err)
	for errno, want := range map[syscall.Errno]breaker.Outcome{
		syscall.EMFILE:        breaker.Ignored,
		syscall.ENFILE:        breaker.Ignored,
		syscall.ENOBUFS:       breaker.Ignored,
		syscall.ENOMEM:        breaker.Ignored,
		syscall.EADDRNOTAVAIL: breaker.Ignored,
		syscall.EADDRINUSE:    breaker.Ignored,
		syscall.EACCES:        breaker.Ignored,
		syscall.EPERM:         breaker.Ignored,
		syscall.ENETUNREACH:   breaker.Ignored,
		syscall.ENETDOWN:      breaker.Ignored,
		syscall.EAFNOSUPPORT:  breaker.Ignored,
		syscall.EINVAL:        breaker.Ignored,

		syscall.ECONNREFUSED: breaker.Failure,
		syscall.ECONNRESET:   breaker.Failure,
		syscall.ECONNABORTED: breaker.Failure,
		syscall.ETIMEDOUT:    breaker.Failure,
		syscall.EHOSTUNREACH: breaker.Failure,
		syscall.EHOSTDOWN:    breaker.Failure,
		syscall.EPIPE:        breaker.Failure,
		syscall.ENOENT:       breaker.Failure, // a Unix socket whose server is down
	} {
		t.Run(errno.Error(), func(t *testing.T) {
			for _, err := range []error{
				dialError(errno),
				fmt.Errorf("wrapped: %w", dialError(errno)),
				&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: dialError(errno).Error(), Name: "example.com"}},
			} {
				require.Equal(t, want, httpbreaker.DefaultClassifier(httpbreaker.Result{Request: req, Err: err}), "%v", err)
			}
		})
	}
}

// The resolver of package net keeps the text of an error, and not the error.
func TestDefaultClassifierResolverWithoutDescriptors(t *testing.T) {
	x := resolve("example.com", func(*testing.T) dialFunc {
		return func(context.Context, string, string) (net.Conn, error) { return nil, dialError(syscall.EMFILE) }
	})(t)
	got, result := judge(x)
	var dnsErr *net.DNSError
	require.ErrorAs(t, result.Err, &dnsErr)
	require.NotErrorIs(t, result.Err, syscall.EMFILE)
	require.Equal(t, breaker.Ignored, got, "%v", result.Err)
}
