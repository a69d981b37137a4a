package httpbreaker_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/internal/rig"
)

func TestByRoute(t *testing.T) {
	key := httpbreaker.ByRoute(
		"GET /users/{id}", "GET \t /tabs", "/search/", "/any", "/files/{path...}", "DELETE /x/", "OPTIONS /opts",
		"POST PAY.example.com/charges", "[::1]/v6", "bücher.example/idn", "CONNECT /{$}",
	)
	for request, want := range map[string]string{
		"GET https://api.example.com/users/7":         "GET /users/{id} api.example.com",
		"GET https://API.example.com:443/users/7":     "GET /users/{id} api.example.com",
		"GET http://api.example.com/users/7":          "GET /users/{id} api.example.com:80",
		"GET https://other.example.com/users/7":       "GET /users/{id} other.example.com",
		"GET https://[fe80::1%25eth0]:1/users/7":      "GET /users/{id} [fe80::1%eth0]:1",
		"HEAD https://api.example.com/users/7":        "GET /users/{id} api.example.com",
		"GET https://api.example.com/users/7?id=8#x":  "GET /users/{id} api.example.com",
		"GET https://api.example.com/users/a%2Fb":     "GET /users/{id} api.example.com",
		"GET https://api.example.com//users/x/../7":   "GET /users/{id} api.example.com",
		"GET https://api.example.com/users/7/orders":  "api.example.com",
		"PUT https://api.example.com/users/7":         "api.example.com",
		"GET https://api.example.com/tabs":            "GET /tabs api.example.com",
		"GET https://api.example.com/search/x/y":      "/search/ api.example.com",
		"GET https://api.example.com/search":          "/search/ api.example.com",
		"POST https://api.example.com/search":         "/search/ api.example.com",
		"PURGE https://api.example.com/any":           "/any api.example.com",
		"GET https://api.example.com/files/a/b/c":     "/files/{path...} api.example.com",
		"DELETE https://api.example.com/x/y":          "DELETE /x/ api.example.com",
		"OPTIONS https://api.example.com/opts":        "OPTIONS /opts api.example.com",
		"OPTIONS https://api.example.com/any":         "/any api.example.com",
		"OPTIONS https://api.example.com/users/7":     "api.example.com",
		"GET https://api.example.com":                 "api.example.com",
		"GET http://api.example.com":                  "api.example.com:80",
		"DELETE https://api.example.com":              "api.example.com",
		"POST https://pay.example.com/charges":        "POST pay.example.com/charges",
		"POST https://pay.example.com./charges":       "POST pay.example.com/charges",
		"POST http://pay.example.com/charges":         "POST pay.example.com/charges pay.example.com:80",
		"POST https://pay.example.com:8443/charges":   "POST pay.example.com/charges pay.example.com:8443",
		"POST https://api.example.com/charges":        "api.example.com",
		"GET https://[::1]/v6":                        "[::1]/v6",
		"GET https://[::1]:8443/v6":                   "[::1]/v6 [::1]:8443",
		"GET https://bücher.example/idn":              "b%c3%bccher.example/idn",
		"CONNECT https://api.example.com":             "CONNECT /{$} api.example.com",
		"CONNECT https://api.example.com/tree":        "api.example.com",
		"CONNECT https://api.example.com/search":      "/search/ api.example.com",
		"GET https://user:password@api.example.com/x": "api.example.com",
	} {
		method, rawURL, _ := strings.Cut(request, " ")
		u, err := url.Parse(rawURL)
		require.NoError(t, err)
		req := &http.Request{Method: method, URL: u, Host: "pay.example.com"} // the field says nothing
		assert.Equal(t, want, key(req), request)
		assert.Equal(t, want, key(req), "%s, again", request)
	}
}

// Nothing that a request may hold makes it panic or leave the known routes.
func TestByRouteOddRequests(t *testing.T) {
	key := httpbreaker.ByRoute("GET /users/{id}", "/tree/")
	for want, req := range map[string]*http.Request{
		"!no-host":                {},
		"GET /users/{id} h:80":    {URL: &url.URL{Scheme: "http", Host: "h", Path: "/users/7"}}, // no method is GET
		"h:1":                     {Method: "OPTIONS", URL: &url.URL{Scheme: "http", Host: "h:1", Path: "*"}},
		"h:2":                     {Method: "GET", URL: &url.URL{Scheme: "http", Host: "h:2", Opaque: "//h/users/7", Path: "/users/7"}},
		"GET /users/{id} h:3":     {Method: "GET", URL: &url.URL{Scheme: "http", Host: "h:3", Path: "users/7"}},
		"h:4":                     {Method: "G ET", URL: &url.URL{Scheme: "http", Host: "h:4", Path: "/users/7"}},
		"h:5":                     {Method: "CONNECT", URL: &url.URL{Scheme: "http", Host: "h:5"}},
		"h:6":                     {Method: "GET", URL: &url.URL{Scheme: "http", Host: "h:6", Path: "/\xff\n", RawPath: "/%zz"}},
		"GET /users/{id} h:7":     {Method: "GET", URL: &url.URL{Scheme: "http", Host: "h:7", Path: "/users/\xff\n"}},
		"/tree/ h:8":              {Method: "CONNECT", URL: &url.URL{Scheme: "http", Host: "h:8", Path: "/tree"}},
		"/tree/ h:9":              {Method: "GET", URL: &url.URL{Scheme: "http", Host: "h:9", Path: "/tree"}},
		"h:10":                    {Method: "CONNECT", URL: &url.URL{Scheme: "http", Host: "h:10", Path: "/no/tree"}},
		"/tree/ h:11":             {Method: "GET", URL: &url.URL{Scheme: "http", Host: "h:11", Path: "/tree/" + strings.Repeat("x/", 5000)}},
		"GET /users/{id} h.z:443": {Method: "GET", URL: &url.URL{Scheme: "http", Host: "H.z:443", Path: "/users/7"}},
	} {
		assert.Equal(t, want, key(req))
	}
	assert.Equal(t, "!no-host", key(nil))
	socket := &url.URL{Scheme: "http", Host: "/run/d.sock", Path: "/users/7"}
	assert.Equal(t, "GET /users/{id} !/run/d.sock", key(&http.Request{Method: "GET", URL: socket}))
	assert.Equal(t, "h", httpbreaker.ByRoute()(rig.NewRequest(t, "GET", "https://h/users/7", nil)), "no patterns")
}

