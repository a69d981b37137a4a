package clients

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

var kubernetes = library{
	name:    "Kubernetes client-go",
	connect: connectKubernetes,
	answer:  answers(`{"kind": "PodList", "apiVersion": "v1", "items": []}`),
	plain:   once,
	told:    once,
}

func connectKubernetes(t *testing.T, s setup) call {
	pods := podsOf(t, s)
	return func(ctx context.Context) error {
		_, err := pods.List(ctx, metav1.ListOptions{})
		return err
	}
}

// podsOf makes a client that asks for pods.
func podsOf(t *testing.T, s setup) dynamic.ResourceInterface {
	cfg := &rest.Config{Host: s.url, QPS: -1}
	if base, ok := s.config.Base.(*http.Transport); ok {
		cfg.Dial = base.DialContext
	}
	wrap(cfg, s.config.Breakers)
	client, err := dynamic.NewForConfig(cfg)
	require.NoError(t, err)
	return client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace("default")
}

// wrap puts circuits into every client that is made of cfg.
func wrap(cfg *rest.Config, circuits *breaker.Set) {
	cfg.Wrap(func(rt http.RoundTripper) http.RoundTripper {
		return httpbreaker.New(&httpbreaker.Config{Base: rt, Breakers: circuits})
	})
}

// A client is made for each group of the API: they share circuits only by a common Set.
func TestKubernetesClientsShareCircuits(t *testing.T) {
	h, circuits := newHost(t, kubernetes.answer), opensAfter(1)
	s := setup{url: h.URL, config: h.config(t, circuits)}
	one, other := podsOf(t, s), podsOf(t, s)
	broken := faults["503"]
	h.fault.Store(&broken)
	_, err := one.List(t.Context(), metav1.ListOptions{})
	require.Error(t, err)
	_, err = other.List(t.Context(), metav1.ListOptions{})
	require.ErrorIs(t, err, httpbreaker.ErrOpen)
	require.EqualValues(t, 1, h.asked.Load())
}

// client-go refuses a Transport beside options for TLS.
func TestKubernetesRefusesATransportWithTLS(t *testing.T) {
	cfg := &rest.Config{Host: "https://192.0.2.1", TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
	wrap(cfg, new(breaker.Set))
	_, err := dynamic.NewForConfig(cfg)
	require.NoError(t, err)
	cfg.Transport = httpbreaker.New(nil)
	_, err = dynamic.NewForConfig(cfg)
	require.ErrorContains(t, err, "custom transport")
}
