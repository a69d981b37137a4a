package breaker

import (
	"errors"
	"net/url"
	"os"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxFailureText bounds the text of a last failure, in bytes.
const maxFailureText = 200

// describe tells an error in one short line that may be shown to anybody who may see
// the breaker's key. URLs, queries and what looks like credentials are left out,
// control characters too.
func describe(err error) string {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err // u itself quotes the URL
	}
	if s := (*os.SyscallError)(nil); errors.As(err, &s) {
		err = s // "connect: connection refused", without the address
	}
	text := errorText(err)
	if len(text) > 16*maxFailureText {
		text = text[:16*maxFailureText] // the expressions below need not see more
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsControl(r) || r == utf8.RuneError || unicode.Is(unicode.Cf, r) {
			return ' '
		}
		return r
	}, text)
	text = urls.ReplaceAllString(text, "(URL)")
	text = queries.ReplaceAllString(text, "?…")
	text = credentials.ReplaceAllString(text, "$1 …")
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= maxFailureText {
		return text
	}
	cut := maxFailureText - len("…")
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

// errorText returns err.Error(), or a word for it if it panics, as a nil pointer's may.
func errorText(err error) (text string) {
	defer func() {
		if recover() != nil {
			text = "an error without a text"
		}
	}()
	return err.Error()
}

var (
	urls        = regexp.MustCompile(`(?i)[a-z][a-z0-9+.-]*://[^\s"'<>]*`)
	queries     = regexp.MustCompile(`\?[^\s"'<>]*=[^\s"'<>]*`)
	credentials = regexp.MustCompile(`(?i)\b(bearer|basic|digest|authorization|cookie|set-cookie|api[_-]?key|` +
		`access[_-]?key|token|access[_-]?token|id[_-]?token|refresh[_-]?token|secret|client[_-]?secret|password|passwd|pwd|signature)\b` +
		`["']?\s*[:= ]\s*["']?(?:(?:bearer|basic|digest)\s+)?[^\s"',;&]+`)
)
