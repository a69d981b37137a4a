package docs

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/internal/doctest"
)

// The code of docs/testing.md and docs/recipes.md is here, word for word.
func TestDocs(t *testing.T) {
	doctest.Check(t, "../../docs/testing.md", "docs_test.go")
	doctest.Check(t, "../../docs/recipes.md", "docs_test.go")
}

// What docs/composing.md shows and names is in test/compose, test/clients or test/contract, code in
// the cells of its tables, too.
func TestComposingPage(t *testing.T) {
	sources := []string{"../compose/*_test.go", "../clients/*_test.go", "../contract/*_test.go"}
	page := doctest.Check(t, "../../docs/composing.md", sources...)
	code := doctest.Sources(t, sources...)
	for _, row := range regexp.MustCompile(`(?m)^\|.*`).FindAllString(page, -1) {
		for _, cell := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row, -1) {
			require.Contains(t, code, cell[1])
		}
	}
}

func TestClientWithAMock(t *testing.T) {
	mock := httpmock.NewMockTransport()
	mock.RegisterResponder("GET", "https://api.example.com/users/7", httpmock.NewStringResponder(200, "Ada"))
	client := &http.Client{Transport: httpbreaker.New(&httpbreaker.Config{Base: mock})}

	res, err := client.Get("https://api.example.com/users/7")
	require.NoError(t, err)
	require.Equal(t, "Ada", text(t, res))
}

func TestClientWithHTTPMockActivated(t *testing.T) {
	httpmock.Activate(t) // replaces http.DefaultTransport, until the test ends
	httpmock.RegisterResponder("GET", "https://api.example.com/users/7", httpmock.NewStringResponder(200, "Ada"))
	client := &http.Client{Transport: httpbreaker.New(&httpbreaker.Config{Base: http.DefaultTransport})}

	res, err := client.Get("https://api.example.com/users/7")
	require.NoError(t, err)
	require.Equal(t, "Ada", text(t, res))
}

func TestOutageInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mock := httpmock.NewMockTransport()
		mock.RegisterNoResponder(httpmock.NewStringResponder(503, "down"))
		transport := httpbreaker.New(&httpbreaker.Config{Base: mock})
		client := &http.Client{Transport: transport}

		for range 5 { // five failures in a row, over more than a second
			res, err := client.Get("https://api.example.com/users/7")
			require.NoError(t, err) // a 503 is a response
			text(t, res)
			time.Sleep(300 * time.Millisecond) // virtual: it takes no time
		}
		_, err := client.Get("https://api.example.com/users/7")
		var open *httpbreaker.OpenError
		require.ErrorAs(t, err, &open)
		require.Equal(t, 5, mock.GetTotalCallCount(), "a rejected request is not sent")

		mock.RegisterNoResponder(httpmock.NewStringResponder(200, "Ada"))
		time.Sleep(open.RetryAfter())
		res, err := client.Get("https://api.example.com/users/7") // the probe
		require.NoError(t, err)
		require.Equal(t, "Ada", text(t, res))
	})
}

func TestHostThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hangs atomic.Bool
		transport := httpbreaker.New(&httpbreaker.Config{
			Base: baseFunc(func(req *http.Request) (*http.Response, error) {
				if hangs.Load() {
					<-req.Context().Done()
					return nil, req.Context().Err()
				}
				return &http.Response{StatusCode: 204, Body: http.NoBody, Request: req}, nil
			}),
		})
		client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
		for i := range 600 { // 100 calls a second, and after two seconds the host hangs
			hangs.Store(i >= 200)
			go client.Get("https://api.example.com/users/7")
			time.Sleep(10 * time.Millisecond)
		}
		circuit := transport.Breakers().Get("api.example.com").Snapshot()
		require.NotEqual(t, breaker.Closed, circuit.State)
		require.NotZero(t, circuit.Totals.Rejected)
		time.Sleep(time.Minute) // the calls end
	})
}

