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
//
// It calls methods of err, so no lock may be held.
func describe(err error) string {
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
	for _, s := range secrets {
		text = s.find.ReplaceAllString(text, s.put)
	}
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

// errorText returns what err says, without a URL or address around it, or that it says
// nothing if one of its methods panics, as a nil pointer's may.
func errorText(err error) (text string) {
	defer func() {
		if recover() != nil {
			text = "an error without a text"
		}
	}()
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err // u itself quotes the URL
	}
	if s := (*os.SyscallError)(nil); errors.As(err, &s) {
		err = s // "connect: connection refused", without the address
	}
	return err.Error()
}

// secrets are what must not be told, and what is put in its place. The names of the last one may be
// the end of longer names, such as AWS_SECRET_ACCESS_KEY.
var secrets = []struct {
	find *regexp.Regexp
	put  string
}{
	{regexp.MustCompile(`(?i)\b((?:proxy-)?authorization|(?:set-)?cookie)["']?\s*[:=].*`), "$1 …"},
	{regexp.MustCompile(`(?i)[a-z][a-z0-9+.-]*://[^\s"<>]*`), "(URL)"},
	{regexp.MustCompile(`([?&])[^\s"<>]*=[^\s"<>]*`), "$1…"},
	{regexp.MustCompile(`[^\s"'<>/@:]+:[^\s"<>@]+@`), "…@"},
	{regexp.MustCompile(`\beyJ[\w-]+\.[\w.-]+`), "…"}, // a JSON web token
	{regexp.MustCompile(`(?i)(\b|_)(bearer|basic|digest|authorization|` +
		`(?:access|account|api|auth|private|secret|shared[_-]?access|signing|subscription)[_-]?key|` +
		`(?:access|api|auth|id|private|refresh|security|session)?[_-]?token|(?:api|client|shared)?[_-]?secret|` +
		`password|passwd|pwd|passphrase|(?:php|j)?session[_-]?id|phpsessid|signature(?:-256)?|sig)\b` +
		`\\*["']?\s*[:= ]\s*\\*["']?(?:(?:bearer|basic|digest)\s+)?[^\s"',;&]+`), "$1$2 …"},
}
