package browser

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/statuspage"
)

func TestHostOpensAndRecovers(t *testing.T) {
	var status atomic.Int64
	status.Store(200)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(int(status.Load()))
	}))
	t.Cleanup(upstream.Close)
	host := strings.TrimPrefix(upstream.URL, "http://")
	set := breaker.NewSet(breaker.Options{Config: breaker.Config{
		ConsecutiveFailures: 3, ConsecutiveSpan: -1, OpenFor: 2 * time.Second, Jitter: -1,
	}})
	client := &http.Client{Transport: httpbreaker.New(&httpbreaker.Config{Breakers: set})}
	call := func() error {
		res, err := client.Get(upstream.URL)
		if err == nil {
			_, err = io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
		return err
	}

	page := open(t, servePage(t, set, nil))
	page.until(`document.body.dataset.link === 'live'`)
	page.contains("#empty", "No circuits yet")

	for range 5 {
		if err := call(); err != nil {
			t.Fatal(err)
		}
	}
	page.until(`document.querySelector('#rows tr[data-state=closed]')`)
	page.contains("#rows tr", host, "Closed", "0 %", "0 of 5")

	status.Store(503)
	for range 3 {
		if err := call(); err != nil {
			t.Fatal(err)
		}
	}
	if err := call(); !errors.Is(err, httpbreaker.ErrOpen) {
		t.Fatalf("err = %v; want ErrOpen", err)
	}
	page.until(`document.querySelector('#rows tr[data-state=open] .next')?.innerText.startsWith('try in ')`)
	page.contains("#rows tr", "Open", "3 calls in a row failed", "3 in a row", "3 of 8 calls", "when it opened")
	page.until(`document.querySelector('#rows .rejected')?.innerText.startsWith('1')`)
	page.until(`document.title === '(1 open) Circuits'`)
	page.contains("#events li", host, "opened", "3 calls in a row failed")
	page.until(`document.querySelector('#announce').textContent.includes('opened')`)
	if label := eval[string](page, `document.querySelector('.chart').getAttribute('aria-label')`); !strings.Contains(label, "was open") {
		t.Errorf("chart is labelled %q", label)
	}

	status.Store(200)
	page.until(`document.querySelector('#rows .next')?.innerText === 'try on next call'`)
	if s, _ := set.Lookup(host); s.State() != breaker.Open {
		t.Fatal("looking at the page moved the circuit")
	}
	if err := call(); err != nil {
		t.Fatal(err)
	}
	page.until(`document.querySelector('#rows tr[data-state=closed]') && document.title === 'Circuits'`)
	page.until(`document.querySelector('#events li').innerText.includes('closed after')`)
	page.contains("#events li", host, "3 calls in a row failed", "1 rejected")
	if n := eval[int](page, `document.querySelectorAll('#events li').length`); n != 1 {
		t.Errorf("%d entries; want one for the outage", n)
	}
	if e := page.heardErrors(); len(e) > 0 {
		t.Error(e)
	}
}

func TestControls(t *testing.T) {
	set := breaker.NewSet(breaker.Options{})
	const key = "GET example.com/a b/{id}?50%"
	circuit := set.Get(key)
	var allowed atomic.Bool
	allowed.Store(true)
	page := open(t, servePage(t, set, &statuspage.Options{Control: func(*http.Request) bool { return allowed.Load() }}))
	do := func(action, reason string) {
		t.Helper()
		page.until(`document.querySelector('#rows .control') && !document.querySelector('#control').open`)
		page.click("#rows .control")
		page.contains("#control", key)
		page.click("#control input[value=" + action + "]")
		page.write("#control-reason", reason+"\r")
	}
	shown := func(mode, state, reason string) {
		t.Helper()
		page.until(fmt.Sprintf(`document.querySelector('#rows tr[data-mode=%s][data-state=%s] .reason')?.textContent.trim() === %q`, mode, state, reason))
	}

	do("force-open", "moving the <database>")
	shown("force-open", "open", "moving the <database>")
	if s := circuit.Snapshot(); s.Mode != breaker.ForceOpen || s.Reason != "moving the <database>" {
		t.Errorf("got %+v", s)
	}
	do("disabled", "let it through")
	shown("disabled", "closed", "let it through")
	do("observe", "watch it")
	shown("observe", "closed", "watch it")
	do("enforce", "back to normal")
	shown("enforce", "closed", "back to normal")

	circuit.Trip(time.Hour, "tripped by the test")
	shown("enforce", "open", "tripped by the test")
	do("reset", "it is well again")
	page.until(`document.querySelector('#rows tr[data-state=closed]')`)
	page.until(`[...document.querySelectorAll('#events li')].some(li => li.innerText.includes('reset by an operator') && li.innerText.includes('it is well again'))`)

	// Without a reason the form does not go.
	page.click("#rows .control")
	page.click("#control input[value=disabled]")
	page.click("#control-apply")
	if !eval[bool](page, `document.querySelector('#control').open && document.querySelector('#control-reason:invalid') !== null`) {
		t.Error("the form went without a reason")
	}
	// What the server refuses is said where it was asked.
	allowed.Store(false)
	page.write("#control-reason", "no longer allowed\r")
	page.until(`document.querySelector('#control-error').textContent === 'Not done: not allowed to change circuits'`)
	if m := circuit.Snapshot().Mode; m != breaker.Enforce {
		t.Errorf("mode = %v", m)
	}

	// And who may not control does not see how.
	page.do(chromedp.Reload())
	page.until(`document.querySelector('#rows tr')`)
	if eval[bool](page, `document.querySelector('dialog, .control') !== null`) {
		t.Error("controls are shown to who may not use them")
	}
}

