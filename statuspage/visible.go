package statuspage

import (
	"fmt"
	"strings"
	"unicode"
)

// visible writes out the characters that could hide or turn the text around
// them, as the page shows them: what a person filters by is what they see.
func visible(text string) string {
	if strings.IndexFunc(text, hides) < 0 {
		return text
	}
	var s strings.Builder
	for _, r := range text {
		if hides(r) {
			fmt.Fprintf(&s, `\u{%x}`, r)
		} else {
			s.WriteRune(r)
		}
	}
	return s.String()
}

func hides(r rune) bool {
	const tilde = '~' // the last of the plain ones
	return (r < ' ' || r > tilde) && (unicode.In(r, unicode.C, unicode.Zl, unicode.Zp) || unicode.IsSpace(r))
}
