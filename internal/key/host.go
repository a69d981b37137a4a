// Package key makes the keys of circuits: from the host of a request's URL, and from the
// route that the request takes there.
package key

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// noHost is the key of all requests whose URL names no host at all.
const noHost = "!no-host"

// maxHostName is the longest host name, in bytes (RFC 1035 §2.3.4).
const maxHostName = 253

// OfHost returns the key of the host that a URL names. Its form is documented
// at httpbreaker.ByHost.
func OfHost(u *url.URL) string {
	if u == nil || u.Host == "" {
		return noHost
	}
	host := u.Host
	defaultPort := 0
	switch u.Scheme {
	case "https":
		defaultPort = 443
	case "http":
		defaultPort = 80
	}
	portless := defaultPort != 443 && strings.IndexByte(host, ':') < 0 // no key as it stands
	if !portless {
		if key, ok := canonicalKey(host, defaultPort); ok {
			return key
		}
	}
	if len(host) > 2*maxHostName { // not worth remembering
		return keyOfNoName(host)
	}
	if key, ok := hostKeys.get(defaultPort, host); ok {
		return key
	}
	name, port, ok := splitHost(host, defaultPort)
	key := name
	switch {
	case !ok:
		key = keyOfNoName(host)
	case port != 443 || defaultPort != 443:
		key = name + ":" + strconv.Itoa(port)
	}
	hostKeys.put(defaultPort, host, key)
	return key
}

// keyOfNoName returns the key of a host that is no name and no address, such as the path
// of a Unix socket: the host after an exclamation mark, which no name has. What is not
// printable, and the backslash, is written as \xHH; what may be a password, up to an @, is
// left out. A key that is too long is cut, and a hash of the whole makes up for the rest.
func keyOfNoName(host string) string {
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = host[i:]
	}
	const hex = "0123456789abcdef"
	key := []byte{'!'}
	for i := 0; i < len(host) && len(key) <= 1+maxHostName; i++ {
		if c := host[i]; c > ' ' && c < 0x7f && c != '\\' {
			key = append(key, c)
		} else {
			key = append(key, '\\', 'x', hex[c>>4], hex[c&15])
		}
	}
	if len(key) > 1+maxHostName {
		sum := sha256.Sum256([]byte(host))
		key = fmt.Appendf(key[:1+maxHostName], "~%x", sum[:8])
	}
	return string(key)
}

// hostKeys remembers what OfHost has worked out.
var hostKeys memo

// canonicalKey returns the key if it is host itself, or host without ":443": the
// name is in lower case, and the port is written out or need not be.
func canonicalKey(host string, defaultPort int) (string, bool) {
	end, labelStart := 0, true
	for ; end < len(host) && plain[host[end]]; end++ {
		dot := host[end] == '.'
		if dot && labelStart {
			return "", false
		}
		labelStart = dot
	}
	if labelStart || end > maxHostName {
		return "", false
	}
	switch port := host[end:]; {
	case port == "":
		return host, defaultPort == 443
	case port[0] != ':' || port == ":" || port[1] == '0':
		return "", false
	case port == ":443" && defaultPort == 443:
		return host[:end], true
	default:
		_, ok := parsePort(port[1:])
		return host, ok
	}
}

// plain are the bytes that stand in a name in canonical form.
var plain = func() (set [256]bool) {
	for _, c := range "abcdefghijklmnopqrstuvwxyz0123456789-_." {
		set[c] = true
	}
	return
}()

// splitHost returns the canonical name and the port of a URL's host
// (RFC 3986 §3.2); ok is false if it is no host.
func splitHost(host string, defaultPort int) (name string, port int, ok bool) {
	var rest string
	if strings.HasPrefix(host, "[") {
		end := strings.IndexByte(host, ']')
		if end < 0 {
			return "", 0, false
		}
		rest = host[end+1:]
		name, ok = canonicalIPv6(host[1:end])
	} else {
		end := strings.IndexByte(host, ':')
		if end < 0 {
			end = len(host)
		}
		rest = host[end:]
		name, ok = canonicalName(host[:end])
	}
	switch {
	case !ok:
		return "", 0, false
	case rest == "" || rest == ":":
		return name, defaultPort, true
	case rest[0] != ':':
		return "", 0, false
	}
	port, ok = parsePort(rest[1:])
	return name, port, ok
}

func parsePort(s string) (port int, ok bool) {
	for i := range len(s) {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		if port = port*10 + int(c-'0'); port > 65535 {
			return 0, false
		}
	}
	return port, true
}

// canonicalIPv6 takes what stands between the brackets. An address that is
// IPv4 in disguise becomes that; the zone, a name of this machine's, stays as
// it is.
func canonicalIPv6(s string) (string, bool) {
	addr, _ := netip.ParseAddr(s) // of what is none, Is6 is false
	if !addr.Is6() || len(addr.Zone()) > maxHostName {
		return "", false
	}
	for _, c := range []byte(addr.Zone()) {
		if !plain[c] && (c < 'A' || c > 'Z') {
			return "", false
		}
	}
	addr = addr.Unmap()
	if addr.Is4() {
		return addr.String(), true
	}
	return "[" + addr.String() + "]", true
}

// canonicalName returns name in lower case, without the dot of a fully
// qualified name, and with everything beyond ASCII escaped as in a URL.
func canonicalName(name string) (string, bool) {
	if !utf8.ValidString(name) {
		return "", false
	}
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if len(name) > maxHostName || strings.Contains("."+name+".", "..") {
		return "", false
	}
	ascii := true
	for i := range len(name) {
		switch c := name[i]; {
		case c >= utf8.RuneSelf:
			ascii = false
		case !plain[c] && strings.IndexByte("~$&'()*+,;=", c) < 0: // RFC 3986 §3.2.2, except "!"
			return "", false
		}
	}
	if ascii {
		return name, true
	}
	const hex = "0123456789abcdef"
	var escaped []byte
	for i := range len(name) {
		if c := name[i]; c < utf8.RuneSelf {
			escaped = append(escaped, c)
		} else {
			escaped = append(escaped, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(escaped), true
}
