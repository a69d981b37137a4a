module github.com/seed-0b728cf8/httpbreaker/test/soak

go 1.25.0

require github.com/seed-0b728cf8/httpbreaker v0.0.0

require github.com/hashicorp/go-cleanhttp v0.5.2 // indirect

replace github.com/seed-0b728cf8/httpbreaker => ../..
