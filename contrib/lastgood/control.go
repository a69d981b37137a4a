package lastgood

import (
	"net/http"
	"strings"
	"time"
)

// mostTime is the longest time that a field can say (RFC 9111 section 1.2.2). It also keeps
// sums of times from overflowing.
const mostTime = 1 << 31 * time.Second

// A limit is a time that a field may set.
type limit struct {
	set bool
	d   time.Duration
}

func (l *limit) atMost(d time.Duration) {
	if !l.set || d < l.d {
		*l = limit{true, d}
	}
}

func (l *limit) atLeast(d time.Duration) {
	if !l.set || d > l.d {
		*l = limit{true, d}
	}
}

// A control is what Cache-Control says, in a request or a response (RFC 9111 section 5.2, RFC
// 5861 section 4). Of a directive that is repeated the stricter one holds.
type control struct {
	noStore, noCache, private        bool
	mustRevalidate, proxyRevalidate  bool
	maxAge, sMaxAge                  limit
	minFresh, maxStale, staleIfError limit
}

// controlOf reads Cache-Control, and Pragma where there is none (RFC 9111 section 5.4). It
// reports false if the field is not as the RFC has it: nobody then knows what was meant.
func controlOf(h http.Header) (c control, ok bool) {
	lines := h["Cache-Control"]
	if len(lines) == 0 {
		for _, line := range h["Pragma"] {
			c.noCache = c.noCache || strings.Contains(strings.ToLower(line), "no-cache")
		}
		return c, true
	}
	for _, line := range lines {
		if !c.read(line) {
			return control{}, false
		}
	}
	return c, true
}

// read reads one line: a list of token [ "=" ( token / quoted-string ) ], whose elements may be
// empty (RFC 9110 section 5.6.1).
func (c *control) read(line string) bool {
	for {
		line = strings.TrimLeft(line, " \t,")
		if line == "" {
			return true
		}
		name, rest := token(line)
		if name == "" {
			return false
		}
		arg, has := "", false
		if strings.HasPrefix(rest, "=") {
			if arg, rest, has = argument(rest[1:]); !has {
				return false
			}
		}
		if !c.apply(strings.ToLower(name), arg) {
			return false
		}
		line = strings.TrimLeft(rest, " \t")
		if line != "" && line[0] != ',' {
			return false
		}
	}
}

// apply reports false if a time that is needed is none.
func (c *control) apply(name, arg string) bool {
	d, isTime := seconds(arg)
	switch name {
	case "no-store":
		c.noStore = true
	case "no-cache": // with fields, too: they may be what the answer is about
		c.noCache = true
	case "private":
		c.private = true
	case "must-revalidate":
		c.mustRevalidate = true
	case "proxy-revalidate":
		c.proxyRevalidate = true
	case "max-stale":
		if arg == "" { // however stale
			d, isTime = mostTime, true
		}
		c.maxStale.atMost(d)
		return isTime
	case "max-age":
		c.maxAge.atMost(d)
		return isTime
	case "s-maxage":
		c.sMaxAge.atMost(d)
		return isTime
	case "min-fresh":
		c.minFresh.atLeast(d)
		return isTime
	case "stale-if-error":
		c.staleIfError.atMost(d)
		return isTime
	}
	return true
}

// seconds reads delta-seconds (RFC 9111 section 1.2.2): digits alone, at most mostTime.
func seconds(s string) (time.Duration, bool) {
	n := int64(0)
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = min(n*10+int64(s[i]-'0'), int64(mostTime/time.Second))
	}
	return time.Duration(n) * time.Second, s != ""
}

// token cuts a token (RFC 9110 section 5.6.2) off the front of s.
func token(s string) (token, rest string) {
	i := 0
	for i < len(s) && isTokenByte(s[i]) {
		i++
	}
	return s[:i], s[i:]
}

func isTokenByte(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// argument cuts a token or a quoted string (RFC 9110 section 5.6.4), without its quotes, off the
// front of s.
func argument(s string) (arg, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		arg, rest = token(s)
		return arg, rest, arg != ""
	}
	var unquoted strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return unquoted.String(), s[i+1:], true
		case '\\':
			if i++; i == len(s) {
				return "", "", false
			}
		}
		unquoted.WriteByte(s[i])
	}
	return "", "", false
}
