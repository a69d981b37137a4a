package breakerprom_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerprom"
)

// watchedHosts, if set, makes this binary the process that Prometheus watches:
// it calls these URLs until its standard input ends.
const watchedHosts = "HTTPBREAKER_TEST_HOSTS"

func TestMain(m *testing.M) {
	if hosts := os.Getenv(watchedHosts); hosts != "" {
		beWatched(strings.Fields(hosts))
		return
	}
	os.Exit(m.Run())
}

func beWatched(hosts []string) {
	set := breaker.NewSet(breaker.Options{Config: breaker.Config{OpenFor: time.Second, MaxOpenFor: time.Second}})
	client := &http.Client{Transport: httpbreaker.New(&httpbreaker.Config{Breakers: set}), Timeout: time.Second}
	for _, host := range hosts {
		go func() {
			for range time.Tick(10 * time.Millisecond) {
				if resp, err := client.Get(host); err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
			}
		}()
	}
	prometheus.MustRegister(breakerprom.NewCollector(set, &breakerprom.Options{Fleet: sharing(inTrouble)}))
	metrics := httptest.NewServer(promhttp.Handler())
	fmt.Println(metrics.Listener.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// A real Prometheus watches a real process whose host is killed and comes back.
func TestPrometheus(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	binary := program(t, "prometheus")
	host := newHost(t)
	other := newHost(t)
	target := startWatched(t, host.url(), other.url())
	prom := startPrometheus(t, binary, target)
	key := strings.TrimPrefix(host.url(), "http://")

	healthy := fmt.Sprintf(`httpbreaker_circuit_state{key=%q} == 0`, key)
	eventually(t, "the healthy host is scraped", func() bool { return len(prom.query(t, healthy)) == 1 })

	host.kill()
	eventually(t, "the alert fires", func() bool { return prom.firing(t, "HTTPBreakerCircuitOpen", key) })
	assert.False(t, prom.firing(t, "HTTPBreakerCircuitOpen", strings.TrimPrefix(other.url(), "http://")))
	eventually(t, "the alert on rejected calls fires", func() bool { return prom.firing(t, "HTTPBreakerCallsRejected", "") })

	// While it is open, each series that dashboard and rules name is there.
	names := slices.Sorted(maps.Keys(metricNames(t, "dashboard.json", "alerts.yml")))
	require.Greater(t, len(names), 10)
	for _, name := range names {
		eventually(t, name+" is there", func() bool { return len(prom.query(t, name)) > 0 })
	}
	mayBeEmpty := regexp.MustCompile(`mode!="enforce"`)
	for _, expr := range dashboardQueries(t) {
		if !mayBeEmpty.MatchString(expr) {
			eventually(t, expr+" has a value", func() bool { return len(prom.query(t, expr)) > 0 })
		}
	}

	for _, expr := range documentedQueries(t) {
		eventually(t, expr+" has a value", func() bool { return len(prom.query(t, expr)) > 0 })
	}

	host.revive(t)
	eventually(t, "the circuit closes", func() bool { return len(prom.query(t, healthy)) == 1 })
	eventually(t, "the alert is over", func() bool { return !prom.firing(t, "HTTPBreakerCircuitOpen", key) })
}

const operatorsPage = "../../docs/operating.md"

// program returns the path of an installed program that a test needs.
func program(t *testing.T, name string) string {
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	message := name + " is not installed; it is in Debian's package prometheus"
	if os.Getenv("CI") == "true" {
		t.Fatal(message)
	}
	t.Skip(message)
	return ""
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 30*time.Second, 100*time.Millisecond, what)
}

// host is a server that can be killed and started again on the same port.
type host struct {
	server *httptest.Server
	addr   string
}

func newHost(t *testing.T) *host {
	h := &host{addr: "127.0.0.1:0"}
	h.revive(t)
	t.Cleanup(h.kill)
	return h
}

func (h *host) url() string { return "http://" + h.addr }

func (h *host) kill() {
	h.server.CloseClientConnections()
	h.server.Close()
}

func (h *host) revive(t *testing.T) {
	listener, err := net.Listen("tcp", h.addr)
	require.NoError(t, err)
	h.addr = listener.Addr().String()
	h.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "hello")
	}))
	h.server.Listener.Close()
	h.server.Listener = listener
	h.server.Start()
}

// startWatched starts this binary as another process that calls hosts, and
// returns where its metrics are.
func startWatched(t *testing.T, hosts ...string) (addr string) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), watchedHosts+"="+strings.Join(hosts, " "))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		stdin.Close()
		cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(line)
}

// promAPI is the API of a running Prometheus.
type promAPI struct{ base string }

// startPrometheus starts a Prometheus that scrapes target with the module's
// alerts, all times shortened.
func startPrometheus(t *testing.T, binary, target string) promAPI {
	dir := t.TempDir()
	rules, err := os.ReadFile("alerts.yml")
	require.NoError(t, err)
	rules = regexp.MustCompile(`for: \d+[mh]`).ReplaceAll(rules, []byte("for: 500ms"))
	rules = regexp.MustCompile(`\[\d+m\]`).ReplaceAll(rules, []byte("[5s]"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "alerts.yml"), rules, 0o600))
	config := fmt.Sprintf(`
global: {scrape_interval: 250ms, scrape_timeout: 250ms, evaluation_interval: 250ms}
rule_files: [alerts.yml]
scrape_configs:
  - job_name: shop
    static_configs: [{targets: [%q]}]
`, target)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600))

	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := free.Addr().String()
	free.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary, "--config.file="+filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr)
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cancel()
		cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	return promAPI{"http://" + addr + "/api/v1/"}
}

