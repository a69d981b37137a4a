package yaml

import (
	"testing"
	"time"

	goccy "github.com/goccy/go-yaml"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	yamlin "go.yaml.in/yaml/v3"
	yamlv3 "gopkg.in/yaml.v3"
	sigs "sigs.k8s.io/yaml"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// libraries are those that the doc of Config.UnmarshalYAML names.
var libraries = []struct {
	name      string
	unmarshal func([]byte, any) error
	marshal   func(any) ([]byte, error)
}{
	{"gopkg.in/yaml.v3", yamlv3.Unmarshal, yamlv3.Marshal},
	{"go.yaml.in/yaml/v3", yamlin.Unmarshal, yamlin.Marshal},
	{"github.com/goccy/go-yaml", func(b []byte, v any) error { return goccy.Unmarshal(b, v) }, goccy.Marshal},
	{"sigs.k8s.io/yaml", func(b []byte, v any) error { return sigs.Unmarshal(b, v) }, sigs.Marshal},
}

// app is a program's own configuration.
type app struct {
	Name    string                    `yaml:"name" json:"name"`
	Default breaker.Config            `yaml:"default" json:"default"`
	Hosts   map[string]breaker.Config `yaml:"hosts" json:"hosts"`
	Pointer *breaker.Config           `yaml:"pointer" json:"pointer"`
}

func TestConfigIsReadFromYAML(t *testing.T) {
	for _, lib := range libraries {
		t.Run(lib.name, func(t *testing.T) {
			var got app
			require.NoError(t, lib.unmarshal([]byte(`
name: shop
default: &default
  window: 20s
  failure_rate: .25      # a number
  consecutive_failures: -1
  open_for: "1m30s"
  max_open_for: 2m
  mode: observe
hosts:
  pay.example.com:
    <<: *default
    slow_call: 500ms
  search.example.com: {min_calls: 50, jitter: 1e-1}
pointer:
  probes: 3
`), &got))
			base := breaker.Config{
				Window: 20 * time.Second, FailureRate: 0.25, ConsecutiveFailures: -1,
				OpenFor: 90 * time.Second, MaxOpenFor: 2 * time.Minute, Mode: breaker.Observe,
			}
			pay := base
			pay.SlowCall = 500 * time.Millisecond
			assert.Equal(t, app{
				Name: "shop", Default: base,
				Hosts: map[string]breaker.Config{
					"pay.example.com":    pay,
					"search.example.com": {MinCalls: 50, Jitter: 0.1},
				},
				Pointer: &breaker.Config{Probes: 3},
			}, got)
		})
	}
}

func TestBadYAMLIsAnErrorAndChangesNothing(t *testing.T) {
	for _, lib := range libraries {
		t.Run(lib.name, func(t *testing.T) {
			for text, wants := range map[string][]string{
				"failure_rat: 0.5":                {`unknown field "failure_rat"`},
				"Window: 10s":                     {`unknown field "Window"`},
				"window: 10":                      {`"window" = 10; want a duration such as "1m30s"`},
				"window: 10 s":                    {`"window" = "10 s"; want a duration such as "1m30s"`},
				"mode: off":                       {`"mode"`},
				"failure_rate: half":              {`"failure_rate" = "half"`},
				"failure_rate: 1.5":               {"Config.FailureRate = 1.5; want"},
				"min_calls: [1]":                  {`"min_calls" = [1]`},
				"- window: 10s":                   {""},
				"10s":                             {""},
				"open_for: soon\nprobes: x\nz: 1": {`"open_for" = "soon"`, `"probes" = "x"`, `unknown field "z"`},
			} {
				cfg := breaker.Config{Window: time.Minute, Probes: 7}
				err := lib.unmarshal([]byte(text), &cfg)
				if assert.Error(t, err, text) {
					for _, want := range wants {
						assert.Contains(t, err.Error(), want, text)
					}
				}
				assert.Equal(t, breaker.Config{Window: time.Minute, Probes: 7}, cfg, text)
			}
		})
	}
}

// What JSON has no word for.
func TestStrangeYAMLIsAnError(t *testing.T) {
	for _, lib := range libraries {
		for _, text := range []string{"failure_rate: .nan", "failure_rate: .inf", "window: {1: 2}", "window: 2001-01-01", "1: 2", "window: 1s\nwindow: 2s"} {
			var cfg breaker.Config
			if lib.name == "sigs.k8s.io/yaml" && text == "window: 1s\nwindow: 2s" {
				continue // it takes the last; its UnmarshalStrict is the one to use
			}
			assert.Error(t, lib.unmarshal([]byte(text), &cfg), "%s: %s", lib.name, text)
			assert.Equal(t, breaker.Config{}, cfg, "%s: %s", lib.name, text)
		}
	}
}

func TestAbsentYAMLKeepsWhatThereIs(t *testing.T) {
	for _, lib := range libraries {
		for _, text := range []string{"name: x", "default:", "default: {}", "default: {open_for: }", "default: {open_for: null, window: 1m}"} {
			got := app{Default: breaker.Config{Window: time.Minute}}
			require.NoError(t, lib.unmarshal([]byte(text), &got), "%s: %s", lib.name, text)
			assert.Equal(t, time.Minute, got.Default.Window, "%s: %s", lib.name, text)
		}
	}
}

func TestWrittenYAMLIsReadBack(t *testing.T) {
	want := app{
		Default: breaker.Config{Window: 90 * time.Second, FailureRate: 1e-7, MinCalls: 1_000_000, Mode: breaker.ForceOpen, Jitter: -1},
		Hosts:   map[string]breaker.Config{"a": {OpenFor: time.Minute, Trip: func(breaker.Counts) bool { return true }}},
	}
	for _, lib := range libraries {
		t.Run(lib.name, func(t *testing.T) {
			text, err := lib.marshal(want)
			require.NoError(t, err)
			assert.Contains(t, string(text), "window: 1m30s\n")
			assert.Contains(t, string(text), "mode: force-open\n")
			var got app
			require.NoError(t, lib.unmarshal(text, &got), string(text))
			assert.Equal(t, want.Default, got.Default)
			assert.Equal(t, time.Minute, got.Hosts["a"].OpenFor)
			assert.Nil(t, got.Hosts["a"].Trip, "a function has no place there")
		})
	}
}
