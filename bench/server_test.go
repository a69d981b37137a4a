package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/bench/speed/subjects"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// serverEnv makes the test binary a server: one of its own process, so that the
// client's CPU time can be told from the server's.
const serverEnv = "HTTPBREAKER_BENCH_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(serverEnv) != "" {
		serve()
		return
	}
	code := m.Run()
	stopServer()
	os.Exit(code)
}

// answer is what the server sends: a kilobyte.
var answer = bytes.Repeat([]byte(`{"id":12345,"name":"some thing"}`), 32)

// serve answers requests of HTTP/1.1 and of HTTP/2 without TLS until its
// standard input ends.
func serve() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	server := http.Server{Protocols: protocols(true, true)}
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		_, _ = w.Write(answer)
	})
	fmt.Println(listener.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	panic(server.Serve(listener))
}

func protocols(http1, http2 bool) *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(http1)
	p.SetUnencryptedHTTP2(http2)
	return p
}

var stopServer = func() {}

// serverURL starts the server and returns its URL.
var serverURL = sync.OnceValues(func() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), serverEnv+"=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	stopServer = func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	}
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	return "http://" + strings.TrimSpace(addr) + "/v1/things", err
})

// load makes so many requests at once, each worker one after the other, reads
// their answers, and returns the CPU time that this took.
func load(tb testing.TB, client *http.Client, url string, workers, requests int) time.Duration {
	var wg sync.WaitGroup
	errs := make(chan error, workers)
	runtime.GC()
	before := cpuTime()
	for range workers {
		wg.Go(func() {
			buf := make([]byte, 4096)
			for range requests / workers {
				if err := get(client, url, buf); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	took := cpuTime() - before
	select {
	case err := <-errs:
		tb.Fatal(err)
	default:
	}
	return took
}

func get(client *http.Client, url string, buf []byte) error {
	res, err := client.Get(url)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	n := 0
	for {
		m, err := res.Body.Read(buf)
		n += m
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if res.StatusCode != http.StatusOK || n != len(answer) {
		return fmt.Errorf("%s with %d bytes", res.Status, n)
	}
	return nil
}

// BenchmarkServer is a real server on the loopback, under the load of 32 workers
// that send one request after the other. Runs over the bare transport and over
// a guarded one alternate in pairs. It reports the CPU time of the client for a
// request, and as bare/guarded how many times as many requests the same CPU time
// is good for: the median of the pairs.
func BenchmarkServer(b *testing.B) {
	for _, protocol := range []string{"http1", "http2"} {
		for _, s := range serverSubjects() {
			if protocol == "http2" && !strings.HasPrefix(s.Name, "httpbreaker") {
				continue
			}
			b.Run(protocol+"/"+s.Name, func(b *testing.B) {
				benchmarkServer(b, protocol, s)
			})
		}
	}
}

// serverSubjects are the transports that are measured over a real server, the
// bare one against itself included: that shows how exact the figures are.
func serverSubjects() []subjects.Transport {
	var list []subjects.Transport
	for _, s := range subjects.Transports {
		if s.Name != "gobreaker-one" && s.Name != "resty" {
			list = append(list, s)
		}
	}
	return append(list, subjects.Transport{Name: "httpbreaker-scraped", New: newScrapedTransport})
}

// newScrapedTransport returns a transport with 1,000 circuits of which somebody
// takes snapshots all the time, a hundred times as often as a metrics server
// would.
func newScrapedTransport(base http.RoundTripper) http.RoundTripper {
	set := breaker.NewSet(breaker.Options{})
	for i := range 1000 {
		set.Get(strconv.Itoa(i))
	}
	return scraped{httpbreaker.New(&httpbreaker.Config{Base: base, Breakers: set})}
}

type scraped struct{ *httpbreaker.Transport }

func (s scraped) scrape(stop <-chan struct{}) {
	every := time.NewTicker(100 * time.Millisecond)
	defer every.Stop()
	for {
		for _, b := range s.Breakers().All() {
			_ = b.Snapshot()
		}
		select {
		case <-every.C:
		case <-stop:
			return
		}
	}
}

func benchmarkServer(b *testing.B, protocol string, s subjects.Transport) {
	const workers = 32
	pairs, requests := 20, 2000
	if testing.Short() {
		pairs, requests = 3, 1000
	}
	url, err := serverURL()
	if err != nil {
		b.Fatal(err)
	}
	base := &http.Transport{MaxIdleConnsPerHost: workers, Protocols: protocols(protocol == "http1", protocol == "http2")}
	defer base.CloseIdleConnections()
	bare := &http.Client{Transport: base}
	guarded := &http.Client{Transport: s.New(base)}
	runs := map[*http.Client]func() time.Duration{
		bare:    func() time.Duration { return load(b, bare, url, workers, requests) },
		guarded: func() time.Duration { return load(b, guarded, url, workers, requests) },
	}
	if s, ok := guarded.Transport.(scraped); ok {
		unscraped := runs[guarded]
		runs[guarded] = func() time.Duration {
			stop := make(chan struct{})
			defer close(stop)
			go s.scrape(stop)
			return unscraped()
		}
	}
	runs[bare]() // opens the connections
	sent := requests / workers * workers
	for b.Loop() {
		var ratios, cpu []float64
		for i := range pairs {
			order := []*http.Client{bare, guarded}
			if i%2 == 1 {
				order = []*http.Client{guarded, bare}
			}
			took := map[*http.Client]time.Duration{}
			for _, client := range order {
				took[client] = runs[client]()
			}
			ratios = append(ratios, float64(took[bare])/float64(took[guarded]))
			cpu = append(cpu, float64(took[guarded])/float64(sent))
		}
		b.ReportMetric(median(ratios), "bare/guarded")
		b.ReportMetric(median(cpu), "cpu-ns/op")
		b.ReportMetric(0, "ns/op")
		if t, ok := guarded.Transport.(*httpbreaker.Transport); ok {
			checkCounted(b, t.Breakers(), pairs*sent)
		}
	}
}

// checkCounted makes sure that the breaker has seen every request.
func checkCounted(b *testing.B, set *breaker.Set, want int) {
	for _, br := range set.All() {
		if got := br.Snapshot().Totals.Successes; got < uint64(want) || got%uint64(want) != 0 {
			b.Errorf("%d successes counted; want a multiple of %d", got, want)
		}
	}
	if set.Len() != 1 {
		b.Errorf("%d circuits; want 1", set.Len())
	}
}

func median(values []float64) float64 {
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}
