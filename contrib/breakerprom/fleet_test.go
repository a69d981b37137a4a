package breakerprom_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerprom"
)

// sharing is the JSON that a fleet tells of itself.
type sharing string

func (s sharing) MarshalJSON() ([]byte, error) {
	if s == "" {
		return nil, errors.New("oops")
	}
	return []byte(s), nil
}

const inTrouble = `{"fleet": "checkout", "node": "x", "reachable": true, "listening": false, "requests": 7, "failed": 2, "dropped": 1,
	"circuits": [
		{"key": "other", "down": false, "opinion": "good", "bad": 1, "good": 9, "quiet": 0},
		{"key": "down", "down": true, "opinion": "bad", "bad": 412, "good": 3, "quiet": 12},
		{"key": "well", "down": false, "opinion": "good", "bad": 0, "good": 4, "quiet": 1}],
	"modes": []}`

func TestEverySeriesOfAFleet(t *testing.T) {
	c := breakerprom.NewCollector(breaker.NewSet(breaker.Options{}), &breakerprom.Options{Fleet: sharing(inTrouble)})
	require.NoError(t, testutil.CollectAndCompare(c, strings.NewReader(`
# HELP httpbreaker_fleet_circuits Circuits by what the fleet makes of them: down, or suspected because some nodes find them bad. The rest is well.
# TYPE httpbreaker_fleet_circuits gauge
httpbreaker_fleet_circuits{fleet="checkout",state="down"} 1
httpbreaker_fleet_circuits{fleet="checkout",state="suspected"} 1
# HELP httpbreaker_fleet_dropped_messages_total What this process heard of circuits and had no room for.
# TYPE httpbreaker_fleet_dropped_messages_total counter
httpbreaker_fleet_dropped_messages_total{fleet="checkout"} 1
# HELP httpbreaker_fleet_failed_requests_total Exchanges that failed.
# TYPE httpbreaker_fleet_failed_requests_total counter
httpbreaker_fleet_failed_requests_total{fleet="checkout"} 2
# HELP httpbreaker_fleet_listening 1 if the fleet's messages arrive at this process, 0 if it has to ask.
# TYPE httpbreaker_fleet_listening gauge
httpbreaker_fleet_listening{fleet="checkout"} 0
# HELP httpbreaker_fleet_nodes Nodes by their opinion of a circuit in trouble: bad, good or none.
# TYPE httpbreaker_fleet_nodes gauge
httpbreaker_fleet_nodes{fleet="checkout",key="\"other\"",opinion="bad"} 1
httpbreaker_fleet_nodes{fleet="checkout",key="\"other\"",opinion="good"} 9
httpbreaker_fleet_nodes{fleet="checkout",key="\"other\"",opinion="none"} 0
httpbreaker_fleet_nodes{fleet="checkout",key="down",opinion="bad"} 412
httpbreaker_fleet_nodes{fleet="checkout",key="down",opinion="good"} 3
httpbreaker_fleet_nodes{fleet="checkout",key="down",opinion="none"} 12
# HELP httpbreaker_fleet_reachable 1 if what the fleet shares through answers this process, 0 if not.
# TYPE httpbreaker_fleet_reachable gauge
httpbreaker_fleet_reachable{fleet="checkout"} 1
# HELP httpbreaker_fleet_requests_total Exchanges of this process with what the fleet shares through.
# TYPE httpbreaker_fleet_requests_total counter
httpbreaker_fleet_requests_total{fleet="checkout"} 7
`), "httpbreaker_fleet_circuits", "httpbreaker_fleet_dropped_messages_total", "httpbreaker_fleet_failed_requests_total",
		"httpbreaker_fleet_listening", "httpbreaker_fleet_nodes", "httpbreaker_fleet_reachable", "httpbreaker_fleet_requests_total"))
}

func TestWithoutAFleetThereIsNothingOfIt(t *testing.T) {
	set := breaker.NewSet(breaker.Options{})
	assert.NotContains(t, scrape(t, breakerprom.NewCollector(set, nil)), "httpbreaker_fleet")
	for _, broken := range []sharing{"", "no JSON", `{"circuits": 7}`} {
		text := scrape(t, breakerprom.NewCollector(set, &breakerprom.Options{Fleet: broken}))
		assert.NotContains(t, text, "httpbreaker_fleet")
		assert.Contains(t, text, "httpbreaker_set_circuits", "the rest is there")
	}
}

func TestAFleetWithManyCircuitsInTroubleHasBoundedSeries(t *testing.T) {
	var circuits []string
	for i := range 500 {
		circuits = append(circuits, fmt.Sprintf(`{"key": "suspected-%d", "bad": %d}`, i, 1+i))
	}
	circuits = append(circuits, `{"key": "down", "down": true, "bad": 3}`)
	f := sharing(`{"fleet": "f", "circuits": [` + strings.Join(circuits, ",") + `]}`)
	count := func(maxKeys int) (series int, text string) {
		text = scrape(t, breakerprom.NewCollector(breaker.NewSet(breaker.Options{}), &breakerprom.Options{MaxKeys: maxKeys, Fleet: f}))
		return strings.Count(text, "\nhttpbreaker_fleet_nodes{"), text
	}
	n, text := count(2)
	assert.Equal(t, 6, n)
	assert.Contains(t, text, `key="down"`)
	assert.Contains(t, text, `key="suspected-499"`)
	assert.Contains(t, text, `httpbreaker_fleet_circuits{fleet="f",state="suspected"} 500`, "all are counted")
	n, _ = count(0)
	assert.Equal(t, 300, n)
	n, _ = count(-1)
	assert.Equal(t, 1503, n)
}
