package logs_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/bench/tune/logs"
)

// read reads a log and writes each call as "host start took outcome", times in
// seconds since 2026-03-14 09:26:53 UTC.
func read(t *testing.T, text string, o logs.Options) ([]string, logs.Report, error) {
	t.Helper()
	return readFrom(t, strings.NewReader(text), o)
}

var noon = time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)

func readFrom(t *testing.T, from io.Reader, o logs.Options) ([]string, logs.Report, error) {
	t.Helper()
	keys := logs.Keys{Limit: 1000}
	var calls []string
	report, err := logs.Read(from, o, &keys, func(c logs.Call) error {
		calls = append(calls, fmt.Sprintf("%s %g %g %s", keys.Names[c.Key],
			float64(c.Start-noon.UnixNano())/1e9, float64(c.Took)/1e9,
			[...]string{"ok", "failed", "ignored", "rejected"}[c.Outcome]))
		return nil
	})
	return calls, report, err
}

func TestFormats(t *testing.T) {
	for _, c := range []struct {
		name, log string
		options   logs.Options
		want      []string
		said      []string
	}{
		{
			name: "a recording of ours",
			log: `{"end":"2026-03-14T09:26:53.500000001Z","key":"api.example.com","took":0.25,"outcome":"success"}
{"end":"2026-03-14T09:26:54Z","key":"api.example.com","took":1,"outcome":"failure"}
{"end":"2026-03-14T09:26:55Z","key":"api.example.com","outcome":"rejected"}
{"end":"2026-03-14T09:26:55Z","dropped":17}
{"end":"2026-03-14T09:26:56Z","key":"q\"\u00e9","took":0,"outcome":"ignored"}`,
			want: []string{"api.example.com 0.250000001 0.25 ok", "api.example.com 0 1 failed", "api.example.com 2 0 rejected", `q"é 3 0 ignored`},
			said: []string{"time: end, the end of a call", "duration: took, in s"},
		},
		{
			name: "nginx, JSON, with what it tells of the upstream",
			log: `{"msec":"1773480414.250","host":"www.example.com","upstream_addr":"10.0.0.1:80","upstream_status":"200","upstream_response_time":"0.250","status":"200","request_time":"0.300","ua":"a \"b\" \\"}
{"msec":"1773480415.000","host":"www.example.com","upstream_addr":"-","upstream_status":"-","upstream_response_time":"-","status":"304","request_time":"0.000"}
{"msec":"1773480416.000","host":"www.example.com","upstream_addr":"10.0.0.1:80, 10.0.0.2:80","upstream_status":"502, 200","upstream_response_time":"0.500, 0.250","status":"200","request_time":"0.800"}
{"msec":"1773480417.000","host":"www.example.com","upstream_addr":"10.0.0.1:80","upstream_status":"499","upstream_response_time":"0.5","status":"499","request_time":"0.800"}`,
			want: []string{"10.0.0.1:80 1 0.25 ok", "10.0.0.1:80 2.25 0.5 failed", "10.0.0.2:80 2.75 0.25 ok", "10.0.0.1:80 3.5 0.5 ignored"},
			said: []string{"time: msec, the end of a call (by its name; -time-is)", "host: upstream_addr", "duration: upstream_response_time, in s (by its name; -unit)", "status: upstream_status"},
		},
		{
			name: "nginx, JSON, in whole seconds",
			log: `{"time":"2026-03-14T09:26:53+00:00","host":"a","status":200,"request_time":0.1}
{"time":"2026-03-14T09:26:53+00:00","host":"a","status":200,"request_time":0.1}
{"time":"2026-03-14T10:26:54+01:00","host":"a","status":500,"request_time":0.5}`,
			want: []string{"a 0.15 0.1 ok", "a 0.65 0.1 ok", "a 1 0.5 failed"},
			said: []string{"times are whole seconds"},
		},
		{
			name: "Envoy, JSON",
			log: `{"start_time":"2026-03-14T09:26:53.250Z","duration":120,"response_code":200,"response_flags":"-","upstream_cluster":"outbound|80||api","authority":"api","upstream_host":"10.0.0.1:80"}
{"start_time":"2026-03-14T09:26:54.250Z","duration":15000,"response_code":0,"response_flags":"DC","upstream_cluster":"outbound|80||api","authority":"api","upstream_host":"10.0.0.1:80"}
{"start_time":"2026-03-14T09:26:55.250Z","duration":3,"response_code":503,"response_flags":"UF,URX","upstream_cluster":"outbound|80||api","authority":"api","upstream_host":null}`,
			want: []string{"outbound|80||api 0.25 0.12 ok", "outbound|80||api 1.25 15 ignored", "outbound|80||api 2.25 0.003 failed"},
			said: []string{"time: start_time, the start of a call", "duration: duration, in ms (by the size of its values; -unit)"},
		},
		{
			name: "combined with request time",
			log: `10.1.2.3 - - [14/Mar/2026:09:26:54 +0000] "GET /a HTTP/1.1" 200 1234 "-" "curl/8.0 \"x\"" 0.250
10.1.2.3 - frank [14/Mar/2026:10:26:55 +0100] "GET /b HTTP/1.1" 502 12 "https://x/" "-" 0.500`,
			want: []string{" 1.25 0.25 ok", " 2 0.5 failed"},
			said: []string{"duration: extra1, in s", "no field for the host"},
		},
		{
			name: "combined with a host in front and named times",
			log: `www.example.com:443 10.1.2.3 - - [14/Mar/2026:09:26:54 +0000] "GET /a HTTP/1.1" 200 1234 "-" "curl" rt=0.300 uct="0.001" urt="0.250" us="200"
www.example.com:443 10.1.2.3 - - [14/Mar/2026:09:26:54 +0000] "GET /a HTTP/1.1" 404 1234 "-" "curl" rt=0.300 uct="-" urt="-" us="-"`,
			want: []string{"www.example.com:443 1.25 0.25 ok"},
			said: []string{"duration: urt, in s", "host: vhost", "status: us"},
		},
		{
			name: "combined as a forward proxy writes it",
			log:  `10.1.2.3 - - [14/Mar/2026:09:26:54 +0000] "GET http://api.example.com/a HTTP/1.1" 200 1234 rt=0.5`,
			want: []string{"api.example.com 1 0.5 ok"},
		},
		{
			name: "CSV",
			log: "time,host,ms,status\n2026-03-14 09:26:54.5,\"a, b\",500,200\n" +
				"2026-03-14 09:26:55.5,\"say \"\"c\"\"\",1500,error\n",
			want: []string{"a, b 1 0.5 ok", `say "c" 1 1.5 failed`},
			said: []string{"duration: ms, in ms (by its name; -unit)"},
		},
		{
			name:    "CSV with everything set",
			log:     "\ufeffwhen;where;how long;how\n14.03.2026 09:26:54;a;0,5\n14.03.2026 09:26:54;a;250;200\n",
			options: logs.Options{Time: "when", Host: "where", Duration: "how long", Status: "how", Unit: "us", TimeIs: "start", TimeFormat: "02.01.2006 15:04:05"},
			want:    []string{"a 1.5 0.00025 ok"},
			said:    []string{"the start of a call (as set; -time-is)", "in us (as set; -unit)"},
		},
		{
			name: "CSV with durations of Go and times in milliseconds",
			log:  "ts\thost\tduration\tstatus\n1773480414000\ta\t1m1.5s\t200\n1773480414001\ta\t250ms\t503\n",
			want: []string{"a -60.5 61.5 ok", "a 0.751 0.25 failed"},
			said: []string{"duration: duration, in its own words"},
		},
		{
			name: "nested JSON",
			log: `{"level":"info","request":{"host":"a.example.com","headers":{"X":["}"]}},"ts":1773480414.25,"duration":0.25,"status":200}
{"level":"info","request":{"host":"b.example.com","headers":{"X":["}"]}},"ts":1773480414.25,"duration":1.5e-1,"status":200}`,
			want: []string{"a.example.com 1 0.25 ok", "b.example.com 1.1 0.15 ok"},
			said: []string{"duration: duration, in s (by the size of its values; -unit)"},
		},
		{
			name: "starts, known by the order of the lines",
			log: `{"time":"2026-03-14T09:26:54.5Z","host":"a","status":200,"took":"1ms"}
{"time":"2026-03-14T09:26:53.5Z","host":"a","status":200,"took":"2s"}
{"time":"2026-03-14T09:26:55.5Z","host":"a","status":200,"took":"1ms"}`,
			want: []string{"a 1.5 0.001 ok", "a 0.5 2 ok", "a 2.5 0.001 ok"},
			said: []string{"the start of a call (by the order of the lines; -time-is)"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, report, err := read(t, c.log, c.options)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
			guesses := strings.Join(report.Guesses, "\n")
			for _, said := range c.said {
				if !strings.Contains(guesses, said) {
					t.Errorf("%q is not said; but:\n%s", said, guesses)
				}
			}
			if report.Calls != len(got) {
				t.Errorf("%d calls reported, %d given", report.Calls, len(got))
			}
		})
	}
}