func TestKillSwitch(t *testing.T) {
	set := breaker.NewSet(breaker.Options{})
	set.Get("a.example.com").Trip(time.Hour, "test")
	page := open(t, servePage(t, set, &statuspage.Options{
		Control:  func(*http.Request) bool { return true },
		Operator: func(*http.Request) string { return "alice <ops>" },
	}))
	page.until(`document.querySelector('#rows tr[data-state=open]')`)
	do := func(mode, reason string) {
		t.Helper()
		page.click("#control-all")
		page.contains("#control", "Control all circuits", "those to come", "by alice <ops>")
		if eval[bool](page, `document.querySelector('#control-reset').checkVisibility()`) {
			t.Error("all circuits at once have no reset")
		}
		page.click("#control input[value=" + mode + "]")
		page.write("#control-reason", reason+"\r")
	}
	do("disabled", "the breakers are to blame")
	page.until(`!document.querySelector('#all').hidden && document.querySelector('#rows tr[data-mode=disabled][data-state=closed]')`)
	page.contains("#all", "All circuits are disabled since ", ": the breakers are to blame, by alice <ops>")
	page.contains("#events", "All circuits", "set to disabled by an operator", "the breakers are to blame, by alice <ops>")
	if s := set.Get("new").Snapshot(); s.Mode != breaker.Disabled {
		t.Errorf("a new circuit has mode %v", s.Mode)
	}
	do("enforce", "they were not")
	page.until(`document.querySelector('#all').hidden && document.querySelector('#rows tr[data-mode=enforce][data-state=open]')`)
}

// Who opens the page after the alert sees what led to it.
func TestPageOpenedAfterTheAlert(t *testing.T) {
	set := breaker.NewSet(breaker.Options{Config: breaker.Config{ConsecutiveFailures: 3, ConsecutiveSpan: -1, ProbeShare: -1}})
	url := servePage(t, set, nil)
	b := set.Get("a.example.com")
	for range 7 {
		p, _ := b.Allow(t.Context())
		p.Done(breaker.Success)
	}
	for range 3 {
		p, _ := b.Allow(t.Context())
		p.Fail(errors.New("connect: connection refused"))
	}
	for range 40 {
		b.Allow(t.Context())
	}
	page := open(t, url)
	page.until(`document.querySelector('#rows tr[data-state=open]')`)
	page.contains("#rows tr", "3 in a row", "3 of 10 calls", "when it opened", "Last failure: connect: connection refused", "try in ")
	if !eval[bool](page, `document.querySelector('#rows .bars').getAttribute('d') !== '' && document.querySelector('#rows .was-open').getAttribute('d') !== ''`) {
		t.Error("the chart does not show what was before the page")
	}
	page.until(`document.querySelector('#events li')`)
	page.contains("#events li", "3 calls in a row failed", "last failure: connect: connection refused")
	page.click("#rows .key")
	page.contains("#rows .detail", "Outage since", "When it opened 10 calls, 3 failed, 0 slow", "Moved by its rules", "Let through 0 %")
}

// Keys of routes differ at their ends.
func TestLongKeysStayApart(t *testing.T) {
	set := breaker.NewSet(breaker.Options{})
	var keys []string
	for i := range 16 {
		keys = append(keys, fmt.Sprintf("GET catalog.eu-central-1.internal.example.com/v1/shops/{shop}/items/{item}/%x", i))
		set.Get(keys[i])
	}
	page := open(t, servePage(t, set, &statuspage.Options{Control: func(*http.Request) bool { return true }}))
	page.do(chromedp.EmulateViewport(1360, 900))
	page.until(`document.querySelectorAll('#rows tr').length === 16`)
	if got := eval[[]string](page, `[...document.querySelectorAll('#rows .key')].map(k => k.innerText)`); !slices.Equal(got, keys) {
		t.Errorf("the keys read %q", got)
	}
	if !eval[bool](page, `[...document.querySelectorAll('#rows .key')].every(k => k.scrollWidth <= k.clientWidth + 1 && k.querySelector('.head').scrollWidth > k.querySelector('.head').clientWidth)`) {
		t.Error("keys are not cut in the middle")
	}
	page.click("#rows tr:nth-child(12) .control")
	page.contains("#control", keys[11])
	page.do(chromedp.EmulateViewport(360, 800))
	if !eval[bool](page, `(k => k.textContent.endsWith('/b') && k.scrollWidth <= k.clientWidth)(document.querySelector('#control-key'))`) {
		t.Error("the dialog cuts the key")
	}
}

