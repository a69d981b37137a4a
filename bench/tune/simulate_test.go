package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
)

func TestTune(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "patient.json")
	if err := os.WriteFile(config, []byte(`{"consecutive_failures": 50, "open_for": "20s"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	o := options{
		configs: []string{config}, beside: []string{"gobreaker, like"}, rps: 20, errors: 0.01, clients: 1, seeds: 2, latency: 50 * time.Millisecond,
		p99: 200 * time.Millisecond, timeout: time.Second, fault: "down", length: 30 * time.Second, out: filepath.Join(dir, "tune.svg"),
	}
	var out bytes.Buffer
	if err := o.simulate(t, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"patient: opens when", "≥ 50 in a row fail", "no breaker", "defaults: opens when", "sony/gobreaker, like ours: ",
		"wasted calls: Calls that were sent during the fault and failed.", "recovery (p95): Time from the end of the fault",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, &out)
		}
	}
	drawn, err := os.ReadFile(o.out)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<svg", "patient", "no breaker", "defaults"} {
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
		"no such library":  func(o *options) { o.beside = []string{"gremlins"} },
		"a p99 too small":  func(o *options) { o.latency, o.p99 = time.Second, time.Millisecond },
		"not a single run": func(o *options) { o.seeds = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			o := good
			spoil(&o)
			if err := o.simulate(t, new(bytes.Buffer)); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestP99IsWhatOneCallInAHundredExceeds(t *testing.T) {
	const median, p99 = 40 * time.Millisecond, 300 * time.Millisecond
	server := faults(0, 0, median, p99, 0)["down"](nil, time.Hour, 2*time.Hour)
	var all []time.Duration
	rng := rand.New(rand.NewPCG(1, 1))
	for range 100_000 {
		all = append(all, server.Answer(sim.Call{Speed: rng.NormFloat64()}).After)
	}
	slices.Sort(all)
	for at, want := range map[int]time.Duration{50_000: median, 99_000: p99} {
		if got := all[at]; got < want*95/100 || got > want*105/100 {
			t.Errorf("%d of 100,000 calls take less than %v, want %v", at, got, want)
		}
	}
	if got := sigmaOf(50*time.Millisecond, 0); got != 0.4 {
		t.Errorf("without -p99 the spread is %v", got)
	}
}