// A baseFunc is a transport made of a function.
type baseFunc func(*http.Request) (*http.Response, error)

func (f baseFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestWhatACallerDoesWhenTheCircuitIsOpen(t *testing.T) {
	transport := httpbreaker.New(&httpbreaker.Config{Base: httpmock.NewMockTransport()})
	transport.Breakers().SetMode(breaker.ForceOpen, "a test")
	client := &http.Client{Transport: transport}

	_, err := client.Get("https://api.example.com/users/7")
	require.ErrorIs(t, err, httpbreaker.ErrOpen)
}

func TestWhatACallerDoesWhileOneHostIsOut(t *testing.T) {
	mock := httpmock.NewMockTransport()
	mock.RegisterNoResponder(httpmock.NewStringResponder(200, "Ada"))
	transport := httpbreaker.New(&httpbreaker.Config{Base: mock})
	transport.Breakers().Get("api.example.com").Trip(time.Minute, "a test")
	client := &http.Client{Transport: transport}

	_, err := client.Get("https://api.example.com/users/7")
	require.ErrorIs(t, err, httpbreaker.ErrOpen)
	res, err := client.Get("https://other.example.com/")
	require.NoError(t, err)
	text(t, res)
}

func TestFallbackIsGiven(t *testing.T) {
	transport := httpbreaker.New(&httpbreaker.Config{
		Base:     httpmock.NewMockTransport(),
		Fallback: httpbreaker.Respond(200, nil, []byte("somebody")),
	})
	transport.Breakers().SetMode(breaker.ForceOpen, "a test")
	client := &http.Client{Transport: transport}

	res, err := client.Get("https://api.example.com/users/7")
	require.NoError(t, err)
	require.True(t, httpbreaker.IsFallback(res))
	require.Equal(t, "somebody", text(t, res))
}

func TestBreakersThatStayOutOfTheWay(t *testing.T) {
	mock := httpmock.NewMockTransport()
	mock.RegisterNoResponder(httpmock.NewStringResponder(503, "down"))
	circuits := breaker.NewSet(breaker.Options{Config: breaker.Config{Mode: breaker.Disabled}})
	client := &http.Client{Transport: httpbreaker.New(&httpbreaker.Config{Base: mock, Breakers: circuits})}

	for range 1000 {
		res, err := client.Get("https://api.example.com/users/7")
		require.NoError(t, err)
		text(t, res)
	}
}

func TestOneFailureIsEnough(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()
	circuits := breaker.NewSet(breaker.Options{Config: breaker.Config{
		ConsecutiveFailures: 1,
		ConsecutiveSpan:     -1, // at once
	}})
	client := &http.Client{Transport: httpbreaker.New(&httpbreaker.Config{Breakers: circuits})}

	res, err := client.Get(server.URL)
	require.NoError(t, err)
	text(t, res)
	_, err = client.Get(server.URL)
	require.ErrorIs(t, err, httpbreaker.ErrOpen)
}

func text(t *testing.T, res *http.Response) string {
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return string(body)
}

// health says which hosts are cut off. Its status is 200 whatever they do.
func health(circuits *breaker.Set) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		out := map[string]string{}
		for key, b := range circuits.All() {
			if s := b.Snapshot(); s.State != breaker.Closed {
				out[key] = s.State.String() + ": " + s.Reason
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"status": "ok", "hosts": out})
	}
}

func TestHealth(t *testing.T) {
	circuits := breaker.NewSet(breaker.Options{})
	circuits.Get("ok.example.com")
	circuits.Get("api.example.com").Trip(time.Minute, "maintenance")
	w := httptest.NewRecorder()
	health(circuits)(w, httptest.NewRequest("GET", "/healthz", nil))
	require.Equal(t, 200, w.Code)
	require.JSONEq(t, `{"status":"ok","hosts":{"api.example.com":"open: maintenance"}}`, w.Body.String())
}

