package statuspage_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/statuspage"
)

// What a program wants to know about its circuits it can ask for as JSON.
func ExampleNew() {
	set := breaker.NewSet(breaker.Options{})
	set.Get("a.example.com")
	set.Get("b.example.com").Trip(time.Minute, "maintenance")

	mux := http.NewServeMux()
	mux.Handle("/debug/circuits/", statuspage.New(set, nil))
	server := httptest.NewServer(mux)
	defer server.Close()

	res, err := http.Get(server.URL + "/debug/circuits/circuits?state=open")
	if err != nil {
		panic(err)
	}
	defer res.Body.Close()
	var doc struct{ Circuits []breaker.Snapshot }
	if err := json.NewDecoder(res.Body).Decode(&doc); err != nil {
		panic(err)
	}
	for _, c := range doc.Circuits {
		fmt.Printf("%s is %v: %s\n", c.Key, c.State, c.Reason)
	}
	// Output:
	// b.example.com is open: maintenance
}

// Operators may force a circuit open, from the page or from a script. Who it was
// becomes a part of the reason.
func ExampleOptions_control() {
	set := breaker.NewSet(breaker.Options{})
	set.Get("a.example.com")
	server := httptest.NewServer(statuspage.New(set, &statuspage.Options{
		Control: func(r *http.Request) bool {
			_, password, _ := r.BasicAuth()
			return password == "correct horse" // in earnest: whatever the program trusts
		},
		Operator: func(r *http.Request) string {
			name, _, _ := r.BasicAuth()
			return name
		},
	}))
	defer server.Close()

	for _, password := range []string{"guess", "correct horse"} {
		form := url.Values{"mode": {"force-open"}, "reason": {"moving the database"}}
		r, err := http.NewRequest("POST", server.URL+"/circuits/a.example.com/mode", strings.NewReader(form.Encode()))
		if err != nil {
			panic(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("alice", password)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			panic(err)
		}
		res.Body.Close()
		s := set.Get("a.example.com").Snapshot()
		fmt.Printf("%d: %v, %q\n", res.StatusCode, s.Mode, s.Reason)
	}
	// Output:
	// 403: enforce, ""
	// 200: force-open, "moving the database, by alice"
}
