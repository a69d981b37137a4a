module github.com/seed-0b728cf8/httpbreaker/test/told

go 1.25.0

require (
	github.com/prometheus/client_golang v1.24.1
	github.com/seed-0b728cf8/httpbreaker v0.0.0
	github.com/seed-0b728cf8/httpbreaker/contrib/breakerotel v0.0.0
	github.com/seed-0b728cf8/httpbreaker/contrib/breakerprom v0.0.0
	go.opentelemetry.io/otel/sdk v1.45.0
	go.opentelemetry.io/otel/trace v1.45.0
)

require (
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/go-logr/logr v1.4.4 // indirect
	github.com/go-logr/stdr v1.2.2 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/hashicorp/go-cleanhttp v0.5.2 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/prometheus/client_model v0.6.2 // indirect
	github.com/prometheus/common v0.70.1 // indirect
	github.com/prometheus/procfs v0.21.1 // indirect
	go.opentelemetry.io/auto/sdk v1.2.1 // indirect
	go.opentelemetry.io/otel v1.45.0 // indirect
	go.opentelemetry.io/otel/metric v1.45.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
	google.golang.org/protobuf v1.36.11 // indirect
)

replace (
	github.com/seed-0b728cf8/httpbreaker => ../..
	github.com/seed-0b728cf8/httpbreaker/contrib/breakerotel => ../../contrib/breakerotel
	github.com/seed-0b728cf8/httpbreaker/contrib/breakerprom => ../../contrib/breakerprom
)
