package lastgood

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-cleanhttp"
	"github.com/maypok86/otter/v2"
)

// Options configure a [Cache]. The zero Options keep answers of up to 1 MiB in 64 MiB, and give
// them only where the host or the request allows it.
type Options struct {
	// MaxBytes bounds the memory that answers take, in bytes: a quarter of it those that are
	// still being received, the rest those that are kept. What was asked for least gives
	// way. Zero means 64 MiB.
	MaxBytes int64

	// MaxAnswer is the size of the largest answer that is kept, header and body, in bytes. A
	// larger one is handed on like any other and not kept. It can be at most a quarter of
	// MaxBytes and at most 1 GiB. Zero means 1 MiB, or a quarter of MaxBytes if that is less.
	MaxAnswer int64

	// MaxStale is how long an answer may be given after it has ceased to be fresh, where
	// neither the host nor the request says anything about it: the contract out of band of
	// RFC 9111 section 4.2.4. An answer without max-age or Expires ceases to be fresh when it
	// is made. stale-if-error (RFC 5861) takes MaxStale's place, and must-revalidate and its
	// like forbid what MaxStale would allow. Zero means not at all.
	MaxStale time.Duration

	// User returns whom a request is made for, by which the users of one client are told
	// apart: a name for each of them, or "" for nobody in particular. What is kept for a name
	// is given to requests of that name alone, so that private answers and those to
	// requests with credentials can be kept, too.
	//
	// It is asked on the way to the host and again for the fallback. So it must go by what
	// both requests hold: the context, or a field that was set outside of the circuit
	// breaker. It must not modify the request, must be safe for concurrent use, and a panic in
	// it goes on.
	//
	// If nil, no request has a name: those with credentials have no part in the cache, and
	// others only share an answer if all fields of theirs are the same except those that are
	// known not to tell users apart. The package comment has the rules.
	User func(*http.Request) string
}

// A Cache keeps the last good answer to each request, and gives it when the host cannot answer.
// It is filled through [Cache.Transport] and asked through [Cache.Fallback].
//
// A Cache is safe for concurrent use, runs nothing in the background and need not be closed. It
// must not be copied. Use one Cache for several hosts and clients if they may share its memory,
// except where they differ in what no request shows, such as their client certificates: each of
// those needs a Cache of its own.
type Cache struct {
	opts    Options
	answers *otter.Cache[key, []*answer] // newest first; the slices are never modified
	filling atomic.Int64                 // bytes of answers that are being received
	stripes [1024]stripe
}

// A stripe orders what is written for the keys that fall on it. An answer that was asked for
// before a change must not be kept after it.
type stripe struct {
	mu      sync.Mutex
	changes uint64
}

// New returns an empty Cache; nil means all defaults. It copies opts. It panics if opts are
// invalid, naming the field, its value and the rule.
func New(opts *Options) *Cache {
	c := new(Cache)
	if opts != nil {
		c.opts = *opts
	}
	o := &c.opts
	if o.MaxBytes < 0 {
		panic(fmt.Sprintf("lastgood: Options.MaxBytes = %d; want >= 0", o.MaxBytes))
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 64 << 20
	}
	if most := min(o.MaxBytes/4, 1<<30); o.MaxAnswer < 0 || o.MaxAnswer > most {
		panic(fmt.Sprintf("lastgood: Options.MaxAnswer = %d; want 0 to %d, a quarter of MaxBytes and at most 1 GiB", o.MaxAnswer, most))
	}
	if o.MaxAnswer == 0 {
		o.MaxAnswer = min(o.MaxBytes/4, 1<<20)
	}
	if o.MaxStale < 0 {
		panic(fmt.Sprintf("lastgood: Options.MaxStale = %v; want >= 0", o.MaxStale))
	}
	c.answers = otter.Must(&otter.Options[key, []*answer]{
		MaximumWeight: uint64(o.MaxBytes - o.MaxBytes/4),
		Weigher:       func(_ key, kept []*answer) uint32 { return uint32(sizeOf(kept)) },
		Executor:      func(f func()) { f() }, // nothing runs in the background
	})
	return c
}

// Transport returns a RoundTripper that hands requests on to base and keeps the answers that may
// be kept, as their bodies are read. It is meant to be the Base of an [httpbreaker.Config]. If
// base is nil, it is a [cleanhttp.DefaultPooledTransport].
//
// It changes neither requests nor responses, waits for nothing, and buffers nothing that is not
// kept. An answer is kept once its body has been read to the end: one that is closed early, breaks
// off or is not as long as it says is not. The RoundTripper is safe for concurrent use, has the
// method CloseIdleConnections, which closes those of base, and the method Unwrap, which returns
// base.
func (c *Cache) Transport(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = cleanhttp.DefaultPooledTransport()
	}
	return &recorder{cache: c, base: base}
}

// keep keeps a, the answer to r, in the place of those that r would have been given. It does
// nothing if something has changed since r was sent.
func (c *Cache) keep(r *request, a *answer) {
	s := c.stripe(r.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changes != r.changes {
		return
	}
	const mostVariants = 16
	before, _ := c.answers.GetIfPresent(r.key)
	kept, size := []*answer{a}, a.size()
	for _, old := range before {
		if old.answers(r) {
			if old.asked.After(a.asked) {
				return // which was slower than the request after it
			}
			continue
		}
		if size += old.size(); len(kept) < mostVariants && size <= c.opts.MaxBytes/4 && size < 1<<31 {
			kept = append(kept, old)
		}
	}
	c.answers.Set(r.key, kept)
}

// drop forgets what r would be given: the host has answered r otherwise.
func (c *Cache) drop(r *request) {
	if _, ok := c.answers.GetIfPresent(r.key); !ok {
		return
	}
	s := c.stripe(r.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	before, _ := c.answers.GetIfPresent(r.key)
	var kept []*answer
	for _, old := range before {
		if !old.answers(r) {
			kept = append(kept, old)
		}
	}
	if len(kept) == 0 {
		c.answers.Invalidate(r.key)
	} else {
		c.answers.Set(r.key, kept)
	}
}

// invalidate forgets all that is kept under k (RFC 9111 section 4.4).
func (c *Cache) invalidate(k key) {
	s := c.stripe(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	c.answers.Invalidate(k)
}

// find returns the newest answer that is kept for r, or nil.
func (c *Cache) find(r *request) *answer {
	kept, _ := c.answers.GetIfPresent(r.key)
	for _, a := range kept {
		if a.answers(r) {
			return a
		}
	}
	return nil
}

func (c *Cache) changes(k key) uint64 {
	s := c.stripe(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changes
}

func (c *Cache) stripe(k key) *stripe {
	return &c.stripes[(int(k[0])|int(k[1])<<8)%len(c.stripes)]
}
