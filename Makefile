# "make help" lists the targets. Tools are run at pinned versions and are not in go.mod, where they
# would enter the module graph of our users.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

.DEFAULT_GOAL := help
.PHONY: help test race lint fuzz soak mutate api bench quality figures statuspage ci release

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-12s %s\n", $$1, $$2}'

# "work" stands for every package of every module in go.work; "./..." would be the root module alone.
test: ## run the tests of every module
	go test work

race: ## the same with the race detector
	go test -race work

lint: ## gofmt, vet and staticcheck
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet work
	go run $(STATICCHECK) work

fuzz: ## fuzz the state machine against its model for a minute
	go test -run '^$$' -fuzz '^FuzzBreaker$$' -fuzztime 1m ./breaker

soak: ## fifty hosts in trouble for ten minutes, with the race detector
	go test -race -timeout 20m -v ./test/soak -soak 10m

mutate: ## break FILE, say breaker/judge.go, line by line, and list what no test notices
	.ci/mutate "$(FILE)"

api: ## accept a change of the exported API into testdata/api.txt
	go test -run ExportedAPI -update .

figures: ## copy the figures of the benches into the README
	go test -run READMEFigures ./test/docs -update

bench: ## measure speed against the peers and write bench/results/speed.md
	go run ./bench/speed

quality: ## run the control scenarios and write bench/results/quality.md with its plots
	go run ./bench/quality

statuspage: ## make the screenshots of the status page
	go test ./test/browser -update

ci: ## all that is checked before a change lands; installs Debian packages
	.ci/run

release: ## check that VERSION can be released; "TAG=tag" tags it
	.ci/release "$(VERSION)" $(TAG)
