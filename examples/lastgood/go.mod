module github.com/seed-0b728cf8/httpbreaker/examples/lastgood

go 1.25.0

require (
	github.com/seed-0b728cf8/httpbreaker v0.0.0
	github.com/seed-0b728cf8/httpbreaker/contrib/lastgood v0.0.0
	github.com/stretchr/testify v1.12.1
)

require (
	github.com/hashicorp/go-cleanhttp v0.5.2 // indirect
	github.com/maypok86/otter/v2 v2.4.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)

replace (
	github.com/seed-0b728cf8/httpbreaker => ../..
	github.com/seed-0b728cf8/httpbreaker/contrib/lastgood => ../../contrib/lastgood
)
