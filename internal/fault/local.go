// Package fault knows the errors for which the peer is not to blame: those of this
// machine and those of the request itself.
package fault

import (
	"errors"
	"net"
	"slices"
	"strings"
)

// Local reports whether err tells of this machine, or of an address that
// cannot be dialled from anywhere. Such an error comes at once, so an open
// circuit would spare nothing, and for every host, so it would open them all.
func Local(err error) bool {
	var (
		addrErr *net.AddrError
		dnsErr  *net.DNSError
	)
	switch {
	case errors.As(err, &addrErr):
		return true
	case errors.As(err, &dnsErr):
		// The resolver keeps only the text of what stopped it.
		return slices.ContainsFunc(localErrnos, func(errno error) bool {
			return strings.HasSuffix(dnsErr.Err, ": "+errno.Error())
		})
	}
	return slices.ContainsFunc(localErrnos, func(errno error) bool { return errors.Is(err, errno) })
}
