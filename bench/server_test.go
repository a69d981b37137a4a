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

// serverSubjects are the transports that are measured over a real server. The
// empty wrapper is the control: what it costs, any RoundTripper around another does.
func serverSubjects() []subjects.Transport {
	var list []subjects.Transport
	for _, s := range subjects.Transports {
		switch s.Name {
		case "none", "httpbreaker", "httpbreaker-headersonly", subjects.BaselineTransport:
			list = append(list, s)
		}
	}
	return append(list, subjects.EmptyWrapper)
}

// BenchmarkServer is a real server on the loopback, under the load of 32 workers
// that send one request after the other. The transports take turns in the rounds of
// one process, and in each round another one begins. It reports, of all rounds, the
// CPU time of the client for a request, and as bare/guarded how many times as many
// requests the same CPU time is good for.
func BenchmarkServer(b *testing.B) {
	for _, protocol := range []string{"http1", "http2"} {
		measured := sync.OnceValue(func() map[string]served { return measureServer(b, protocol) })
		for _, s := range serverSubjects() {
			b.Run(protocol+"/"+s.Name, func(b *testing.B) {
				m := measured()[s.Name]
				b.ReportMetric(m.ratio, "bare/guarded")
				b.ReportMetric(m.cpu, "cpu-ns/op")
				b.ReportMetric(float64(m.rounds), "rounds")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// served is what came of a transport.
type served struct {
	ratio, cpu float64
	rounds     int
}

func measureServer(b *testing.B, protocol string) map[string]served {
	const workers = 32
	rounds, requests := 30, 800
	if testing.Short() {
		rounds, requests = 2, 320
	}
	url, err := serverURL()
	if err != nil {
		b.Fatal(err)
	}
	base := &http.Transport{MaxIdleConnsPerHost: workers, Protocols: protocols(protocol == "http1", protocol == "http2")}
	defer base.CloseIdleConnections()
	list := serverSubjects()
	clients := make([]*http.Client, len(list))
	for i, s := range list {
		clients[i] = &http.Client{Transport: s.New(base)}
		load(b, clients[i], url, workers, requests) // opens the connections
	}
	took := make([][]float64, len(list))
	for round := range rounds {
		for i := range list {
			i = (i + round) % len(list)
			took[i] = append(took[i], float64(load(b, clients[i], url, workers, requests)))
		}
	}
	all := map[string]served{}
	for i, s := range list {
		// Sums, as garbage is collected in some rounds and not in others.
		bare, guarded := sum(took[0]), sum(took[i]) // the first is the bare one
		all[s.Name] = served{bare / guarded, guarded / float64(rounds*requests), rounds}
		if t, ok := clients[i].Transport.(*httpbreaker.Transport); ok {
			checkCounted(b, t.Breakers(), (rounds+1)*requests)
		}
	}
	return all
}

// checkCounted makes sure that the breaker has seen every request.
func checkCounted(b *testing.B, set *breaker.Set, want int) {
	for _, br := range set.All() {
		if got := br.Snapshot().Totals.Successes; got != uint64(want) {
			b.Errorf("%d successes counted; want %d", got, want)
		}
	}
	if set.Len() != 1 {
		b.Errorf("%d circuits; want 1", set.Len())
	}
}

func sum(values []float64) (s float64) {
	for _, v := range values {
		s += v
	}
	return s
}