// get calls the API. While Prometheus starts, into stays as it is.
func (p promAPI) get(t *testing.T, path string, into any) {
	resp, err := http.Get(p.base + path)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	if resp.StatusCode == http.StatusServiceUnavailable {
		return
	}
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s: %s", path, body)
	require.NoError(t, json.Unmarshal(body, into))
}

func (p promAPI) query(t *testing.T, expr string) []any {
	var answer struct{ Data struct{ Result []any } }
	p.get(t, "query?query="+url.QueryEscape(expr), &answer)
	return answer.Data.Result
}

func (p promAPI) firing(t *testing.T, alert, key string) bool {
	var answer struct {
		Data struct {
			Alerts []struct {
				State  string
				Labels map[string]string
			}
		}
	}
	p.get(t, "alerts", &answer)
	for _, a := range answer.Data.Alerts {
		if a.State == "firing" && a.Labels["alertname"] == alert && a.Labels["key"] == key {
			return true
		}
	}
	return false
}

// dashboardQueries returns the queries of dashboard.json as Grafana would send
// them.
func dashboardQueries(t *testing.T) []string {
	data, err := os.ReadFile("dashboard.json")
	require.NoError(t, err)
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(data, &dashboard))
	variables := strings.NewReplacer("$job", ".*", "$instance", ".*", "$key", ".*",
		"$__rate_interval", "10s", "$__range", "10s")
	var list []string
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			expr := variables.Replace(target.Expr)
			require.NotContains(t, expr, "$", "an unknown variable in panel %s", panel.Title)
			list = append(list, expr)
		}
	}
	require.NotEmpty(t, list)
	return list
}

// documentedQueries returns the queries of the operators' page, with their times
// shortened.
func documentedQueries(t *testing.T) []string {
	page, err := os.ReadFile(operatorsPage)
	require.NoError(t, err)
	var list []string
	for _, block := range regexp.MustCompile("(?s)```promql\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		text := regexp.MustCompile(`\[\d+[mhd]\]`).ReplaceAllString(block[1], "[5s]")
		list = append(list, strings.Split(strings.TrimSpace(text), "\n\n")...)
	}
	require.NotEmpty(t, list)
	return list
}

func metricNames(t *testing.T, files ...string) map[string]bool {
	names := make(map[string]bool)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, name := range regexp.MustCompile(`\bhttpbreaker_[a-z_]+`).FindAllString(string(data), -1) {
			names[name] = true
		}
	}
	return names
}

// The dashboard leads with what one needs first, and shows every metric.
func TestDashboard(t *testing.T) {
	data, err := os.ReadFile("dashboard.json")
	require.NoError(t, err)
	var dashboard struct {
		Panels []struct {
			ID      int
			Type    string
			Title   string
			GridPos struct{ X, Y, W, H int }
		}
	}
	require.NoError(t, json.Unmarshal(data, &dashboard))
	var titles []string
	ids := make(map[int]bool)
	for _, p := range dashboard.Panels {
		assert.False(t, ids[p.ID], "panel %q has the id of another", p.Title)
		ids[p.ID] = true
		assert.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, p.Title)
		if p.Type != "row" {
			titles = append(titles, p.Title)
		}
	}
	assert.Equal(t, []string{"State of each circuit", "Failure rate", "Rejected calls", "Share of time open"}, titles[:4])

	set := breaker.NewSet(breaker.Options{})
	set.Get("host").Trip(time.Hour, "test")
	families, err := registryOf(t, breakerprom.NewCollector(set, &breakerprom.Options{Fleet: sharing(inTrouble)})).Gather()
	require.NoError(t, err)
	shown := metricNames(t, "dashboard.json")
	for _, family := range families {
		assert.True(t, shown[family.GetName()], "%s is on no panel", family.GetName())
		delete(shown, family.GetName())
	}
	assert.Empty(t, shown, "the dashboard names metrics that there are not")
}

// The package comment and the operators' page list the metrics that there are.
func TestDocumentedMetrics(t *testing.T) {
	set := breaker.NewSet(breaker.Options{})
	set.Get("host").Trip(time.Hour, "test")
	families, err := registryOf(t, breakerprom.NewCollector(set, &breakerprom.Options{Fleet: sharing(inTrouble)})).Gather()
	require.NoError(t, err)
	for _, file := range []string{"doc.go", operatorsPage} {
		documented := metricNames(t, file)
		for _, family := range families {
			assert.True(t, documented[family.GetName()], "%s is not in %s", family.GetName(), file)
			delete(documented, family.GetName())
		}
		assert.Empty(t, documented, file)
	}
}

// Each alert is explained, and no other.
func TestDocumentedAlerts(t *testing.T) {
	names := regexp.MustCompile(`HTTPBreaker\w+`)
	rules, err := os.ReadFile("alerts.yml")
	require.NoError(t, err)
	page, err := os.ReadFile(operatorsPage)
	require.NoError(t, err)
	assert.Equal(t, names.FindAllString(string(rules), -1), names.FindAllString(string(page), -1))
}
