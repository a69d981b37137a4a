package docs

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/internal/doctest"
	"github.com/seed-0b728cf8/httpbreaker/statuspage"
)

var update = flag.Bool("update", false, "copy the figures of the benches into the README")

// TestREADME shows that what the README shows compiles, and that the tests which it names as
// proof are there.
func TestREADME(t *testing.T) {
	readme := doctest.Check(t, "../../README.md", "*_test.go", "../../*_test.go", "../../breaker/*_test.go", "../contract/*_test.go")
	assert.Less(t, strings.Count(readme, "\n"), 250)
	assert.Less(t, strings.Count(readme[:strings.Index(readme, "```go")], "\n"), 12, "a reader wants to see code at once")
}

// TestREADMEFigures shows that the README's figures are those of the pages that the benches
// write. "make figures" copies them.
func TestREADMEFigures(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	readme := string(text)
	for title, figures := range map[string]func(*testing.T, string, []string) func(string) []string{
		"## What it costs": speedFigures, "## How well it decides": qualityFigures,
	} {
		_, section, _ := strings.Cut(readme, "\n"+title+"\n")
		section, _, _ = strings.Cut(section, "\n## ")
		link := regexp.MustCompile(`\]\(([^)]+/(?:speed|quality)\.md)\)`).FindStringSubmatch(section)
		require.NotEmpty(t, link, "%s does not say where its figures are from", title)
		page, err := os.ReadFile("../../" + link[1])
		require.NoError(t, err)

		table := rows(section)
		require.Greater(t, len(table), 2, title)
		of := figures(t, string(page), table[0][1:])
		for _, row := range table[2:] {
			want := append([]string{row[0]}, of(row[0])...)
			if !*update {
				assert.Equal(t, want, row, "%s: not as in %s", title, link[1])
			}
			readme = strings.Replace(readme, line(row), line(want), 1)
		}
	}
	if *update {
		require.NoError(t, os.WriteFile("../../README.md", []byte(readme), 0o644))
	}
}

// qualityFigures reads the overview of the page of the control bench: the figures in the
// columns with these titles, of a row.
func qualityFigures(t *testing.T, page string, columns []string) func(string) []string {
	_, overview, _ := strings.Cut(page, "\n## In short\n")
	overview, _, _ = strings.Cut(overview, "\n## ")
	table := rows(overview)
	require.NotEmpty(t, table)
	return func(name string) (figures []string) {
		row := rowOf(t, table, name)
		for _, c := range columns {
			require.Contains(t, table[0], c)
			figures = append(figures, plain(row[slices.Index(table[0], c)]))
		}
		return figures
	}
}

// speedFigures reads the goals on the page of the speed bench: what was measured for a row, on
// the numbers of cores that the columns name.
func speedFigures(t *testing.T, page string, columns []string) func(string) []string {
	_, goals, _ := strings.Cut(page, "\n## Goals\n")
	table := rows(goals)
	require.NotEmpty(t, table)
	what, cores, measured := slices.Index(table[0], "what"), slices.Index(table[0], "cores"), slices.Index(table[0], "measured")
	return func(name string) (figures []string) {
		for _, c := range columns {
			n, _, _ := strings.Cut(c, " ") // "2 cores"
			i := slices.IndexFunc(table, func(r []string) bool { return plain(r[what]) == name && plain(r[cores]) == n })
			require.GreaterOrEqual(t, i, 0, "%q on %s", name, c)
			figure, _, _ := strings.Cut(plain(table[i][measured]), " (") // without the range
			figures = append(figures, figure)
		}
		return figures
	}
}

// rows are the cells of the first table of text.
func rows(text string) (table [][]string) {
	for l := range strings.Lines(text) {
		l = strings.TrimSpace(l)
		if !strings.HasPrefix(l, "|") {
			if table != nil {
				return table
			}
			continue
		}
		var row []string
		for cell := range strings.SplitSeq(strings.Trim(l, "|"), "|") {
			row = append(row, strings.TrimSpace(cell))
		}
		table = append(table, row)
	}
	return table
}

func rowOf(t *testing.T, table [][]string, name string) []string {
	i := slices.IndexFunc(table, func(r []string) bool { return plain(r[0]) == plain(name) })
	require.GreaterOrEqual(t, i, 0, "the page has no row %q", name)
	return table[i]
}

func line(row []string) string { return "| " + strings.Join(row, " | ") + " |\n" }

func plain(cell string) string { return strings.ReplaceAll(cell, "**", "") }

var (
	_ = readmeClient
	_ = readmeBase
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

func readmeBase(base http.RoundTripper) *http.Client {
	client := &http.Client{Transport: httpbreaker.New(&httpbreaker.Config{Base: base})}
	return client
}

func readmeOpen(client *http.Client) {
	res, err := client.Get("https://api.example.com/users/7")
	var open *httpbreaker.OpenError
	if errors.As(err, &open) {
		log.Printf("%s is cut off: %s; next try in %.1f s", open.Key, open.Reason, open.RetryAfter().Seconds())
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
		Config: breaker.Config{SlowCall: time.Second},
		Override: func(key string, c *breaker.Config) {
			if key == "reports.example.com" {
				c.SlowCall = 30 * time.Second
			}
		},
	})
	transport := httpbreaker.New(&httpbreaker.Config{Breakers: circuits})
	fmt.Println(breaker.Config{SlowCall: time.Second})

	http.Handle("/debug/circuits/", statuspage.New(circuits, nil))
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
