package breaker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"
)

// What a host said last is shown to everybody who may see its circuit.

func TestLastFailureIsShort(t *testing.T) {
	refused := &net.OpError{
		Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(10, 1, 2, 3), Port: 443},
		Err: os.NewSyscallError("connect", syscall.ECONNREFUSED),
	}
	request := &url.Error{Op: "Get", URL: "https://ann:pa55@example.com/a?key=s3cret", Err: refused}
	for want, err := range map[string]error{
		"503 Service Unavailable":     errors.New("503 Service Unavailable"),
		"connect: connection refused": refused,
		"unexpected EOF":              &url.Error{Op: "Post", URL: "https://example.com/s3cret", Err: io.ErrUnexpectedEOF},
		"context deadline exceeded":   fmt.Errorf("%w", context.DeadlineExceeded),
		"a\tb  c\r\nd":                nil,
	} {
		if err == nil {
			err, want = errors.New(want), "a b c d"
		}
		if got := describe(err); got != want {
			t.Errorf("%q is told as %q, want %q", err, got, want)
		}
	}
	for _, err := range []error{request, fmt.Errorf("fetching: %w", request), errors.Join(errors.New("first"), request)} {
		if got := describe(err); got != "connect: connection refused" {
			t.Errorf("%q is told as %q", err, got)
		}
	}
}

// Nothing secret is told, wherever in an error's text it stands.
func TestLastFailureTellsNoSecret(t *testing.T) {
	const secret = "s3cretvalue"
	for _, text := range []string{
		"Get \"https://api.example.com/v1/s3cretvalue\": EOF",
		"https://ann:s3cretvalue@example.com/",
		"HTTPS://EXAMPLE.COM/S3CRETVALUE",
		"dial postgres://ann:s3cretvalue@db:5432/app?sslmode=off: timeout",
		"bad request to /login?user=ann&password=s3cretvalue",
		"/a?s3cretvalue=1 not found",
		"redis://:s3cretvalue@cache:6379 said no",
		"Authorization: Bearer s3cretvalue",
		"authorization=s3cretvalue",
		"rejected header Authorization: Basic s3cretvalue, try again",
		"Authorization: Token s3cretvalue",
		"Authorization: ApiKey s3cretvalue",
		"Proxy-Authorization: Negotiate s3cretvalue",
		"Authorization: AWS4-HMAC-SHA256 Credential=AKIA/eu/s3, SignedHeaders=host, Signature=s3cretvalue",
		`Authorization: Digest username="ann", response="s3cretvalue"`,
		"invalid token: Bearer s3cretvalue",
		"bearer s3cretvalue has expired",
		"X-Api-Key: s3cretvalue",
		"api_key=s3cretvalue is unknown",
		"apikey s3cretvalue is unknown",
		"Cookie: session=s3cretvalue",
		"Cookie: theme=dark; session=s3cretvalue",
		"Set-Cookie: id=s3cretvalue; HttpOnly",
		`{"access_token":"s3cretvalue","expires":3600}`,
		`{"error":"bad","client_secret": "s3cretvalue"}`,
		"refresh_token=s3cretvalue&grant_type=x",
		"password: 's3cretvalue'",
		"pwd=s3cretvalue;",
		"secret = s3cretvalue",
		"login failed for ann:s3cretvalue@db.example.com",
		"ann:s3cretvalue@tcp(10.0.0.1:3306)/app: bad connection",
		"password\u200b: s3cretvalue",
		"fetching https://example.com/odata?$filter=Name%20eq%20'x'&sig=s3cretvalue: gone",
		`fetching https://example.com/odata?$filter=Name%20eq%20"x"&key=s3cretvalue: gone`,
		"/odata?$filter='x'&key=s3cretvalue not found",
		"postgres://ann:o'hara-s3cretvalue@db/app: bad connection",
		"ann:o'hara-s3cretvalue@db is unknown",
		"auth_token=s3cretvalue refused",
		"session_token: s3cretvalue",
		`{"private_token":"s3cretvalue"}`,
		`answered "{\"private_token\":\"s3cretvalue\"}"`,
		`answered "{\"token\": \"s3cretvalue\"}"`,
		"AWS_SECRET_ACCESS_KEY=s3cretvalue",
		"AccountName=ann;AccountKey=s3cretvalue;EndpointSuffix=x",
		"Endpoint=sb://x/;SharedAccessKey=s3cretvalue",
		"sig=s3cretvalue",
		"X-Amz-Signature=s3cretvalue",
		"X-Hub-Signature-256: sha256=s3cretvalue",
		"clientSecret: s3cretvalue",
		"DB_PASSWORD=s3cretvalue",
		"PHPSESSID=s3cretvalue",
		"session_id: s3cretvalue",
		"JSESSIONID=s3cretvalue",
		"apiSecret: s3cretvalue",
		"X-Amz-Security-Token: s3cretvalue",
		"Authorization:\nBearer\n s3cretvalue",
		"\x00Authorization:\x00Bearer\x00s3cretvalue",
		"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.s3cretvalue is not valid",
	} {
		for _, err := range []error{errors.New(text), fmt.Errorf("calling: %w", errors.New(text)), &url.Error{Op: "Get", URL: "https://x", Err: errors.New(text)}} {
			got := describe(err)
			if strings.Contains(strings.ToLower(got), secret) {
				t.Errorf("%q\n is told as %q", text, got)
				break
			}
			if got == "" {
				t.Errorf("%q is told as nothing at all", text)
			}
		}
	}
}

