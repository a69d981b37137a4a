package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTune(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "patient.json")
	if err := os.WriteFile(config, []byte(`{"consecutive_failures": 50, "open_for": "20s"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	o := options{
		configs: []string{config}, rps: 20, errors: 0.01, clients: 1, seeds: 2, latency: 50 * time.Millisecond,
		timeout: time.Second, fault: "down", length: 30 * time.Second, out: filepath.Join(dir, "tune.svg"),
	}
	var out bytes.Buffer
	if err := run(t, o, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"patient: opens when", "≥ 50 in a row fail", "no breaker", "wasted calls"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, &out)
		}
	}
	drawn, err := os.ReadFile(o.out)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<svg", "patient", "no breaker"} {
		if !bytes.Contains(drawn, []byte(want)) {
			t.Errorf("no %q in the drawing", want)
		}
	}
}

func TestTuneRefusesNonsense(t *testing.T) {
	good := options{rps: 1, clients: 1, seeds: 1, length: time.Second, fault: "down"}
	for name, spoil := range map[string]func(*options){
		"no traffic":       func(o *options) { o.rps = 0 },
		"no such fault":    func(o *options) { o.fault = "gremlins" },
		"no such file":     func(o *options) { o.configs = []string{"/does/not/exist.json"} },
		"no fault at all":  func(o *options) { o.length = 0 },
		"nobody to call":   func(o *options) { o.clients = 0 },
		"not a single run": func(o *options) { o.seeds = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			o := good
			spoil(&o)
			if err := run(t, o, new(bytes.Buffer)); err == nil {
				t.Error("no error")
			}
		})
	}
}
