package httpbreaker_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/internal/rig"
)

// byHost is the key of a URL that may not be one that can be parsed.
func byHost(scheme, host string) string {
	return httpbreaker.ByHost(&http.Request{URL: &url.URL{Scheme: scheme, Host: host}})
}

func TestByHost(t *testing.T) {
	for rawURL, want := range map[string]string{
		"https://api.example.com/x":           "api.example.com",
		"https://api.example.com:443":         "api.example.com",
		"https://api.example.com.":            "api.example.com",
		"https://api.example.com.:443":        "api.example.com",
		"https://API.Example.COM":             "api.example.com",
		"https://api.example.com:8443":        "api.example.com:8443",
		"https://api.example.com:80":          "api.example.com:80",
		"http://api.example.com":              "api.example.com:80",
		"http://api.example.com.":             "api.example.com:80",
		"http://api.example.com:443":          "api.example.com:443",
		"http://svc":                          "svc:80",
		"http://svc:8080":                     "svc:8080",
		"http://SVC:8080":                     "svc:8080",
		"http://my_svc":                       "my_svc:80",
		"http://h:0080":                       "h:80",
		"http://h:":                           "h:80",
		"http://h:0":                          "h:0",
		"https://h:":                          "h",
		"https://h:00443":                     "h",
		"http://h:65535":                      "h:65535",
		"http://h:65536":                      "!h:65536",
		"http://h:99999999999999999999":       "!h:99999999999999999999",
		"https://h:65536":                     "!h:65536",
		"http://[0:0:0:0:0:0:0:1]:80":         "[::1]:80",
		"https://[::1]":                       "[::1]",
		"https://[::1]:443":                   "[::1]",
		"https://[2001:DB8::1]:8443":          "[2001:db8::1]:8443",
		"http://[::ffff:127.0.0.1]:9":         "127.0.0.1:9",
		"https://[FE80::1%25eth0]":            "[fe80::1%eth0]",
		"https://[fe80::1%25ETH0]:1":          "[fe80::1%ETH0]:1",
		"https://[fe80::1%25AZ]":              "[fe80::1%AZ]",
		"http://127.0.0.1":                    "127.0.0.1:80",
		"http://127.1":                        "127.1:80",
		"http://bücher.example":               "b%c3%bccher.example:80",
		"http://b%C3%BCcher.example":          "b%c3%bccher.example:80",
		"http://BÜCHER.example":               "b%c3%bccher.example:80",
		"http://一":                            "%e4%b8%80:80",
		"http://~$&'()*+,;=":                  "~$&'()*+,;=:80",
		"http://xn--bcher-kva.example":        "xn--bcher-kva.example:80",
		"http://user:password@Host.test:8080": "host.test:8080",
		"http://%ff.example":                  `!\xff.example`,
		"s3://bucket":                         "bucket:0",
		"s3://bucket:443":                     "bucket:443",
		"":                                    "!no-host",
		"/path":                               "!no-host",
		"mailto:a@b":                          "!no-host",
	} {
		u, err := url.Parse(rawURL)
		require.NoError(t, err, rawURL)
		assert.Equal(t, want, httpbreaker.ByHost(&http.Request{URL: u}), rawURL)
		assert.Equal(t, want, httpbreaker.ByHost(&http.Request{URL: u, Host: "other.test"}), "%s, again", rawURL)
	}
}

// A URL.Host that is no host name may be dialled all the same, by a DialContext of the
// user's: each has a key of its own.
func TestByHostOfNoHostName(t *testing.T) {
	assert.Equal(t, "!no-host", httpbreaker.ByHost(nil))
	assert.Equal(t, "!no-host", httpbreaker.ByHost(&http.Request{}))
	assert.Equal(t, "!no-host", byHost("http", ""))
	for host, want := range map[string]string{
		"/run/docker.sock":       "!/run/docker.sock",
		"%2Frun%2Fdocker.sock":   "!%2Frun%2Fdocker.sock",
		"//./pipe/docker_engine": "!//./pipe/docker_engine",
		`C:\run\d`:               `!C:\x5crun\x5cd`,
		"a b":                    `!a\x20b`,
		"evil\nhost":             `!evil\x0ahost`,
		"\x1b[31m~\x7f":          `!\x1b[31m~\x7f`,
		strings.Repeat("/", 253): "!" + strings.Repeat("/", 253),
		"sökk/":                  `!s\xc3\xb6kk/`,
		"!no-host":               "!!no-host",
		"user:password@h":        "!@h",
		"u@password@/run/d.sock": "!@/run/d.sock",
	} {
		assert.Equal(t, want, byHost("http", host))
		assert.Equal(t, want, byHost("https", host), "a socket has no port")
	}
	keys := map[string]string{}
	for _, host := range []string{
		" ", "a b", "evil\nhost", "evil\x00", "\x1b[31m", "a/b", "a?b", "a#b", "a\\b", `a\x5cb`, "a%b", "%61",
		"!invalid", ":", ":80", ".", "..", ".a", "a..b", "a..", ".:80", "a:b", "a:-1", "a:+1", "a: 80", "a:80:80",
		"::1", "[::1", "[]", "[", "]", "[::1]x", "[::1]80", "[127.0.0.1]", "[name]", "[::1%]", "[fe80::1%a b]", "[fe80::1%\n]", "[fe80::1%a[b]", "[fe80::1%@]",
		"[fe80::1%" + strings.Repeat("a", 254) + "]",
		"\xff", "a\xc3", strings.Repeat("a", 254), strings.Repeat("a", 255), strings.Repeat("a.", 500),
		strings.Repeat("a.", 500) + "/1", strings.Repeat("a.", 500) + "/2", "a:" + strings.Repeat("9", 1000),
	} {
		for _, scheme := range []string{"http", "https", "", "\n"} {
			key := byHost(scheme, host)
			assert.True(t, strings.HasPrefix(key, "!"), "%q of %q", key, host)
			assert.LessOrEqual(t, len(key), 300)
			if other, ok := keys[key]; ok {
				assert.Equal(t, other, host, "the same key, %q", key)
			}
			keys[key] = host
		}
	}
	for _, longest := range []string{strings.Repeat("a", 253), "[fe80::1%" + strings.Repeat("a", 253) + "]"} {
		assert.Equal(t, longest, byHost("https", longest), "as long as a name can be")
	}
	assert.Equal(t, strings.Repeat("a", 253), byHost("https", strings.Repeat("A", 253)))
}