func TestOneHostIsOneEvent(t *testing.T) {
	set := breaker.NewSet(breaker.Options{Config: breaker.Config{OpenFor: 10 * time.Millisecond, MaxOpenFor: 10 * time.Millisecond, ProbeShare: -1, ConsecutiveFailures: 1, ConsecutiveSpan: -1, Chance: -1}})
	url := servePage(t, set, nil)
	set.Get("other.example.com").Trip(time.Hour, "the other")
	down := set.Get("down.example.com")
	for opened := uint64(0); opened < 50; opened = down.Snapshot().Totals.Opened {
		if p, err := down.Allow(t.Context()); err == nil {
			p.Done(breaker.Failure)
		}
	}
	page := open(t, url)
	page.until(`document.querySelectorAll('#events li').length === 3`) // one says that other was tripped
	page.contains("#events li:first-child", "down.example.com", "opened 50 times")
	page.contains("#events", "other.example.com", "the other")
	down.Reset("test")
	page.until(`document.querySelector('#events').innerText.includes('closed after')`)
}

func TestHostileKeysDoNothing(t *testing.T) {
	keys := []string{
		`<script>hacked=1</script>`,
		`<img src=x onerror=hacked=1>`,
		`"><svg onload=hacked=1>`,
		`' onmouseover='hacked=1`,
		`javascript:hacked=1`,
		`</script><script>hacked=1</script>`,
		`{{constructor.constructor("hacked=1")()}}`,
		"a\u202egnp.exe\u2066\x00\n\x1b[31m\u200b",
		`__proto__`, `constructor`, `../../circuits`, `%2e%2e/%00`, `?state=open#x`,
	}
	set := breaker.NewSet(breaker.Options{})
	url := servePage(t, set, &statuspage.Options{Control: func(*http.Request) bool { return true }})
	page := open(t, url)
	for _, key := range keys {
		set.Get(key).Trip(time.Hour, "because of "+key)
		set.Get(key).SetMode(breaker.ForceOpen, "forced for "+key)
	}
	page.until(fmt.Sprintf(`document.querySelectorAll('#rows tr').length === %d && document.querySelectorAll('#events li').length >= %[1]d`, len(keys)))
	// Everything that shows a key: details, the dialog, the filter, tooltips.
	page.run(`document.querySelectorAll('#rows .key').forEach(b => b.click())`)
	// Each is still the key of its own circuit.
	statuses := eval[string](page, `Promise.all([...document.querySelectorAll('.detail a')].map(a => fetch(a.href).then(r => r.status))).then(all => all.join(' '))`)
	if want := strings.TrimSpace(strings.Repeat("200 ", len(keys))); statuses != want {
		t.Errorf("their JSON answers %s; want %s", statuses, want)
	}
	page.run(`document.querySelectorAll('#rows .control').forEach(b => { b.click(); document.querySelector('#control').close(); })`)
	page.run(`[...document.querySelectorAll('#events .key')].forEach(b => b.click())`)
	page.run(`setFilter('')`)
	page.until(fmt.Sprintf(`!busy && !again && document.querySelectorAll('#rows > tr:not(.detail)').length === %d`, len(keys)))

	if eval[bool](page, `typeof hacked !== 'undefined'`) {
		t.Error("a key ran as script")
	}
	if n := eval[int](page, `document.querySelectorAll('table script, table img, aside script, aside img, dialog script, dialog img, [onload], [onerror], [onmouseover]').length`); n > 0 {
		t.Errorf("%d elements were made out of keys", n)
	}
	shown := eval[string](page, `document.querySelector('#rows').textContent`)
	for _, want := range []string{keys[0], keys[1], `a\u{202e}gnp.exe\u{2066}\u{0}\u{a}\u{1b}[31m\u{200b}`} {
		if !strings.Contains(shown, want) {
			t.Errorf("%q is not shown as it is, in:\n%s", want, shown)
		}
	}
	if e := page.heardErrors(); len(e) > 0 {
		t.Error(e)
	}
	requests := page.heardRequests()
	if len(requests) < 3 {
		t.Errorf("heard of the requests %q only", requests)
	}
	for _, request := range requests {
		if !strings.HasPrefix(request, url) && !strings.HasPrefix(request, "data:") {
			t.Errorf("the page asked for %s", request)
		}
	}
}

