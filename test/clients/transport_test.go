package clients

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/elastic/go-elasticsearch/v8"
	restyv2 "github.com/go-resty/resty/v2"
	"github.com/gojek/heimdall/v7/httpclient"
	"github.com/minio/minio-go/v7"
	"github.com/moby/moby/client"
	"github.com/opensearch-project/opensearch-go/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"resty.dev/v3"

	"github.com/seed-0b728cf8/httpbreaker"
)

// Some options of some libraries work on an *http.Transport only. With another transport in
// its place they are an error, or are logged and come to nothing.
func TestWhatWantsAnHTTPTransport(t *testing.T) {
	transport := httpbreaker.New(nil)

	t.Run("Docker", func(t *testing.T) {
		_, err := client.New(client.WithHTTPClient(&http.Client{Transport: transport}), client.WithHost("tcp://192.0.2.1"))
		assert.ErrorContains(t, err, "cannot apply host to transport")
		t.Setenv("DOCKER_HOST", "tcp://192.0.2.1")
		_, err = client.New(client.WithHTTPClient(&http.Client{Transport: transport}), client.FromEnv)
		assert.ErrorContains(t, err, "cannot apply host to transport")
		_, err = client.New(client.WithHost("tcp://192.0.2.1"), client.WithHTTPClient(&http.Client{Transport: transport}))
		assert.NoError(t, err)
	})
	t.Run("elasticsearch and OpenSearch", func(t *testing.T) {
		_, err := elasticsearch.NewClient(elasticsearch.Config{Transport: transport, CACert: []byte("a certificate")})
		assert.ErrorContains(t, err, "unable to set CA certificate")
		_, err = opensearch.NewClient(opensearch.Config{Transport: transport, CACert: []byte("a certificate")})
		assert.ErrorContains(t, err, "unable to set CA certificate")
	})
	t.Run("elasticsearch's fingerprint", func(t *testing.T) {
		bare, wrapped := new(http.Transport), new(http.Transport)
		cfg := elasticsearch.Config{Transport: bare, CertificateFingerprint: "00"}
		_, err := elasticsearch.NewClient(cfg)
		require.NoError(t, err)
		assert.NotNil(t, bare.DialTLSContext)
		cfg.Transport = httpbreaker.New(&httpbreaker.Config{Base: wrapped})
		_, err = elasticsearch.NewClient(cfg)
		require.NoError(t, err)
		assert.Nil(t, wrapped.DialTLSContext, "nothing looks at the fingerprint")
	})
	t.Run("resty", func(t *testing.T) {
		var log logged
		restyv2.New().SetTransport(transport).SetLogger(&log).SetProxy("http://192.0.2.1").SetTLSClientConfig(&tls.Config{})
		assert.Contains(t, log.String(), "not an *http.Transport")
		log.Reset()
		three := resty.New().SetTransport(transport).SetLogger(&log).SetProxy("http://192.0.2.1").SetTLSClientConfig(&tls.Config{})
		defer three.Close()
		assert.Contains(t, log.String(), "not a http.Transport type")
	})
}

// heimdall's own timeout is that of its own http.Client.
func TestHeimdallLeavesTheTimeoutToTheClientGiven(t *testing.T) {
	base := roundTripper(func(req *http.Request) (*http.Response, error) {
		_, limited := req.Context().Deadline()
		assert.False(t, limited)
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: req}, nil
	})
	_, err := httpclient.NewClient(
		httpclient.WithHTTPClient(&http.Client{Transport: httpbreaker.New(&httpbreaker.Config{Base: base})}),
		httpclient.WithHTTPTimeout(time.Second),
	).Get(nowhere, nil)
	require.NoError(t, err)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// logged keeps the errors that are logged.
type logged struct{ bytes.Buffer }

func (l *logged) Errorf(format string, v ...any) { fmt.Fprintf(l, format+"\n", v...) }
func (l *logged) Warnf(format string, v ...any)  {}
func (l *logged) Debugf(format string, v ...any) {}

// The SDKs' own transports can be had, with their timeouts and without what would unpack
// compressed objects.
func TestBasesOfTheSDKs(t *testing.T) {
	forAWS := awshttp.NewBuildableClient().GetTransport()
	forMinio, err := minio.DefaultTransport(true)
	require.NoError(t, err)
	assert.NotZero(t, forAWS.ResponseHeaderTimeout+forAWS.TLSHandshakeTimeout)
	assert.True(t, forMinio.DisableCompression)
	for _, base := range []*http.Transport{forAWS, forMinio} {
		h := newHost(t, answers("{}"))
		res, err := (&http.Client{Transport: httpbreaker.New(&httpbreaker.Config{Base: base})}).Get(h.URL)
		require.NoError(t, err)
		_, _ = io.Copy(io.Discard, res.Body)
		require.NoError(t, res.Body.Close())
		base.CloseIdleConnections()
	}
}
