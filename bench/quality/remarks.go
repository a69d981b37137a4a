package main

// remarks say why the figures of a scenario are as they are. They hold no
// figures of their own.
var remarks = map[string]string{
	"S0":   "cep21/circuit and hystrix-go reject here because their defaults allow ten calls at once, not because they take the host for broken.",
	"S2c":  "A circuit that opens at 50 % sits on the edge here. Throttles that reject a share do better; a higher FailureRate keeps it closed.",
	"S3b":  "Half of the calls fail, as in S2c, but the run of failures is over before it has lasted long enough to be believed.",
	"S4":   "gobreaker with a window of 10 s never opens: it books a call's end in the bucket of its beginning, which has left the window when a timeout of 10 s is over. A window must be longer than the timeout.",
	"S4b":  "Rejecting calls that would have been answered is a choice: with SlowCall it is made in favour of the host and the callers' patience, and goodput is what it costs.",
	"S5":   "A rate of at least 20 calls in 10 s never has its 20 calls here; only a run of failures notices.",
	"S6":   "One circuit for the host cannot cut off one route only: the best is to stay closed.",
	"S7":   "Without a breaker the service never comes back: the retries keep the queue so long that every call times out, long after the fault is over.",
	"S9":   "A 429 is not a failure of the host, so nobody's circuit opens by itself; ours opens for as long as Retry-After says if told to.",
	"S13b": "Only a breaker that watches bodies sees this.",
	"S15":  "cep21/circuit and hystrix-go reject here by their limit of ten calls at once, with or without the lost connection; eapache's twenty failures without a pause are there at one moment.",
	"S14":  "Whatever was in flight fails at one moment, and counts as one event.",
}