// What is no secret stays, or nobody learns what the matter is.
func TestLastFailureKeepsWhatIsNoSecret(t *testing.T) {
	for _, text := range []string{
		"502 Bad Gateway",
		"tls: failed to verify certificate: x509: certificate has expired",
		"lookup nosuch.example.com: no such host",
		"read tcp 10.0.0.1:53210->10.0.0.2:443: read: connection reset by peer",
		"http2: server sent GOAWAY and closed the connection; LastStreamID=1, ErrCode=ENHANCE_YOUR_CALM",
		"grpc: code = Unavailable desc = no healthy upstream",
		"429 Too Many Requests",
		"basically fine",
		"tokenizer crashed",
		"tokenizer: crashed",
		"foreign_key: users_id",
		"partition-key=7",
		"config: no such file",
		"signal: killed",
		"it's down & it's out",
		"x=1 y=2",
		"das Gerät antwortet nicht — 設備",
	} {
		if got := describe(errors.New(text)); got != text {
			t.Errorf("%q is told as %q", text, got)
		}
	}
}

// Whatever an error's text is made of, what is told of it is one short line.
func TestLastFailureIsOneCleanLine(t *testing.T) {
	for name, text := range map[string]string{
		"10 kB":            strings.Repeat("x", 10_000),
		"10 kB of words":   strings.Repeat("word ", 2_000),
		"10 kB of 3 bytes": strings.Repeat("語", 3_500),
		"10 kB of ?":       strings.Repeat("?", 10_000),
		"10 kB of URLs":    strings.Repeat("https://example.com/", 500),
		"10 kB of tokens":  strings.Repeat("Bearer ", 1_400),
		"invalid UTF-8":    "bad \xff\xfe\xc3( text " + strings.Repeat("\xe8\xaa", 3000),
		"cut in a rune":    strings.Repeat("x", maxFailureText-4) + "語語語",
		"control":          "a\x00b\x1b[31mred\x7f\u0085\u2028\u2029\u202eevil\ufeff\n\rforged=line",
		"nothing":          "",
		"spaces":           " \t\n ",
	} {
		got := describe(errors.New(text))
		if len(got) > maxFailureText || !utf8.ValidString(got) || strings.TrimSpace(got) != got {
			t.Errorf("%s: %d bytes, valid %t: %q", name, len(got), utf8.ValidString(got), got)
		}
		for _, r := range got {
			if r != ' ' && (unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == utf8.RuneError) {
				t.Errorf("%s: %U in %q", name, r, got)
				break
			}
		}
		if strings.HasPrefix(name, "10 kB") && len(got) > maxFailureText-8 && !strings.HasSuffix(got, "…") {
			t.Errorf("%s: cut without a mark: %q", name, got)
		}
	}
}

// hostileError does what a user's error type may do.
type hostileError struct {
	inner error
	text  func() string
}

func (e *hostileError) Error() string { return e.text() } // panics if e is nil
func (e *hostileError) Unwrap() error { return e.inner }  // so does this

// A pointer that is nil, and yet an error, does no harm, neither to the call that
// reports it nor to those who look.
func TestFailureThatIsANilPointer(t *testing.T) {
	for name, err := range map[string]error{
		"url.Error":         (*url.Error)(nil),
		"net.OpError":       (*net.OpError)(nil),
		"os.SyscallError":   (*os.SyscallError)(nil),
		"a type of its own": (*hostileError)(nil),
		"url.Error of none": &url.Error{Op: "Get", URL: "https://example.com"},
		"url.Error of nil":  &url.Error{Op: "Get", URL: "https://example.com", Err: (*hostileError)(nil)},
		"wrapped":           fmt.Errorf("%w", &hostileError{inner: (*url.Error)(nil), text: func() string { return "outer" }}),
		"panics":            &hostileError{text: func() string { panic("Error") }},
	} {
		t.Run(name, func(t *testing.T) {
			b := New("peer", plainRun, Hooks{StateChanged: func(Transition) {}})
			do := func(what string, f func()) {
				defer func() {
					if p := recover(); p != nil {
						t.Errorf("%s panics: %v", what, p)
					}
					if !b.mu.TryLock() {
						t.Fatalf("%s leaves the breaker locked", what)
					}
					b.mu.Unlock()
				}()
				f()
			}
			for range 3 {
				p, e := b.Allow(t.Context())
				if e != nil {
					t.Fatal(e)
				}
				do("Fail", func() { p.Fail(err) })
			}
			do("Snapshot", func() {
				if b.Snapshot().LastFailure == "" {
					t.Error("no word about the last failure")
				}
			})
			do("Allow and Error", func() {
				if _, e := b.Allow(t.Context()); e == nil || e.Error() == "" {
					t.Errorf("rejected with %v", e)
				}
			})
		})
	}
}

