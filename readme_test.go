package httpbreaker_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/statuspage"
)

// TestREADMECode shows that every block of Go in the README compiles: it stands
// below, line by line.
func TestREADMECode(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	source, err := os.ReadFile("readme_test.go")
	require.NoError(t, err)

	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		assert.Contains(t, flat(string(source)), flat(block[1]), "a block of the README is not in this file")
	}
	assert.Less(t, strings.Count(string(readme[:strings.Index(string(readme), "```go")]), "\n"), 8,
		"a reader wants to see code at once")
}

// TestREADMENames shows that the tests which the README names as proof, and the
// files that it links to, are there.
func TestREADMENames(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	var tests strings.Builder
	for _, pattern := range []string{"*_test.go", "breaker/*_test.go", "test/contract/*_test.go"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range files {
			source, err := os.ReadFile(file)
			require.NoError(t, err)
			tests.Write(source)
		}
	}
	names := regexp.MustCompile("`(Test[A-Za-z0-9_]+)`").FindAllStringSubmatch(string(readme), -1)
	require.NotEmpty(t, names)
	for _, name := range names {
		assert.True(t, strings.Contains(tests.String(), "\nfunc "+name[1]+"(t *testing.T)"), "%s is no test", name[1])
	}
	for _, link := range regexp.MustCompile(`(?:\]\(|src(?:set)?=")([^)"#]+)`).FindAllStringSubmatch(string(readme), -1) {
		if !strings.HasPrefix(link[1], "https://") {
			_, err := os.Stat(link[1])
			assert.NoError(t, err)
		}
	}
}

// TestREADMEFigures shows that the README's figures of quality are those of the
// page that the bench writes.
func TestREADMEFigures(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	page, err := os.ReadFile("bench/results/quality.md")
	require.NoError(t, err)
	_, section, _ := strings.Cut(string(readme), "## How well it decides")
	section, _, _ = strings.Cut(section, "\n## ")
	overview, _, _ := strings.Cut(string(page), "\n### ")

	rows := regexp.MustCompile(`(?m)^\| ([^|\s][^|]*) \| (.*) \|$`).FindAllStringSubmatch(section, -1)
	require.NotEmpty(t, rows)
	for _, row := range rows {
		name := row[1]
		switch name {
		case "**httpbreaker**", "no breaker":
		default:
			name += ", like ours"
		}
		theirs := regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(name) + ` \| .*$`).FindString(overview)
		for _, figure := range strings.Split(row[2], " | ") {
			assert.Contains(t, theirs, "| "+figure+" |", name)
		}
	}
}

// flat leaves layout aside: indentation, alignment and comments, so that the
// README may align its comments as it likes.
func flat(code string) string {
	var lines []string
	for line := range strings.Lines(code) {
		line, _, _ = strings.Cut(line, " // ")
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

var (
	_ = readmeClient
	_ = readmeOpen
	_ = readmeClassify
	_ = readmeKeys
	_ = readmeFallback
	_ = readmeRules
	_ = readmeLayers
	_ = readmeAlone
)

func readmeClient() *http.Client {
	client := &http.Client{Transport: httpbreaker.New(nil), Timeout: 10 * time.Second}
	return client
}

func readmeOpen(client *http.Client) {
	res, err := client.Get("https://api.example.com/users/7")
	var open *httpbreaker.OpenError
	if errors.As(err, &open) {
		log.Printf("%s is cut off: %s; next try in %s", open.Key, open.Reason, open.RetryAfter())
		return
	}
	_ = res
}

func readmeClassify(errNotAllowed error) http.RoundTripper {
	classify := httpbreaker.Statuses(nil, breaker.Success, 500)
	classify = httpbreaker.Errors(classify, breaker.Ignored, errNotAllowed)
	classify = httpbreaker.DeadlinesOver(classify, 500*time.Millisecond)
	transport := httpbreaker.New(&httpbreaker.Config{Classify: classify})
	return transport
}

func readmeKeys(ctx context.Context) (http.RoundTripper, context.Context) {
	transport := httpbreaker.New(&httpbreaker.Config{
		Key: httpbreaker.ByRoute("GET /users/{id}", "POST /search"),
	})
	ctx = httpbreaker.WithKey(ctx, "nightly-import")
	return transport, ctx
}

func readmeFallback() http.RoundTripper {
	cached := http.Header{"Content-Type": {"application/json"}}
	transport := httpbreaker.New(&httpbreaker.Config{
		Fallback: httpbreaker.Respond(503, cached, []byte(`{"users":[]}`)),
	})
	return transport
}

func readmeRules() http.RoundTripper {
	circuits := breaker.NewSet(breaker.Options{
		Config: breaker.Config{SlowCall: time.Second, FailureRate: 0.3},
		Override: func(key string, c *breaker.Config) {
			if key == "reports.example.com" {
				c.SlowCall = 30 * time.Second
			}
		},
	})
	transport := httpbreaker.New(&httpbreaker.Config{Breakers: circuits})
	fmt.Println(breaker.Config{SlowCall: time.Second})

	http.Handle("/circuits/", http.StripPrefix("/circuits", statuspage.New(circuits, nil)))
	stop := circuits.Watch(breaker.LogHooks(slog.Default()))
	defer stop()
	return transport
}

func readmeLayers(
	transport http.RoundTripper,
	policy func(context.Context, *http.Response, error) (bool, error),
	retrying struct {
		CheckRetry func(context.Context, *http.Response, error) (bool, error)
	},
) *httputil.ReverseProxy {
	retrying.CheckRetry = httpbreaker.StopRetryWhenOpen(policy)
	proxy := &httputil.ReverseProxy{Transport: transport, ErrorHandler: httpbreaker.ProxyErrorHandler(nil)}
	return proxy
}

type User struct{}

func readmeAlone(ctx context.Context, load func(context.Context, int) (User, error)) (User, error) {
	b := breaker.New("users-db", breaker.Config{})
	user, err := breaker.Do(ctx, b, func(ctx context.Context) (User, error) { return load(ctx, 7) })
	return user, err
}