func TestTenThousandCircuits(t *testing.T) {
	set := breaker.NewSet(breaker.Options{})
	for i := range 10_000 {
		set.Get(fmt.Sprintf("shard-%d.example.com", i))
	}
	set.Get("shard-7777.example.com").Trip(time.Hour, "the one that is open")
	page := open(t, servePage(t, set, nil))
	page.until(`document.querySelectorAll('#rows tr').length === 100`)
	page.contains("main", "Showing 100 of 10,000 circuits.")
	page.contains("#rows tr", "shard-7777.example.com", "Open", "the one that is open")
	page.contains("#chips", "Open 1", "Closed 9,999")

	page.write("#filter", "shard-123")
	page.until(`document.querySelectorAll('#rows tr').length === 11`) // 123 and 1230 to 1239
	page.run(`setFilter('')`)
	page.click("#more")
	page.until(`document.querySelectorAll('#rows tr').length === 200`)

	took := eval[float64](page, `(async () => {
		const began = performance.now();
		const doc = await ask('circuits?history&sort=key&limit=200');
		takeAll(doc);
		render(doc);
		document.body.offsetHeight;
		return performance.now() - began;
	})()`)
	t.Logf("asking for and showing 200 of 10,000 circuits took %.0f ms", took)
	if took > 1000 {
		t.Errorf("took %.0f ms; want well under a second", took)
	}
}

func TestLostServerShows(t *testing.T) {
	set := breaker.NewSet(breaker.Options{})
	set.Get("example.com")
	var lost atomic.Bool
	h := statuspage.New(set, nil)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if lost.Load() {
			panic(http.ErrAbortHandler)
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	page := open(t, server.URL)
	page.until(`document.querySelector('#link').textContent === 'Live'`)
	lost.Store(true)
	page.until(`document.querySelector('#link').textContent.startsWith('No answer since')`)
	page.contains("#rows tr", "example.com") // the last that is known stays
	if len(page.heardErrors()) == 0 {
		t.Error("failed requests were not heard of: this test could not see what others rely on")
	}
	lost.Store(false)
	page.until(`document.querySelector('#link').textContent === 'Live'`)
}

func TestKeyboardAndRoles(t *testing.T) {
	set := breaker.NewSet(breaker.Options{})
	set.Get("a.example.com").Trip(time.Hour, "test")
	set.Get("b.example.com")
	page := open(t, servePage(t, set, &statuspage.Options{Control: func(*http.Request) bool { return true }}))
	page.until(`document.querySelectorAll('#rows tr').length === 2`)

	page.do(chromedp.KeyEvent("/"))
	if id := eval[string](page, `document.activeElement.id`); id != "filter" {
		t.Errorf("/ goes to %q; want the filter", id)
	}
	page.run(`setFilter('')`) // the simulated key types itself, too
	page.do(chromedp.KeyEvent("b.ex"))
	page.until(`document.querySelectorAll('#rows tr').length === 1`)
	page.do(chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Enter)) // past the sorting
	page.until(`document.querySelector('#rows .key').getAttribute('aria-expanded') === 'true' && document.querySelector('.detail dl')`)
	page.do(chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Enter))
	page.until(`document.querySelector('#control').open`)
	page.do(chromedp.KeyEvent(kb.Escape))
	page.until(`!document.querySelector('#control').open`)

	// A row that moves keeps the focus.
	page.run(`document.querySelector('#rows .key').focus()`)
	page.run(`setFilter('')`)
	set.Get("a.example.com").Reset("test")
	set.Get("b.example.com").Trip(time.Hour, "test")
	page.until(`document.querySelector('#rows tr[data-state=open] .key')?.textContent === 'b.example.com'`)
	if name := eval[string](page, `document.activeElement.textContent`); name != "b.example.com" {
		t.Errorf("the focus went to %q", name)
	}

	for _, unnamed := range eval[[]string](page, `[...document.querySelectorAll('button, input, select, a, [role=img], dialog')]
		.filter(e => !(e.ariaLabel || e.textContent.trim() || e.labels?.length || e.getAttribute('aria-labelledby'))).map(e => e.outerHTML)`) {
		t.Errorf("%s has no name to read out", unnamed)
	}
	for _, wide := range []int64{360, 800, 1440} {
		page.do(chromedp.EmulateViewport(wide, 800))
		if over := eval[int](page, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
			t.Errorf("at a width of %d the page is %d wider", wide, over)
		}
	}
}