// No user's function is called under a lock, an error's methods included: they may ask
// the breaker, and may take their time.
func TestErrorsAreAskedUnderNoLock(t *testing.T) {
	var b *Breaker
	locked := 0
	asks := &hostileError{text: func() string {
		if !b.mu.TryLock() {
			locked++
			return "asked under the lock"
		}
		b.mu.Unlock()
		return "asked"
	}}
	b = New("peer", plainRun, Hooks{StateChanged: func(Transition) {}})
	for range 3 {
		p, err := b.Allow(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p.Fail(asks)
	}
	b.Snapshot()
	b.SetMode(ForceOpen, "test")
	_, err := b.Allow(t.Context())
	_ = err.Error()
	if locked > 0 {
		t.Errorf("asked %d times under the breaker's lock", locked)
	}
}

// Everybody tells the same last failure: Snapshot, the transition, and the error, which
// spells it so that no client takes it for its own.
func TestEverybodyTellsTheLastFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []Transition
		b := New("peer", plainRun, Hooks{StateChanged: func(tr Transition) { seen = append(seen, tr) }})
		fail := func(err error) {
			t.Helper()
			p, e := b.Allow(t.Context())
			if e != nil {
				t.Fatal(e)
			}
			p.Fail(err)
		}
		for i := range 3 {
			fail(fmt.Errorf("failure %d: 503 Service Unavailable", i))
		}
		const want = "failure 2: 503 Service Unavailable"
		_, err := b.Allow(t.Context())
		var open *OpenError
		if !errors.As(err, &open) {
			t.Fatal(err)
		}
		if got := []string{b.Snapshot().LastFailure, seen[0].LastFailure, open.LastFailure()}; got[0] != want || got[1] != want || got[2] != want {
			t.Errorf("Snapshot, Transition and OpenError say %q, want %q", got, want)
		}
		if !strings.Contains(open.Error(), want) {
			t.Errorf("%q does not say %q", open, want)
		}
		time.Sleep(10 * time.Second)
		fail(errors.New("the probe's own"))
		if got := b.Snapshot().LastFailure; got != "the probe's own" {
			t.Errorf("after a failed probe: %q", got)
		}
		time.Sleep(20 * time.Second)
		p, e := b.Allow(t.Context())
		if e != nil {
			t.Fatal(e)
		}
		p.Done(Success)
		if got := b.Snapshot(); got.LastFailure != "" || got.State != Closed {
			t.Errorf("closed, and tells %q", got.LastFailure)
		}
	})
}

// Clients search the texts of errors for phrases by which they know what they may do
// again. A rejection has none of them, whoever wrote the reason.
func TestRejectionContainsNoPhraseThatClientsSearchFor(t *testing.T) {
	phrases := []string{
		"connection refused", "connection reset", "use of closed network connection", "http2: client connection lost",
		"broken pipe", "dial unix", "EOF", "unexpected EOF", "i/o timeout", "TLS handshake timeout",
	}
	for how, open := range map[string]func(b *Breaker, text string){
		"Fail": func(b *Breaker, text string) {
			p, _ := b.Allow(t.Context())
			p.Fail(errors.New(text))
			b.Trip(time.Minute, "test")
		},
		"Permit.Trip": func(b *Breaker, text string) {
			p, _ := b.Allow(t.Context())
			p.Trip(time.Minute, text)
		},
		"Trip":      func(b *Breaker, text string) { b.Trip(time.Minute, text) },
		"ForceOpen": func(b *Breaker, text string) { b.SetMode(ForceOpen, text) },
		"Hold":      func(b *Breaker, text string) { b.Hold(0, time.Minute, text) },
	} {
		t.Run(how, func(t *testing.T) {
			for _, phrase := range phrases {
				for _, text := range []string{phrase, "read tcp 10.0.0.1:1->10.0.0.2:2: " + phrase + " by peer"} {
					b := New("peer", plainRun)
					open(b, text)
					_, err := b.Allow(t.Context())
					if err == nil {
						t.Fatal("let through")
					}
					if strings.Contains(err.Error(), phrase) {
						t.Fatalf("%q contains %q", err, phrase)
					}
				}
			}
		})
	}
}
