package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// output is what the program has printed so far.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 30*time.Second, 20*time.Millisecond, what)
}

func get(t *testing.T, url string) string {
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s: %s", url, body)
	return string(body)
}

func post(t *testing.T, url string) int {
	resp, err := http.Post(url, "", nil)
	require.NoError(t, err)
	resp.Body.Close()
	return resp.StatusCode
}

// Everything that the instructions promise works.
func TestRun(t *testing.T) {
	t.Parallel()
	var out output
	ctx, cancel := context.WithCancel(context.Background())
	keyboard, keys := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{"-addr", "127.0.0.1:0"}, keyboard, &out) }()
	defer cancel()

	address := regexp.MustCompile(`metrics +(http://\S+)/metrics`)
	eventually(t, "the addresses are printed", func() bool { return address.MatchString(out.String()) })
	base := address.FindStringSubmatch(out.String())[1]
	for _, line := range []string{
		base + "/circuits/",
		"curl -X POST " + base + "/hosts/payments.example/hanging",
		"opens when",
	} {
		assert.Contains(t, out.String(), line)
	}
	state := func(key string) string {
		var doc struct{ Circuits []struct{ Key, State string } }
		require.NoError(t, json.Unmarshal([]byte(get(t, base+"/circuits/circuits")), &doc))
		for _, c := range doc.Circuits {
			if c.Key == key {
				return c.State
			}
		}
		return ""
	}
	for _, key := range []string{"payments.example:80", "search.example:80", "mail.example:80"} {
		eventually(t, key+" is called", func() bool { return state(key) == "closed" })
	}
	assert.Contains(t, get(t, base+"/circuits/"), "<html")
	assert.Contains(t, get(t, base+"/"), `action="/hosts/mail.example/down"`)

	_, err := keys.Write([]byte("\n"))
	require.NoError(t, err)
	eventually(t, "Enter takes it down", func() bool { return strings.Contains(out.String(), "payments.example is down") })
	assert.Equal(t, http.StatusOK, post(t, base+"/hosts/search.example/failing"), "after a redirect to the switches")
	for _, key := range []string{"payments.example:80", "search.example:80"} {
		eventually(t, key+" is cut off", func() bool { return state(key) == "open" })
		assert.Contains(t, get(t, base+"/metrics"), `httpbreaker_circuit_state{key="`+key+`"} 1`)
		assert.Regexp(t, `level=WARN .*key=`+key+` .*to=open`, out.String())
	}
	assert.Equal(t, "closed", state("mail.example:80"))

	_, err = keys.Write([]byte("\n"))
	require.NoError(t, err)
	post(t, base+"/hosts/search.example/up")
	for _, key := range []string{"payments.example:80", "search.example:80"} {
		eventually(t, key+" is called again", func() bool { return state(key) == "closed" })
	}

	assert.Equal(t, http.StatusBadRequest, post(t, base+"/hosts/mail.example/asleep"))
	assert.Equal(t, http.StatusNotFound, post(t, base+"/hosts/nobody.example/down"))
	foreign, err := http.NewRequest(http.MethodPost, base+"/hosts/mail.example/down", nil)
	require.NoError(t, err)
	foreign.Header.Set("Origin", "https://elsewhere.example")
	resp, err := http.DefaultClient.Do(foreign)
	require.NoError(t, err)
	resp.Body.Close()
	assert.Equal(t, http.StatusForbidden, resp.StatusCode)

	cancel()
	assert.NoError(t, <-ended)
}

func TestAHangingHostIsCutOffAsWell(t *testing.T) {
	t.Parallel()
	var out output
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{"-addr", "127.0.0.1:0"}, strings.NewReader(""), &out) }()
	address := regexp.MustCompile(`metrics +(http://\S+)/metrics`)
	eventually(t, "the addresses are printed", func() bool { return address.MatchString(out.String()) })
	base := address.FindStringSubmatch(out.String())[1]

	post(t, base+"/hosts/mail.example/hanging")
	eventually(t, "it is cut off", func() bool {
		return strings.Contains(get(t, base+"/metrics"), `httpbreaker_circuit_state{key="mail.example:80"} 1`)
	})
	post(t, base+"/hosts/mail.example/up")
	eventually(t, "it is called again", func() bool {
		return strings.Contains(get(t, base+"/metrics"), `httpbreaker_circuit_state{key="mail.example:80"} 0`+"\n")
	})
	cancel()
	assert.NoError(t, <-ended)
}

func TestArguments(t *testing.T) {
	var out output
	assert.Error(t, run(t.Context(), []string{"-for", "soon"}, strings.NewReader(""), &out))
	assert.Contains(t, out.String(), "-addr")
	assert.ErrorContains(t, run(t.Context(), []string{"-addr", "127.0.0.1:0:0"}, strings.NewReader(""), &out), "-addr")
}

// The command that the package comment gives, as CI would run it.
func TestTheCommandEndsByItself(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	out, err := exec.Command("go", "run", ".", "-addr", "127.0.0.1:0", "-for", "1s").CombinedOutput()
	assert.NoError(t, err, "%s", out)
	assert.Contains(t, string(out), "status page    http://127.0.0.1:")
}