// killSwitch sets the mode of all circuits, or of one: POST mode=disabled&by=alice.
func killSwitch(circuits *breaker.Set) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		var mode breaker.Mode
		if err := mode.UnmarshalText([]byte(req.PostFormValue("mode"))); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		reason := "by " + req.PostFormValue("by")
		if key := req.PostFormValue("key"); key != "" {
			circuits.Get(key).SetMode(mode, reason)
		} else {
			circuits.SetMode(mode, reason)
		}
	}
}

func TestKillSwitch(t *testing.T) {
	circuits := breaker.NewSet(breaker.Options{})
	circuits.Get("api.example.com").Trip(time.Minute, "maintenance")
	post := func(form string) int {
		req := httptest.NewRequest("POST", "/circuits/mode", strings.NewReader(form))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		killSwitch(circuits)(w, req)
		return w.Code
	}
	require.Equal(t, 200, post("mode=disabled&by=alice"))
	_, err := circuits.Get("api.example.com").Allow(t.Context())
	require.NoError(t, err)
	require.Equal(t, breaker.Disabled, circuits.Get("later.example.com").Snapshot().Mode)
	require.Equal(t, 200, post("mode=enforce&by=alice"))
	require.Equal(t, 200, post("mode=force-open&by=alice&key=bad.example.com"))
	_, err = circuits.Get("bad.example.com").Allow(t.Context())
	require.ErrorIs(t, err, breaker.ErrOpen)
	require.Equal(t, 400, post("mode=off"))
}

// perHost asks a classifier for each host, and the default for all others.
func perHost(classifiers map[string]httpbreaker.Classifier) httpbreaker.Classifier {
	return func(r httpbreaker.Result) breaker.Outcome {
		if classify, ok := classifiers[r.Request.URL.Hostname()]; ok {
			return classify(r)
		}
		return httpbreaker.DefaultClassifier(r)
	}
}

func TestPerHost(t *testing.T) {
	classify := perHost(map[string]httpbreaker.Classifier{
		"legacy.example.com": httpbreaker.Statuses(nil, breaker.Success, 500),                        // its way to say "not found"
		"quota.example.com":  httpbreaker.Statuses(nil, breaker.Failure, http.StatusTooManyRequests), // wait, do not retry
	})
	for url, want := range map[string][2]breaker.Outcome{
		"https://legacy.example.com/": {breaker.Success, breaker.Ignored},
		"https://quota.example.com/":  {breaker.Failure, breaker.Failure},
		"https://api.example.com/":    {breaker.Failure, breaker.Ignored},
	} {
		for i, status := range []int{500, 429} {
			result := httpbreaker.Result{
				Request:  httptest.NewRequest("GET", url, nil),
				Response: &http.Response{StatusCode: status, Header: http.Header{}},
			}
			require.Equal(t, want[i], classify(result), "%s %d", url, status)
		}
	}
}

// unixClient talks to the server that listens on a socket. Each client has a circuit of
// its own, whatever name is in its URLs.
func unixClient(socket string, circuits *breaker.Set) *http.Client {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.Proxy = nil
	base.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	return &http.Client{Transport: httpbreaker.New(&httpbreaker.Config{
		Base:     base,
		Breakers: circuits,
		Key:      func(*http.Request) string { return "unix:" + socket },
	})}
}

func TestUnixClient(t *testing.T) {
	dir, err := os.MkdirTemp("", "") // t.TempDir is too long for a socket on some systems
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "s")
	listener, err := net.Listen("unix", socket)
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "pong") }))
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	defer server.Close()

	circuits := breaker.NewSet(breaker.Options{})
	client := unixClient(socket, circuits)
	defer client.CloseIdleConnections()
	res, err := client.Get("http://daemon/ping")
	require.NoError(t, err)
	require.Equal(t, "pong", text(t, res))
	_, ok := circuits.Lookup("unix:" + socket)
	require.True(t, ok)
}