func TestByRouteRefusesBadPatterns(t *testing.T) {
	for _, test := range []struct {
		patterns []string
		want     []string // what the panic says
	}{
		{[]string{"/ok", "GET /{"}, []string{`patterns[1] = "GET /{"`, "bad wildcard"}},
		{[]string{""}, []string{`patterns[0] = ""`}},
		{[]string{"users"}, []string{`patterns[0] = "users"`, "missing /"}},
		{[]string{"G(T /"}, []string{`patterns[0] = "G(T /"`, "invalid method"}},
		{[]string{"GET /a//b"}, []string{`patterns[0] = "GET /a//b"`, "unclean"}},
		{[]string{"/a/{x}/{x}"}, []string{`patterns[0] = "/a/{x}/{x}"`, "duplicate"}},
		{[]string{"/a", "/a"}, []string{`patterns[1] = "/a"`, "conflicts with"}},
		{[]string{"/{x}/b", "/a/{y}"}, []string{`patterns[1] = "/a/{y}"`, `conflicts with pattern "/{x}/b"`}},
		{[]string{"h:80/"}, []string{`patterns[0] = "h:80/"`, "without a port"}},
		{[]string{"h:0/"}, []string{`patterns[0] = "h:0/"`, "without a port"}},
		{[]string{"h:/"}, []string{`patterns[0] = "h:/"`, "without a port"}},
		{[]string{"a,b@/"}, []string{`patterns[0] = "a,b@/"`, "host name"}},
		{[]string{"/a\nb"}, []string{`patterns[0] = "/a\nb"`, "printable"}},
		{[]string{"/\xff"}, []string{`patterns[0] = "/\xff"`, "printable"}},
	} {
		func() {
			defer func() {
				text := fmt.Sprint(recover())
				assert.True(t, strings.HasPrefix(text, "httpbreaker: ByRoute: patterns["), text)
				for _, want := range test.want {
					assert.Contains(t, text, want)
				}
				assert.NotRegexp(t, `registered at|\.go:\d`, text, "that is no place of the user's")
			}()
			httpbreaker.ByRoute(test.patterns...)
		}()
	}
}

// An old setting makes http.ServeMux take patterns for paths.
func TestByRouteWithoutPatterns(t *testing.T) {
	if os.Getenv("GODEBUG") == "httpmuxgo121=1" {
		httpbreaker.ByRoute("GET /users/{id}")
		return
	}
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, "-test.run=^TestByRouteWithoutPatterns$")
	cmd.Env = append(os.Environ(), "GODEBUG=httpmuxgo121=1")
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "httpbreaker: ByRoute: GODEBUG has httpmuxgo121=1")
}

func TestByRouteConcurrently(t *testing.T) {
	key := httpbreaker.ByRoute("GET /users/{id}")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 1000 {
				host := fmt.Sprintf("h%d", i%50)
				got := key(&http.Request{Method: "GET", URL: &url.URL{Scheme: "https", Host: host, Path: "/users/7"}})
				if got != "GET /users/{id} "+host {
					t.Errorf("got %q for %q", got, host)
				}
			}
		})
	}
	wg.Wait()
}

// What is left is http.ServeMux's, and a URL for it.
func TestByRouteAllocates(t *testing.T) {
	key := httpbreaker.ByRoute("GET /users/{id}", "/search")
	for rawURL, most := range map[string]float64{
		"https://h/users/7": 2,
		"http://h/search":   2,
		"https://h/other/x": 6,
	} {
		req := rig.NewRequest(t, "GET", rawURL, nil)
		key(req)
		assert.LessOrEqual(t, testing.AllocsPerRun(100, func() { key(req) }), most, rawURL)
	}
}

func FuzzByRoute(f *testing.F) {
	f.Add("GET", "h", "/users/7", "")
	f.Add("CONNECT", "h:443", "/tree", "")
	f.Add("", "[::1]:80", "//users/../x", "/%2e")
	key := httpbreaker.ByRoute("GET /users/{id}", "/tree/", "POST pay.example.com/charges", "DELETE /x/{y...}")
	routes := []string{"GET /users/{id} ", "/tree/ ", "POST pay.example.com/charges ", "DELETE /x/{y...} "}
	f.Fuzz(func(t *testing.T, method, host, path, rawPath string) {
		req := &http.Request{Method: method, URL: &url.URL{Scheme: "http", Host: host, Path: path, RawPath: rawPath}}
		got := key(req)
		for _, route := range routes {
			if rest, ok := strings.CutPrefix(got, route); ok {
				got = rest
				break
			}
		}
		require.Equal(t, httpbreaker.ByHost(req), got)
	})
}