// checkKey holds for every key that ByHost makes.
func checkKey(t *testing.T, scheme, host string) {
	t.Helper()
	key := byHost(scheme, host)
	require.NotEmpty(t, key)
	require.LessOrEqual(t, len(key), 3*253+len("[]:65535"))
	for _, c := range []byte(key) {
		require.True(t, c > ' ' && c < 0x7f, "%q of %q is not printable", key, host)
	}
	require.Equal(t, key, byHost(scheme, host), "%q: the second time", host)
	if key[0] == '!' {
		require.LessOrEqual(t, len(key), 300)
		return
	}
	if !strings.Contains(host, "%") { // a zone keeps its case
		require.Equal(t, key, byHost(scheme, asciiUpper(host)), "%q in upper case", host)
	}
	text := key
	if strings.HasPrefix(key, "[") {
		text = strings.Replace(key, "%", "%25", 1) // RFC 6874
	}
	u, err := url.Parse(scheme + "://" + text)
	require.NoError(t, err, "the key of %q as the host of a URL", host)
	require.Equal(t, key, byHost(scheme, u.Host), "the key of %q as the host of a URL", host)
}

func asciiUpper(s string) string {
	return strings.Map(func(c rune) rune {
		if 'a' <= c && c <= 'z' {
			return c - 'a' + 'A'
		}
		return c
	}, s)
}

func FuzzByHost(f *testing.F) {
	for _, host := range []string{"api.example.com", "API.example.com.:0443", "bücher.example", "[::1]:80", "[fe80::1%eth0]", "a b", "h:65536", "\xff", "K.example"} {
		f.Add(false, host)
		f.Add(true, host)
	}
	f.Fuzz(func(t *testing.T, https bool, host string) {
		checkKey(t, map[bool]string{false: "http", true: "https"}[https], host)
	})
}

func TestByHostDoesNotAllocate(t *testing.T) {
	for _, rawURL := range []string{
		"https://api.example.com/x", "https://api.example.com:443", "https://api.example.com:8443",
		"http://svc:8080", "http://svc", "http://api.example.com/x", "https://API.example.com.", "http://[::1]", "http://bücher.example",
	} {
		req := rig.NewRequest(t, "GET", rawURL, nil)
		for range 1000 { // until it is remembered, whatever other tests have left there
			httpbreaker.ByHost(req)
		}
		assert.Zero(t, testing.AllocsPerRun(100, func() { httpbreaker.ByHost(req) }), rawURL)
	}
	for scheme, port := range map[string]string{"https": "", "http": ":8080"} { // hosts never met, in canonical form
		urls := make([]url.URL, 101)
		for i := range urls {
			urls[i] = url.URL{Scheme: scheme, Host: fmt.Sprintf("new-%d.example.com%s", i, port)}
		}
		req, i := new(http.Request), 0
		assert.Zero(t, testing.AllocsPerRun(100, func() {
			req.URL = &urls[i]
			httpbreaker.ByHost(req)
			i++
		}), scheme)
	}
}

// Other hosts, however many, cost no allocation but their own.
func TestByHostFlood(t *testing.T) {
	const hosts = 50_000
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := worker; i < hosts; i += 4 {
				host := fmt.Sprintf("host-%d.example.com", i)
				if got := byHost("http", host); got != host+":80" {
					t.Errorf("got %q for %q", got, host)
				}
			}
		})
	}
	wg.Wait()
	req := &http.Request{URL: &url.URL{Scheme: "http", Host: "late.example.com"}}
	for range 10_000 { // comes often, so it gets in
		httpbreaker.ByHost(req)
	}
	assert.Zero(t, testing.AllocsPerRun(100, func() { httpbreaker.ByHost(req) }))
}

func TestWithKey(t *testing.T) {
	rt := httpbreaker.New(&httpbreaker.Config{
		Base: rig.Respond(200, ""),
		Key:  func(*http.Request) string { t.Error("Key was asked"); return "wrong" },
	})
	for _, key := range []string{"tenant 7", ""} {
		ctx := httpbreaker.WithKey(httpbreaker.WithKey(context.Background(), "outer"), key)
		res, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://example.com", nil).WithContext(ctx))
		require.NoError(t, err)
		res.Body.Close()
	}
	assert.Equal(t, 1, rt.Breakers().Len(), "the empty key has no circuit")
	_, ok := rt.Breakers().Lookup("tenant 7")
	assert.True(t, ok)
}
