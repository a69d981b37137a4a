module github.com/seed-0b728cf8/httpbreaker/test/weight

go 1.25.0

require golang.org/x/mod v0.27.0
