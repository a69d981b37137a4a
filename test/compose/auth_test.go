package compose

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// issuer is a token server. Its tokens expire at once, so that each use asks for one.
type issuer struct {
	host
}

func newIssuer(t *testing.T) *issuer {
	i := new(issuer)
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i.asked.Add(1)
		if i.broken.Load() {
			http.Error(w, "out of order", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token": "secret", "token_type": "Bearer", "expires_in": 1}`)
	}))
	t.Cleanup(i.Close)
	return i
}

// authorized wraps rt in oauth2's transport; tokens are fetched by client.
func (i *issuer) authorized(rt http.RoundTripper, client *http.Client) http.RoundTripper {
	ctx := context.WithValue(context.Background(), oauth2.HTTPClient, client)
	cfg := clientcredentials.Config{ClientID: "id", ClientSecret: "pw", TokenURL: i.URL, AuthStyle: oauth2.AuthStyleInParams}
	return &oauth2.Transport{Source: cfg.TokenSource(ctx), Base: rt}
}

func TestAuthInsideFetchesNoTokenForARejectedRequest(t *testing.T) {
	h, i, circuits := newHost(t), newIssuer(t), opensAfter(3)
	client := &http.Client{Transport: httpbreaker.New(&httpbreaker.Config{
		Base: i.authorized(base(t), &http.Client{Transport: base(t)}), Breakers: circuits,
	})}
	_, _, err := get(t, client, h.URL)
	require.NoError(t, err)
	assert.Equal(t, "Bearer secret", h.auth.Load())
	h.broken.Store(true)
	for range 10 {
		_, _, _ = get(t, client, h.URL)
	}
	assert.EqualValues(t, 4, h.asked.Load())
	assert.EqualValues(t, 4, i.asked.Load())
}

func TestAuthOutsideFetchesTokensForRejectedRequests(t *testing.T) {
	h, i, circuits := newHost(t), newIssuer(t), opensAfter(3)
	h.broken.Store(true)
	client := &http.Client{Transport: i.authorized(
		httpbreaker.New(&httpbreaker.Config{Base: base(t), Breakers: circuits}),
		&http.Client{Transport: base(t)},
	)}
	for range 10 {
		_, _, _ = get(t, client, h.URL)
	}
	assert.EqualValues(t, 3, h.asked.Load())
	assert.EqualValues(t, 10, i.asked.Load())
}

// notTheTokens judges as always, but does not blame the host for the server of its tokens.
func notTheTokens(r httpbreaker.Result) breaker.Outcome {
	var token *oauth2.RetrieveError
	if errors.As(r.Err, &token) {
		return breaker.Ignored
	}
	return httpbreaker.DefaultClassifier(r)
}

// Inside, an error of the token server comes up as the host's. There are two ways to put
// that right: a classifier, and a circuit of the token server's own.
func TestAuthInsideAndAFailingTokenServer(t *testing.T) {
	for _, test := range []struct {
		name     string
		classify httpbreaker.Classifier
		circuits *breaker.Set // of the token server
		want     breaker.Totals
	}{
		{"as it is", nil, opensAfter(100), breaker.Totals{Failures: 3, Rejected: 7, Opened: 1}},
		{"with a classifier", notTheTokens, opensAfter(100), breaker.Totals{Ignored: 10}},
		{"with a circuit that opens first", nil, opensAfter(2), breaker.Totals{Failures: 2, Ignored: 8}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, i, circuits := newHost(t), newIssuer(t), opensAfter(3)
			i.broken.Store(true)
			tokens := &http.Client{Transport: httpbreaker.New(&httpbreaker.Config{Base: base(t), Breakers: test.circuits})}
			client := &http.Client{Transport: httpbreaker.New(&httpbreaker.Config{
				Base: i.authorized(base(t), tokens), Breakers: circuits, Classify: test.classify,
			})}
			for range 10 {
				_, _, err := get(t, client, h.URL)
				require.Error(t, err)
			}
			assert.Equal(t, test.want, withoutTime(totals(circuits, h)))
			assert.Zero(t, h.asked.Load())
		})
	}
}

// Reroute sends what it was given. Outside, auth has put its token on that already, and it
// goes to the other server as well.
func TestAuthAndReroute(t *testing.T) {
	for _, outside := range []bool{false, true} {
		h, replica, i, circuits := newHost(t), newHost(t), newIssuer(t), opensAfter(1)
		circuits.Get(h.name()).Trip(time.Hour, "test")
		to, err := url.Parse(replica.URL)
		require.NoError(t, err)
		tokens := &http.Client{Transport: base(t)}
		cfg := &httpbreaker.Config{
			Base: base(t), Breakers: circuits,
			Fallback: httpbreaker.Reroute(roundTripper(func(req *http.Request) (*http.Response, error) {
				req = req.Clone(req.Context())
				req.URL.Host, req.Host = to.Host, ""
				return base(t).RoundTrip(req)
			})),
		}
		var rt http.RoundTripper
		if outside {
			rt = i.authorized(httpbreaker.New(cfg), tokens)
		} else {
			cfg.Base = i.authorized(cfg.Base, tokens)
			rt = httpbreaker.New(cfg)
		}
		_, _, err = get(t, &http.Client{Transport: rt}, h.URL)
		require.NoError(t, err)
		if outside {
			assert.Equal(t, "Bearer secret", replica.auth.Load())
		} else {
			assert.Equal(t, "", replica.auth.Load())
		}
	}
}
