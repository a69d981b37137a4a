module github.com/seed-0b728cf8/httpbreaker/contrib/breakerredis

go 1.25.0

require github.com/seed-0b728cf8/httpbreaker v0.0.0

replace github.com/seed-0b728cf8/httpbreaker => ../..
