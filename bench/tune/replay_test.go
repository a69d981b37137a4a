package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-0b728cf8/httpbreaker/bench/tune/logs"
	"github.com/seed-0b728cf8/httpbreaker/bench/tune/replay"
)

const sample = "testdata/sample.log.gz"

// replayed runs tune on a log and returns what it prints as JSON.
func replayed(t *testing.T, o options) *document {
	t.Helper()
	o.json, o.keys = true, 100
	var out bytes.Buffer
	if err := o.run(t, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(out.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	return &d
}

// on returns the figures of one host.
func (g *guardJSON) on(t *testing.T, host string) replay.Figures {
	t.Helper()
	for _, h := range g.Worst {
		if h.Host == host {
			return h.Figures
		}
	}
	t.Fatalf("%s: no figures of %s", g.Name, host)
	return replay.Figures{}
}

// TestTheSampleHasTheAnswersThatAreKnown checks what the program in sample says of
// its log.
func TestTheSampleHasTheAnswersThatAreKnown(t *testing.T) {
	d := replayed(t, options{replay: []string{sample}})
	if d.Hosts != 4 || d.From.Format("15:04") != "09:00" || d.To.Format("15:04") != "09:19" || len(d.Guards) != 2 {
		t.Fatalf("%d hosts, %v to %v, %d guards", d.Hosts, d.From, d.To, len(d.Guards))
	}
	none, ours := d.Guards[0], d.Guards[1]
	if f := none.Total; none.Name != "no breaker" || f.Rejected > 0 || f.FailedSeconds < 3400 || f.Calls != d.Files[0].Calls {
		t.Errorf("without a breaker: %+v", f)
	}
	if ours.Name != "defaults" || !ours.TellsOpenings || !ours.TellsTimes {
		t.Errorf("%+v", ours)
	}
	within := func(what string, got, from, to float64) {
		t.Helper()
		if got < from || got > to {
			t.Errorf("%s: %v, want %v to %v", what, got, from, to)
		}
	}
	share := func(n, of int) float64 { return float64(n) / float64(of) }

	f := ours.on(t, "payments.example.com") // the outage: 120 s at 5 calls a second
	within("outage: failures", float64(f.Failed), 540, 660)
	within("outage: spared", share(f.Spared, f.Failed), 0.9, 1)
	within("outage: lost", share(f.Lost, f.Good), 0, 0.01)
	within("outage: openings", float64(f.Openings), 1, 60)
	within("outage: seconds open", f.OpenSeconds, 100, 150)

	f = ours.on(t, "search.example.com") // the hang: 90 s at 4 calls a second, 10 s each
	within("hang: failures", float64(f.Failed), 310, 420)
	within("hang: call-seconds", f.HangSeconds, 0, 900)
	within("hang: most in flight", float64(f.MostInFlight), 0, 50)
	within("hang: lost", share(f.Lost, f.Good), 0, 0.03)

	f = ours.on(t, "catalog.example.com") // the brownout: 180 s at 5 calls a second, 60 % fail
	within("brownout: failures", float64(f.Failed), 480, 620)
	within("brownout: good answers of a thousand lost", 1000*share(f.Lost, f.Good), 0, 60)

	f = ours.on(t, "ledger.example.com") // the quiet host: 360 s at one call in ten seconds
	within("quiet: failures", float64(f.Failed), 25, 50)
	within("quiet: spared", share(f.Spared, f.Failed), 0.5, 1)
	within("quiet: seconds open", f.OpenSeconds, 200, 420)
}

// as returns the sample as others would have logged it.
func as(t *testing.T, format string) string {
	t.Helper()
	file, err := os.Open(sample)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var text bytes.Buffer
	line := map[string]func(host string, end, took float64, status int){
		"nginx": func(host string, end, took float64, status int) {
			fmt.Fprintf(&text, `{"msec":"%.3f","upstream_name":"%s","upstream_status":"%d","upstream_response_time":"%.3f"}`+"\n", end, host, status, took)
		},
		"envoy": func(host string, end, took float64, status int) {
			fmt.Fprintf(&text, `{"start_time":%.6f,"authority":"%s","response_code":%d,"response_flags":"-","duration":%.0f}`+"\n", end-took, host, status, took*1000)
		},
		"csv": func(host string, end, took float64, status int) {
			if text.Len() == 0 {
				text.WriteString("end,host,duration,status\n")
			}
			fmt.Fprintf(&text, "%.6f,%s,%fs,%d\n", end, host, took, status)
		},
	}[format]
	keys := logs.Keys{Limit: 10}
	if _, err := logs.Read(file, logs.Options{}, &keys, func(c logs.Call) error {
		line(keys.Names[c.Key], float64(c.Start+c.Took)/1e9, float64(c.Took)/1e9, 200+300*int(c.Outcome))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), format+".log")
	if err := os.WriteFile(name, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestOtherLogsOfTheSameCallsHaveTheSameAnswers(t *testing.T) {
	want := replayed(t, options{replay: []string{sample}}).Guards[1].Total
	for _, format := range []string{"nginx", "envoy", "csv"} {
		t.Run(format, func(t *testing.T) {
			d := replayed(t, options{replay: []string{as(t, format)}})
			got := d.Guards[1].Total
			near := func(what string, a, b int) {
				if diff := a - b; diff < -40 || diff > 40 { // times are rounded to milliseconds
					t.Errorf("%s: %d, and %d in the recording; %q", what, a, b, d.Files[0].Guesses)
				}
			}
			if got.Calls != want.Calls || got.Failed != want.Failed || d.Files[0].Bad > 0 {
				t.Errorf("%+v, want %+v", got, want)
			}
			near("spared", got.Spared, want.Spared)
			near("lost", got.Lost, want.Lost)
		})
	}
}

func TestWhatIsPrinted(t *testing.T) {
	dir := t.TempDir()
	config, drawing := filepath.Join(dir, "eager.json"), filepath.Join(dir, "a.svg")
	if err := os.WriteFile(config, []byte(`{"consecutive_failures": 2}`), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(dir, "broken.log.gz")
	writeBroken(t, broken)
	o := options{replay: []string{sample, broken}, configs: []string{config}, beside: []string{"gobreaker, defaults"}, keys: 100, out: drawing}
	var out bytes.Buffer
	if err := o.run(t, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"sample.log.gz: recording, gzip", "time: end, the end of a call", "broken.log.gz: CSV, gzip, 3 lines, 1 calls",
		"2 lines could not be read:", "line 3: the duration \"NaN\" is out of range", "line 4: it has 1 fields, and the header 4",
		"to 5 hosts, from 2026-03-10 09:00:00",
		"no breaker", "defaults: opens when", "eager: opens when", "sony/gobreaker, defaults: Opens after 6",
		"failures spared: Calls that failed in the log and would have been rejected", "worst hosts under eager",
		`"evil\x1b[31m"`, "What a replay cannot know:", "A host that is spared may recover sooner", "drawn in " + drawing,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("a host's name moves the cursor")
	}
	drawn, err := os.ReadFile(drawing)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"no breaker", "defaults", "eager", "gobreaker", "09:10", "failures spared"} {
		if !bytes.Contains(drawn, []byte(want)) {
			t.Errorf("no %q in the drawing", want)
		}
	}
	if err := xml.Unmarshal(drawn, new(struct{ XMLName xml.Name })); err != nil {
		t.Errorf("the drawing: %v", err)
	}
}

func writeBroken(t *testing.T, name string) {
	t.Helper()
	var text bytes.Buffer
	z := gzip.NewWriter(&text)
	fmt.Fprint(z, "time,host,ms,status\n2026-03-10T09:01:00.5Z,evil\x1b[31m,1,500\n2026-03-10T09:01:00.5Z,a,NaN,200\nx\n")
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsAskedForMustBeThere(t *testing.T) {
	for want, o := range map[string]options{
		"-replay names it":             {search: true},
		"no such file":                 {replay: []string{"/does/not/exist"}, keys: 1},
		"there is none of that name":   {replay: []string{sample}, keys: 1, beside: []string{"gremlins"}},
		"-host gremlin: there is no":   {replay: []string{sample}, keys: 1, log: logs.Options{Host: "gremlin"}},
		"neither JSON, nor a combined": {replay: []string{"main.go"}, keys: 1},
		`unit "h"`:                     {replay: []string{sample}, keys: 1, log: logs.Options{Unit: "h"}},
	} {
		if err := o.run(t, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
}

func TestSearchOnTheSample(t *testing.T) {
	o := options{replay: []string{sample}, search: true, json: true, keys: 100}
	var out bytes.Buffer
	if err := o.run(t, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	var found searchJSON
	if err := json.Unmarshal(out.Bytes(), &found); err != nil {
		t.Fatal(err)
	}
	if found.Tried < 50 || len(found.Frontier) < 3 || found.Go == "" {
		t.Errorf("%d tried, %d on the frontier, %q", found.Tried, len(found.Frontier), found.Go)
	}
	for i := 1; i < len(found.Frontier); i++ {
		a, b := found.Frontier[i-1].Halves[0], found.Frontier[i].Halves[0]
		if b.Lost <= a.Lost || b.Spared <= a.Spared {
			t.Errorf("%+v is beaten by %+v", a, b)
		}
	}
	o.json = false
	out.Reset()
	if err := o.run(t, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"configurations tried", "today", "second half: lost", "breaker.Config{", "\n{", "opens when"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, &out)
		}
	}
}
