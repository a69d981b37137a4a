package statuspage

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPageTitle(t *testing.T) {
	assert.Contains(t, get(New(newSet(), nil), "/").Body.String(), "<h1>Circuits</h1>")
	page := get(New(newSet(), &Options{Title: `</title><script>alert("x")</script>`}), "/").Body.String()
	assert.NotContains(t, page, "<script>alert")
	assert.Contains(t, page, "<h1>&lt;/title&gt;&lt;script&gt;alert(")
}

// The hashes in the policy must be those of what stands in the page, to the
// byte, or browsers run nothing.
func TestPagePolicyMatchesPage(t *testing.T) {
	w := get(New(newSet(), nil), "/")
	policy := w.Header().Get("Content-Security-Policy")
	for tag, directive := range map[string]string{"script": "script-src", "style": "style-src"} {
		text := regexp.MustCompile(`(?s)<`+tag+`>(.*?)</`+tag+`>`).FindAllStringSubmatch(w.Body.String(), -1)
		require.Len(t, text, 1, tag)
		sum := sha256.Sum256([]byte(text[0][1]))
		assert.Contains(t, policy, directive+" 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"';")
	}
	assert.NotContains(t, policy, "unsafe")
	assert.NotContains(t, policy, "*")
}

// Nothing may be loaded from anywhere, and no text may become markup.
func TestPageIsSelfContained(t *testing.T) {
	page := get(New(newSet("<b>key</b>"), nil), "/").Body.String()
	assert.NotContains(t, page, "key</b>", "circuits come as JSON only")
	page = strings.ReplaceAll(page, "http://www.w3.org/2000/svg", "")
	for _, external := range []string{"http://", "https://", "src=", "@import", "url(", "//cdn"} {
		assert.NotContains(t, page, external)
	}
	for _, sink := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "DOMParser", "setHTML"} {
		assert.NotContains(t, page, sink)
	}
	assert.Empty(t, regexp.MustCompile(`(href|action)="/`).FindString(page), "URLs are relative")
	assert.Empty(t, regexp.MustCompile(` (on[a-z]+|style)="`).FindString(page), "no inline handlers or styles")
}

func TestPageShowsControlsOnlyToThoseWhoMay(t *testing.T) {
	for name, c := range map[string]struct {
		control func(*http.Request) bool
		want    bool
	}{
		"off":     {nil, false},
		"refused": {func(*http.Request) bool { return false }, false},
		"allowed": {func(*http.Request) bool { return true }, true},
	} {
		page := get(New(newSet(), &Options{Control: c.control, Operator: func(*http.Request) string { return "alice" }}), "/").Body.String()
		assert.Equal(t, c.want, strings.Contains(page, "<dialog"), name)
		assert.Equal(t, c.want, strings.Contains(page, `data-control="true"`), name)
		assert.Equal(t, c.want, strings.Contains(page, "by alice"), name)
	}
}
