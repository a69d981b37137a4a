package clients

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/seed-0b728cf8/httpbreaker"
)

// A library is one client library.
type library struct {
	name string
	// connect makes a client of the library, with a transport of ours in it.
	connect func(*testing.T, setup) call
	answer  http.HandlerFunc // of a healthy server

	// What one call does at an open circuit, with the waits that the library comes with.
	plain, told effort
}

// A setup is what a client is made with.
type setup struct {
	url    string             // http://127.0.0.1:port
	config httpbreaker.Config // of the transport; Breakers is set
	told   bool               // to stop at an open circuit, as docs/composing.md says
	wait   time.Duration      // between two attempts; zero: what the library comes with
}

// A call is one call of a client. Its error is what a user gets, except that an answer in
// place of a rejection is ErrOpen.
type call func(context.Context) error

// effort is what a call that comes to nothing costs.
type effort struct {
	attempts    uint64
	least, most time.Duration // time lost
	lost        bool          // ErrOpen is not to be found in the error
}

// once is one attempt and no wait.
var once = effort{attempts: 1}

var libraries = []library{
	awsSDK, azureSDK, docker, elastic, gitHub, heimdallClient, kubernetes, minioGo,
	openSearch, prometheus, restyV2, restyV3, retryable,
}

// answers is a handler that always answers with this JSON.
func answers(json string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(json))
	}
}
