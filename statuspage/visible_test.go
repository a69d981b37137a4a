package statuspage

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "",
		"GET a.example.com/{id}":    "GET a.example.com/{id}",
		"ünï ~ 日本":                  "ünï ~ 日本",
		"\u202eabc":                 `\u{202e}abc`,
		"a\u202egnp.exe\u2066":      `a\u{202e}gnp.exe\u{2066}`,
		"a\x00\n\x1b[31m\u200b\x7f": `a\u{0}\u{a}\u{1b}[31m\u{200b}\u{7f}`,
		"a\u00a0b\u2028c\tq":        `a\u{a0}b\u{2028}c\u{9}q`,
		"a\xff":                     "a\xff",
	} {
		assert.Equal(t, want, visible(text), "%q", text)
	}
}
