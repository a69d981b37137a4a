package breaker

import (
	"context"
	"testing"
	"time"
)

// A call through a closed circuit is admitted, and its success counted, without the lock.
func TestClosedCallTakesNoLock(t *testing.T) {
	for name, cfg := range map[string]Config{
		"default":        {Window: 24 * time.Hour},
		"SlowCall":       {Window: 24 * time.Hour, SlowCall: time.Hour},
		"answered first": {Window: 24 * time.Hour},
	} {
		b := New("peer", cfg)
		calls := func(n int) {
			for range n {
				p, _ := b.Allow(context.Background())
				if name == "answered first" {
					p.Answered()
				}
				p.Done(Success)
			}
		}
		calls(5000)
		var ended bool
		for range 3 { // a process that stalls finds its calls to be rare, which takes the lock
			done := make(chan struct{})
			b.mu.Lock()
			go func() { calls(8); close(done) }()
			select {
			case <-done:
				ended = true
			case <-time.After(time.Second):
			}
			b.mu.Unlock()
			<-done
			if ended {
				break
			}
		}
		if !ended {
			t.Errorf("%s: waits for the lock", name)
		}
	}
}
