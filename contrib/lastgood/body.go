package lastgood

import (
	"bytes"
	"io"
	"net/http"
	"sync"
)

// A body copies what is read of a response, and keeps it as an answer once it has been read to the
// end. Read and Close may be called from different goroutines.
type body struct {
	io.ReadCloser // as base returned it
	cache         *Cache
	request       *request
	res           *http.Response
	length        int64 // as declared; negative if unknown
	room          int64 // how long it may be

	mu     sync.Mutex
	answer *answer // nil once it has been kept or given up
	copied []byte
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.answer == nil {
		return n, err
	}
	b.copy(p[:n])
	if err != nil {
		// A trailer may say that the answer has failed.
		b.end(err == io.EOF && len(b.res.Trailer) == 0)
	}
	return n, err
}

// Close keeps also an answer of a declared length whose reader did not wait to be told of the end.
func (b *body) Close() error {
	b.mu.Lock()
	b.end(b.length >= 0)
	b.mu.Unlock()
	return b.ReadCloser.Close()
}

// copy gives the answer up if it turns out too large or there is no room for one more.
func (b *body) copy(p []byte) {
	if int64(len(b.copied)+len(p)) > b.room {
		b.end(false)
		b.cache.drop(b.request) // the answer before this one does not hold any more
		return
	}
	if !b.grow(len(b.copied) + len(p)) {
		b.end(false)
		return
	}
	b.copied = append(b.copied, p...)
}

// grow makes room for n bytes. It reports false if there is none left for answers that are being
// received.
func (b *body) grow(n int) bool {
	had := cap(b.copied)
	if n <= had {
		return true
	}
	size := min(max(int64(n), 2*int64(had), b.length), b.room)
	if b.cache.filling.Add(size-int64(had)) > b.cache.opts.MaxBytes/4 {
		b.cache.filling.Add(int64(had) - size)
		return false
	}
	b.copied = append(make([]byte, 0, size), b.copied...)
	return true
}

// end keeps the answer if it is whole, and gives it up otherwise. Only the first call counts.
func (b *body) end(whole bool) {
	if b.answer == nil {
		return
	}
	if whole && (b.length < 0 || b.length == int64(len(b.copied))) {
		b.answer.body = b.copied
		if cap(b.copied)-len(b.copied) > len(b.copied)/8 {
			b.answer.body = bytes.Clone(b.copied)
		}
		b.cache.keep(b.request, b.answer)
	}
	b.cache.filling.Add(-int64(cap(b.copied)))
	b.answer, b.copied = nil, nil
}
