package breakerprom

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-0b728cf8/httpbreaker/contrib/internal/meter"
)

var (
	fleetReachable = fleetDesc("fleet_reachable",
		"1 if what the fleet shares through answers this process, 0 if not.")
	fleetListening = fleetDesc("fleet_listening",
		"1 if the fleet's messages arrive at this process, 0 if it has to ask.")
	fleetRequests = fleetDesc("fleet_requests_total",
		"Exchanges of this process with what the fleet shares through.")
	fleetFailed = fleetDesc("fleet_failed_requests_total",
		"Exchanges that failed.")
	fleetDropped = fleetDesc("fleet_dropped_messages_total",
		"What this process heard of circuits and had no room for.")
	fleetCircuits = fleetDesc("fleet_circuits",
		"Circuits by what the fleet makes of them: down, or suspected because some nodes find them bad. The rest is well.", "state")
	fleetNodes = fleetDesc("fleet_nodes",
		"Nodes by their opinion of a circuit in trouble: bad, good or none.", "key", "opinion")

	allOfFleet = []*prometheus.Desc{
		fleetReachable, fleetListening, fleetRequests, fleetFailed, fleetDropped, fleetCircuits, fleetNodes,
	}
)

func fleetDesc(name, help string, labels ...string) *prometheus.Desc {
	return desc(name, help, append([]string{"fleet"}, labels...)...)
}

// fleetStatus is what is taken of the JSON of Options.Fleet.
type fleetStatus struct {
	Fleet     string         `json:"fleet"`
	Reachable bool           `json:"reachable"`
	Listening bool           `json:"listening"`
	Requests  float64        `json:"requests"`
	Failed    float64        `json:"failed"`
	Dropped   float64        `json:"dropped"`
	Circuits  []fleetCircuit `json:"circuits"`
}

type fleetCircuit struct {
	Key   string  `json:"key"`
	Down  bool    `json:"down"`
	Bad   float64 `json:"bad"`
	Good  float64 `json:"good"`
	Quiet float64 `json:"quiet"`
}

// collectFleet sends what is known of a fleet. Of one that cannot say it sends
// nothing: an error would take all other metrics of the process with it.
func collectFleet(ch chan<- prometheus.Metric, of json.Marshaler, maxKeys int) {
	var f fleetStatus
	text, err := of.MarshalJSON()
	if err != nil || json.Unmarshal(text, &f) != nil {
		return
	}
	gauge(ch, fleetReachable, oneIf(f.Reachable), f.Fleet)
	gauge(ch, fleetListening, oneIf(f.Listening), f.Fleet)
	counter(ch, fleetRequests, f.Requests, f.Fleet)
	counter(ch, fleetFailed, f.Failed, f.Fleet)
	counter(ch, fleetDropped, f.Dropped, f.Fleet)

	down, suspected := 0, 0
	for _, c := range f.Circuits {
		switch {
		case c.Down:
			down++
		case c.Bad > 0:
			suspected++
		}
	}
	gauge(ch, fleetCircuits, float64(down), f.Fleet, "down")
	gauge(ch, fleetCircuits, float64(suspected), f.Fleet, "suspected")
	for _, c := range worst(f.Circuits, maxKeys) {
		label := meter.Label(c.Key)
		gauge(ch, fleetNodes, c.Bad, f.Fleet, label, "bad")
		gauge(ch, fleetNodes, c.Good, f.Fleet, label, "good")
		gauge(ch, fleetNodes, c.Quiet, f.Fleet, label, "none")
	}
}

// worst returns those circuits of which there are bad opinions, at most as many as
// may have series of their own, in the order of how many there are.
func worst(circuits []fleetCircuit, maxKeys int) []fleetCircuit {
	switch {
	case maxKeys == 0:
		maxKeys = meter.DefaultMaxKeys
	case maxKeys < 0:
		maxKeys = math.MaxInt
	}
	circuits = slices.DeleteFunc(circuits, func(c fleetCircuit) bool { return !c.Down && c.Bad == 0 })
	slices.SortFunc(circuits, func(a, b fleetCircuit) int {
		return cmp.Or(cmp.Compare(oneIf(b.Down), oneIf(a.Down)), cmp.Compare(b.Bad, a.Bad), cmp.Compare(a.Key, b.Key))
	})
	return circuits[:min(maxKeys, len(circuits))]
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
