// The pages are a module of their own so that users of the library do not download them.
module github.com/seed-0b728cf8/httpbreaker/docs

go 1.25.0
