module github.com/seed-0b728cf8/httpbreaker/test/linearizable

go 1.25.0

require (
	github.com/anishathalye/porcupine v1.3.1
	github.com/seed-0b728cf8/httpbreaker v0.0.0
)

replace github.com/seed-0b728cf8/httpbreaker => ../..
