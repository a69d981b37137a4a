module github.com/seed-0b728cf8/httpbreaker/test/yaml

go 1.25.0

require (
	github.com/goccy/go-yaml v1.19.2
	github.com/seed-0b728cf8/httpbreaker v0.0.0
	github.com/stretchr/testify v1.12.1
	go.yaml.in/yaml/v3 v3.0.5
	gopkg.in/yaml.v3 v3.0.1
	sigs.k8s.io/yaml v1.6.0
)

require go.yaml.in/yaml/v2 v2.4.2 // indirect

replace github.com/seed-0b728cf8/httpbreaker => ../..
