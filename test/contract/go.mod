module github.com/seed-0b728cf8/httpbreaker/test/contract

go 1.25.0

require (
	github.com/seed-0b728cf8/httpbreaker v0.0.0
	github.com/stretchr/testify v1.12.1
)

require (
	github.com/hashicorp/go-cleanhttp v0.5.2 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)

replace github.com/seed-0b728cf8/httpbreaker => ../..