func TestWhatARecordingLacksIsTold(t *testing.T) {
	_, report, err := read(t, `{"begin":"2026-03-14T09:26:54Z"}
{"end":"2026-03-14T09:26:55Z","key":"a","took":1,"outcome":"success"}
{"end":"2026-03-14T09:26:55Z","dropped":17}
{"end":"2026-03-14T09:26:56Z","dropped":3}
{"begin":"2026-03-14T09:26:57Z"}`, logs.Options{})
	if err != nil || report.Dropped != 20 || report.Begin != noon.Add(time.Second).UnixNano() || report.Calls != 1 || report.BadAll != 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestBadLinesAreCountedAndShown(t *testing.T) {
	good := `{"end":"2026-03-14T09:26:55Z","key":"a","took":1,"outcome":"success"}`
	lines := []string{
		good,
		`{"end":"2026-03-14T09:26:55Z","key":"a","took":NaN,"outcome":"success"}`,
		`{"end":"2026-03-14T09:26:55Z","key":"a","took":-1,"outcome":"success"}`,
		`{"end":"2026-03-14T09:26:55Z","key":"a","took":1e300,"outcome":"success"}`,
		"", // blank lines are no lines, and count
		`{"end":"2026-03-14T09:26:55Z","key":"a","took":90000,"outcome":"success"}`,
		`{"end":"2026-03-14T09:26:55Z","key":"a","took":1`,
		`{"end":"1926-03-14T09:26:55Z","key":"a","took":1,"outcome":"success"}`,
		`{"end":"9999999999999999999999","key":"a","took":1,"outcome":"success"}`,
		`{"end":"soon","key":"a","took":1,"outcome":"success"}`,
		`{"end":"2026-03-14T09:26:55Z","key":"a","took":1,"outcome":"perhaps"}`,
		`{"end":"2026-03-14T09:26:55Z","key":"a","took":1,"outcome":"777777"}`,
		`{"end":"2026-03-14T09:26:55Z","key":"a","outcome":"success"}`,
		`{"end":"2026-03-14T09:26:55Z","key":"` + strings.Repeat("k", 2000) + `","took":1,"outcome":"success"}`,
		`{"end":"2026-03-14T09:26:55Z","key":"` + strings.Repeat("k", 10<<20) + `","took":1,"outcome":"success"}`,
		"\x00\x01\x02\xff\xfe",
		"hello",
		`{"end":"2026-03-14T09:26:55Z","dropped":-5}`,
		`{"end":0.5,"key":"a","took":1,"outcome":"success"}`,
		good,
	}
	calls, report, err := read(t, strings.Join(lines, "\n"), logs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(calls) != 2 || report.BadAll != 17 || report.Lines != 19 {
		t.Errorf("%d calls, %+v", len(calls), report)
	}
	for i, want := range []struct {
		number int
		why    string
	}{
		{2, "out of range"}, {3, "not within 0 and 24h"}, {4, "out of range"}, {6, "not within 0 and 24h"}, {7, "not a JSON object"},
	} {
		if b := report.Bad[i]; b.Number != want.number || !strings.Contains(b.Why, want.why) || b.Text == "" {
			t.Errorf("got %+v, want %+v", b, want)
		}
	}
	// Each of them is bad by itself, too.
	for i, line := range lines[1:19] {
		if line == "" {
			continue
		}
		_, report, err := read(t, good+"\n"+line, logs.Options{})
		if err != nil || report.BadAll != 1 || report.Bad[0].Number != 2 || len(report.Bad[0].Text) > 300 {
			t.Errorf("line %d: %+v, %v", i+2, report, err)
		}
	}
}

func TestAMillionHostsAreTooMany(t *testing.T) {
	var text strings.Builder
	text.WriteString("time,host,ms,status\n")
	for i := range 5000 {
		fmt.Fprintf(&text, "2026-03-14T09:26:54Z,h%d,1,200\n", i)
	}
	calls, report, err := read(t, text.String(), logs.Options{})
	if err != nil || len(calls) != 1000 || report.BadAll != 4000 {
		t.Fatalf("%d calls, %+v, %v", len(calls), report, err)
	}
	if b := report.Bad[0]; b.Number != 1002 || !strings.Contains(b.Why, "one more host than the 1000") {
		t.Errorf("%+v", b)
	}
}

func TestGzip(t *testing.T) {
	var file bytes.Buffer
	z := gzip.NewWriter(&file)
	for range 1000 {
		fmt.Fprintln(z, `{"end":"2026-03-14T09:26:55.1Z","key":"a","took":1,"outcome":"success"}`)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	whole := file.Bytes()
	calls, report, err := readFrom(t, bytes.NewReader(whole), logs.Options{})
	if err != nil || len(calls) != 1000 || report.Format != "recording, gzip" {
		t.Errorf("%d calls, %+v, %v", len(calls), report, err)
	}
	// One that is still being written, or was cut off.
	calls, report, err = readFrom(t, bytes.NewReader(whole[:len(whole)-10]), logs.Options{})
	if err != nil || len(calls) == 0 || report.BadAll != 1 || !strings.Contains(report.Bad[0].Why, "reading stops here") {
		t.Errorf("%d calls, %+v, %v", len(calls), report, err)
	}
}

func TestWhatMakesNoSenseIsAnErrorThatSaysWhy(t *testing.T) {
	for name, c := range map[string]struct {
		log     string
		options logs.Options
		want    string
	}{
		"nothing":              {"", logs.Options{}, "nothing in it"},
		"blank lines":          {"\n\n \n", logs.Options{}, "nothing in it"},
		"binary":               {"\x7fELF\x02\x01\x01\x00\x00" + strings.Repeat("\x00\xff", 10000), logs.Options{}, "line 1: neither JSON"},
		"a line of 10 MB":      {strings.Repeat("x", 10<<20), logs.Options{}, "line 1: neither JSON"},
		"prose":                {"Dear Sir or Madam\nhello", logs.Options{}, "line 1: neither JSON"},
		"no status":            {"time,host,ms\n2026-03-14T09:26:54Z,a,1\n", logs.Options{}, "which field is the status is not clear; -status names it; there are: time, host, ms"},
		"no such column":       {"time,host,ms,status\n2026-03-14T09:26:54Z,a,1,200\n", logs.Options{Host: "hst"}, "-host hst: there is no such field; there are: time, host, ms, status"},
		"a header alone":       {"time,host,ms,status\n", logs.Options{}, "no line after it"},
		"no call at all":       {"time,host,ms,status\n2026-03-14T09:26:54Z,a,1,200\n", logs.Options{Status: "host"}, `no line of 1 is a call; line 2: "a" is neither a status nor an outcome`},
		"a unit that is none":  {"x", logs.Options{Unit: "h"}, `unit "h"; want s, ms, us or ns`},
		"neither start or end": {"x", logs.Options{TimeIs: "middle"}, `want start or end`},
		"broken gzip":          {"\x1f\x8b\x00", logs.Options{}, "EOF"},
		"JSON that is none":    {"{\n{\n{", logs.Options{}, "line 1 looks like JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := read(t, c.log, c.options)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v; want %q in it", err, c.want)
			}
		})
	}
}

