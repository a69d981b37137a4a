package browser

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// serveTune builds bench/tune, runs it with a page and returns the page's URL.
func serveTune(t *testing.T) (url string) {
	t.Helper()
	if _, err := exec.LookPath("chromium"); err != nil && os.Getenv("CI") != "true" {
		t.Skip("no chromium; install Debian's package chromium to run this test")
	}
	program := filepath.Join(t.TempDir(), "tune")
	build := exec.Command("go", "build", "-o", program, "./tune")
	build.Dir = "../../bench"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	tune := exec.Command(program, "-http", "127.0.0.1:0")
	tune.Stderr = os.Stderr
	out, err := tune.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := tune.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = tune.Process.Kill()
		_ = tune.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// drawn waits until the page shows what its sliders say.
func (b *tab) drawn() {
	b.t.Helper()
	b.until(`document.body?.dataset.drawn > 0 && !asking && document.querySelector('#error').hidden`)
}

// figure is a cell of the page's table: of a row, for the breaker with the sliders.
func (b *tab) figure(row string) string {
	b.t.Helper()
	return eval[string](b, fmt.Sprintf(`[...document.querySelectorAll('#figures tbody tr')].find(r => r.cells[0].textContent === %q).cells[2].textContent`, row))
}

// slide moves a slider by keys.
func (b *tab) slide(id, key string, times int) {
	b.t.Helper()
	b.run(`document.querySelector('#` + id + `').focus()`)
	for range times {
		b.do(chromedp.KeyEvent(key))
	}
	b.drawn()
}

func TestTuneRedrawsAsASliderMoves(t *testing.T) {
	page := open(t, serveTune(t))
	page.drawn()
	page.contains("#charts", "no breaker", "yours", "sony/gobreaker, defaults")
	page.contains("#breaker", "5 failures in a row open the circuit")
	page.contains("#json", "{}")
	page.contains("#go", "breaker.Config{}")
	before, picture := page.figure("failures sent"), eval[string](page, `document.querySelectorAll('.chart path.failed')[1].getAttribute('d')`)

	page.slide("consecutive_failures", kb.ArrowRight, 4)
	page.contains("#breaker", "20 failures in a row open the circuit")
	page.slide("consecutive_span", kb.Home, 1)
	page.contains("#breaker", "off: however short")
	page.slide("independent_failures", kb.End, 1)
	page.contains("#breaker", "200 independent failures in a row open it at once")
	page.contains("#json", `"consecutive_failures":20`)
	page.contains("#go", "ConsecutiveFailures: 20")
	page.contains("#words", "20 in a row fail")
	if after := page.figure("failures sent"); after == before {
		t.Errorf("%s failures sent before and after", after)
	}
	if eval[string](page, `document.querySelectorAll('.chart path.failed')[1].getAttribute('d')`) == picture {
		t.Error("the chart is as it was")
	}
	page.until(`document.querySelector('#status').textContent.includes('of the failures are spared')`)

	// At the rate at which the page begins: 100 calls a second.
	var took []int
	for i := range 9 {
		page.slide("open_for", []string{kb.ArrowLeft, kb.ArrowRight}[i%2], 1)
		took = append(took, eval[int](page, `Number(document.body.dataset.took)`))
	}
	slices.Sort(took)
	t.Logf("a redrawing takes %v ms", took)
	if took[0] > 150 {
		t.Errorf("the fastest of nine redrawings took %d ms; want 150 at most", took[0])
	}

	// What goes wrong, and what stands beside.
	page.run(`document.querySelector('[value=hang]').click()`)
	page.drawn()
	page.contains("#figures", "call-seconds in failures")
	page.run(`const s = document.querySelector('#beside'); s.value = 'failsafe-go, defaults'; s.dispatchEvent(new Event('input', { bubbles: true }))`)
	page.drawn()
	page.until(`document.querySelector('#charts').innerText.includes('failsafe-go, defaults')`)
	page.contains("#beside-about", "Opens at the first failure")
	page.run(`document.querySelector('#reset').click()`)
	page.drawn()
	page.until(`document.querySelector('#json').textContent === '{}'`)
	if now := page.figure("failures sent"); now != before {
		t.Errorf("back to the defaults %s failures are sent, and %s at first", now, before)
	}

	if e := page.heardErrors(); len(e) > 0 {
		t.Error(e)
	}
}

func TestTuneLinkHoldsTheState(t *testing.T) {
	url := serveTune(t)
	page := open(t, url)
	page.drawn()
	page.slide("open_for", kb.ArrowRight, 2)
	page.slide("rps", kb.ArrowLeft, 3)
	page.slide("slow_call", kb.End, 1)
	page.run(`document.querySelector('[value=errors]').click()`)
	page.drawn()
	page.slide("share", kb.End, 1)
	link := eval[string](page, `location.href`)
	want := eval[string](page, `document.querySelector('#figures').innerText + document.querySelector('#controls').innerText`)

	other := open(t, link)
	other.drawn()
	if got := eval[string](other, `document.querySelector('#figures').innerText + document.querySelector('#controls').innerText`); got != want {
		t.Errorf("the link %s shows\n%s\nwant\n%s", link, got, want)
	}
	other.contains("#traffic", "10 calls a second")
	// A link that makes no sense does no harm.
	other.do(chromedp.Navigate(url + "#rps=many&fault=%3Cscript%3E&beside=nobody&open_for=-7&log=<img src=x onerror=hacked=1>"))
	other.do(chromedp.Reload())
	other.drawn()
	other.contains("#traffic", "100 calls a second")
	other.contains("#log-said", "This link was made with the log <img src=x onerror=hacked=1>.")
	if eval[bool](other, `typeof hacked !== 'undefined'`) {
		t.Error("a link ran as script")
	}
	if e := other.heardErrors(); len(e) > 0 {
		t.Error(e)
	}
}

// drop lets a file fall onto the page.
func (b *tab) drop(name string, content []byte) {
	b.t.Helper()
	b.run(fmt.Sprintf(`
		const bytes = Uint8Array.from(atob(%q), c => c.charCodeAt(0)), data = new DataTransfer();
		data.items.add(new File([bytes], %q));
		dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }))`,
		base64.StdEncoding.EncodeToString(content), name))
}

func TestTuneReplaysALogThatIsDroppedOnIt(t *testing.T) {
	url := serveTune(t)
	page := open(t, url)
	page.drawn()
	sample, err := os.ReadFile("../../bench/tune/testdata/sample.log.gz")
	if err != nil {
		t.Fatal(err)
	}
	page.drop("sample.log.gz", sample)
	page.until(`document.querySelector('#lead').textContent.includes('sample.log.gz')`)
	page.drawn()
	page.contains("#log-said", "recording, gzip, 16,860 calls to 4 hosts, 2026-03-10 09:00:00", "time: end, the end of a call")
	page.contains("#hosts", "payments.example.com", "search.example.com")
	page.contains("#charts", "09:10")
	if eval[bool](page, `document.querySelector('#traffic').checkVisibility()`) {
		t.Error("the sliders for made-up calls are still there")
	}
	before := page.figure("failures spared")
	page.slide("consecutive_failures", kb.End, 1)
	page.slide("open_for", kb.End, 1)
	if after := page.figure("failures spared"); after == before {
		t.Errorf("%s failures spared before and after", after)
	}
	if link := eval[string](page, `location.hash`); !strings.Contains(link, "log=sample.log.gz") {
		t.Errorf("the link %s does not name the log", link)
	}

	// One with fields that have to be named, a hostile host, and bad lines.
	page.drop("mine.csv", []byte("when,who,how long,how\n2026-03-10T09:00:00.5Z,<img src=x onerror=hacked=1>,10,200\n2026-03-10T09:00:01.5Z,a,NaN,200\n2026-03-10T09:00:01.5Z,b,10,500\n"))
	page.until(`document.querySelector('#log-said').textContent.includes('which field is the time is not clear')`)
	page.contains("#log-said", "mine.csv:", "there are: when, who, how long, how")
	page.run(`document.querySelector('#log-otherwise').open = true;
		for (const [k, v] of Object.entries({ time: 'when', host: 'who', duration: 'how long', status: 'how', unit: 'ms' })) document.querySelector('[data-query=' + k + ']').value = v;
		document.querySelector('#log-again').click()`)
	page.until(`document.querySelector('#lead').textContent.includes('mine.csv')`)
	page.drawn()
	page.contains("#log-said", "CSV, 2 calls to 2 hosts", "1 line could not be read:", `line 3: the duration "NaN" is out of range`)
	if eval[bool](page, `typeof hacked !== 'undefined'`) {
		t.Error("a host ran as script")
	}

	page.click("#log-close")
	page.drawn()
	page.until(`document.querySelector('#traffic').checkVisibility() && document.querySelector('#hosts').hidden`)

	// Everything came from the program itself. That a log could not be read the page says, and
	// the browser logs that as an error, once.
	for _, e := range page.heardErrors() {
		if !strings.Contains(e, "422") {
			t.Error(e)
		}
	}
	for _, request := range page.heardRequests() {
		if !strings.HasPrefix(request, url) && !strings.HasPrefix(request, "data:") {
			t.Errorf("the page asked for %s", request)
		}
	}
}

func TestTuneWorksWithKeysAndOnSmallScreens(t *testing.T) {
	page := open(t, serveTune(t))
	page.drawn()
	for _, unnamed := range eval[[]string](page, `[...document.querySelectorAll('button, input, select, a, summary, [role=img], progress')]
		.filter(e => !(e.ariaLabel || e.textContent.trim() || e.labels?.length || e.getAttribute('aria-labelledby'))).map(e => e.outerHTML)`) {
		t.Errorf("%s has no name to read out", unnamed)
	}
	if said := eval[string](page, `document.querySelector('#open_for').getAttribute('aria-valuetext')`); !strings.Contains(said, "5 s open before the first probe") {
		t.Errorf("a slider is read out as %q", said)
	}
	// Tab comes to everything that can be used, in the order in which it is shown.
	page.run(`document.activeElement.blur()`)
	seen := map[string]bool{}
	for range 60 {
		page.do(chromedp.KeyEvent(kb.Tab))
		seen[eval[string](page, `document.activeElement.id || document.activeElement.name || document.activeElement.tagName`)] = true
	}
	for _, want := range []string{"consecutive_failures", "slow_start", "beside", "rps", "fault", "for", "log-file", "copy", "reset"} {
		if !seen[want] {
			t.Errorf("the Tab key does not come to %s", want)
		}
	}
	for _, wide := range []int64{360, 600, 900, 1440} {
		page.do(chromedp.EmulateViewport(wide, 800))
		if over := eval[int](page, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
			t.Errorf("at a width of %d the page is %d wider", wide, over)
		}
	}
}
