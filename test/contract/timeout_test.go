package contract_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/internal/rig"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// http.Client gives a round tripper that is not its own a Cancel channel and a
// deadline, and ends both at one moment, in any order.
func TestDefaultClassifierClientTimeout(t *testing.T) {
	const workers, runs = 25, 20
	tests := map[string]string{
		"header": "",
		"body":   "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			var errs sync.Map
			rt := httpbreaker.New(&httpbreaker.Config{
				Base:     newBase(t),
				Breakers: breaker.NewSet(breaker.Options{Config: breaker.Config{Mode: breaker.Disabled}}),
				Classify: func(r httpbreaker.Result) breaker.Outcome {
					o := httpbreaker.DefaultClassifier(r)
					if r.Err != nil {
						errs.Store(fmt.Sprint(o), r.Err)
					}
					return o
				},
			})
			client := &http.Client{Transport: rt, Timeout: 5 * time.Millisecond}
			addr := serveRaw(t, answer(text, hold))
			var wg sync.WaitGroup
			for range workers {
				wg.Go(func() {
					for range runs {
						res, err := client.Get("http://" + addr)
						if err == nil {
							_, err = io.Copy(io.Discard, res.Body)
							res.Body.Close()
						}
						assert.Error(t, err)
					}
				})
			}
			wg.Wait()
			errs.Range(func(verdict, err any) bool {
				assert.Equal(t, "failure", verdict, "%v", err)
				return true
			})
			_, ok := errs.Load("failure")
			assert.True(t, ok)
		})
	}
}

// The worst order of the two: Cancel is closed and the context knows nothing.
func TestDefaultClassifierClientTimeoutCancelFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 500 {
			var got breaker.Outcome
			client := &http.Client{Timeout: time.Second, Transport: rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
				<-req.Cancel //lint:ignore SA1019 http.Client uses it
				err := errors.New("net/http: request canceled")
				got = httpbreaker.DefaultClassifier(httpbreaker.Result{Request: req, Err: err})
				return nil, err
			})}
			_, err := client.Get("http://example.com")
			require.Error(t, err)
			require.Equal(t, breaker.Failure, got)
		}
	})
}