func TestAddMayStopReading(t *testing.T) {
	keys := logs.Keys{Limit: 10}
	line := `{"end":"2026-03-14T09:26:55.1Z","key":"a","took":1,"outcome":"success"}` + "\n"
	n := 0
	_, err := logs.Read(strings.NewReader(strings.Repeat(line, 1000)), logs.Options{}, &keys, func(logs.Call) error {
		if n++; n == 500 {
			return io.ErrShortWrite
		}
		return nil
	})
	if err != io.ErrShortWrite || n != 500 {
		t.Errorf("%v after %d calls", err, n)
	}
}

// FuzzRead shows that no log makes the reader panic, and that what it takes for a
// call is one.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		`{"end":"2026-03-14T09:26:55Z","key":"a","took":1,"outcome":"success"}`,
		`{"msec":"1773480416.000","upstream_addr":"10.0.0.1:80, 10.0.0.2:80","upstream_status":"502 : 200","upstream_response_time":"0.500, -","status":"200"}`,
		`{"start_time":"2026-03-14T09:26:53.250Z","duration":120,"response_code":200,"response_flags":"DC"}`,
		`h 10.1.2.3 - - [14/Mar/2026:09:26:54 +0000] "GET http://x/a HTTP/1.1" 200 1234 "-" "c\"" rt=0.300 uct="0.001" 0.250`,
		"time,host,ms,status\n2026-03-14T09:26:54Z,\"a\"\"\",1,200\n1773480416000000,a,NaN,0\n",
		"time;host;took;status\n0;a;-1h;200\n", "\x1f\x8b\x08\x00\x00\x00\x00\x00", "{\"a\":{\"b\":{\"c\":[\"]\"]}}}\n{}",
		"time|took|status\n1e3|+Inf|200\n9e18|0x1p-2|499",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, log []byte) {
		keys := logs.Keys{Limit: 3}
		calls := 0
		report, err := logs.Read(bytes.NewReader(log), logs.Options{}, &keys, func(c logs.Call) error {
			calls++
			if c.Start < 0 || c.Took < 0 || c.Took > int64(24*time.Hour) || int(c.Key) >= len(keys.Names) || c.Outcome > logs.Rejected ||
				c.Start > time.Date(2201, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano() {
				t.Errorf("%+v", c)
			}
			return nil
		})
		if calls != report.Calls {
			t.Errorf("%d calls reported, %d given", report.Calls, calls)
		}
		if err == nil && calls == 0 {
			t.Error("neither a call nor an error")
		}
		if report.BadAll > report.Lines+1 || len(report.Bad) > report.BadAll {
			t.Errorf("%+v", report)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	for name, line := range map[string]string{
		"recording": `{"end":"2026-03-14T09:26:%02d.%09dZ","key":"api.example.com","took":0.051234567,"outcome":"success"}`,
		"nginx": `{"time_iso8601":"2026-03-14T09:26:%02d+00:00","msec":"1773480416.%03d","remote_addr":"10.1.2.3","request":"GET /api/v1/users/1234567?x=1 HTTP/1.1",` +
			`"host":"www.example.com","status":"200","body_bytes_sent":"5120","request_time":"0.123","http_referer":"https://www.example.com/users","http_user_agent":"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0","upstream_addr":"10.0.0.1:8080","upstream_status":"200","upstream_response_time":"0.120"}`,
		"combined": `10.1.2.3 - - [14/Mar/2026:09:26:%02d +0000] "GET /a%d HTTP/1.1" 200 1234 "-" "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0" rt=0.250`,
	} {
		b.Run(name, func(b *testing.B) {
			var text bytes.Buffer
			for i := range 10_000 {
				fmt.Fprintf(&text, line+"\n", i/1000, i%1000)
			}
			b.SetBytes(int64(text.Len()))
			b.ReportAllocs()
			for b.Loop() {
				keys := logs.Keys{Limit: 10}
				if _, err := logs.Read(bytes.NewReader(text.Bytes()), logs.Options{}, &keys, func(logs.Call) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/line")
		})
	}
}
