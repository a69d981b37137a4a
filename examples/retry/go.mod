module github.com/seed-0b728cf8/httpbreaker/examples/retry

go 1.25.0

require (
	github.com/hashicorp/go-retryablehttp v0.7.8
	github.com/seed-0b728cf8/httpbreaker v0.0.0
)

require github.com/hashicorp/go-cleanhttp v0.5.2 // indirect

replace github.com/seed-0b728cf8/httpbreaker => ../..
