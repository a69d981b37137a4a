package statuspage

import (
	"fmt"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// flood returns a set of ten thousand circuits that are all open, and its
// handler, which has seen them open.
func flood() (*breaker.Set, *handler) {
	set := breaker.NewSet(breaker.Options{MaxKeys: -1})
	h := New(set, &Options{Control: allow}).(*handler)
	for i := range 10_000 {
		b := set.Get(fmt.Sprintf("GET shard-%d.example.com/v1/items/{id}", i))
		b.Trip(time.Hour, "12 of 20 calls failed in 10s; the reason may be as long as this or longer")
	}
	return set, h
}
