module github.com/seed-0b728cf8/httpbreaker/contrib/breakerprom

go 1.25.0

require github.com/seed-0b728cf8/httpbreaker v0.0.0

require (
	github.com/prometheus/client_golang v1.24.1 // indirect
	github.com/stretchr/testify v1.12.1 // indirect
)

replace github.com/seed-0b728cf8/httpbreaker => ../..
