# `make` alone lists what there is. Each variable may be given on the command
# line: make run ADDR=127.0.0.1:4000 DATA=/some/dir ALLOW=10.0.0.0/8

# Where `make run` listens.
ADDR ?= 127.0.0.1:3000
# The folder that `make run` keeps its store and its key file in.
DATA ?= .data
# Private ranges that a probe may reach, comma separated; none unless named.
ALLOW ?=
# Which store `make run` uses; empty is the embedded one.
STORE ?=
# With STORE=dynamodb: where a local engine answers (empty is AWS), and how the
# names of the three tables begin.
ENDPOINT ?=
TABLES ?= credence
# Where `make lambda` listens, and what `make invoke` sends where.
LAMBDA_ADDR ?= 127.0.0.1:3001
FUNCTION ?= create
EVENT ?= events/$(if $(filter admin,$(FUNCTION)),admin/org-add,$(FUNCTION)).json
# How long `make check` runs each fuzz target.
FUZZTIME ?= 3s
# What `make bench` runs: the servers side by side, or the Go benchmarks whose names
# match BENCH (. is all of them) in PACKAGES.
BENCH ?=
PACKAGES ?= ./...
# How long `make soak` loads the server, and how many requests a second it sends.
DURATION ?= 10m
RATE ?= 500

# What the functions are compiled with, here and by .ci/sizes and the tests:
# no RPC of the retired Go runtime and no HTTP/2, which neither the Runtime API
# nor DynamoDB nor KMS speaks; no inlining, which only makes a function larger. docs/cold-start.md has the figures.
LAMBDA_FLAGS := -tags=lambda.norpc,nethttpomithttp2 -trimpath -gcflags=all=-l

LINT_VERSION := v2.15.0
BIN := $(CURDIR)/.bin
LINT := $(BIN)/golangci-lint-$(LINT_VERSION)

.DEFAULT_GOAL := help
.NOTPARALLEL:

.PHONY: help
help:
	@sed -n -e '/^[a-z-]*:.* ## /!d' -e 's/:.* ## /            ~ /' -e 's/^\(.\{10\}\) *~/make \1/p' $(MAKEFILE_LIST)
	@echo
	@echo 'Variables: ADDR=$(ADDR) DATA=$(DATA) ALLOW=$(ALLOW) STORE=$(STORE) ENDPOINT=$(ENDPOINT) TABLES=$(TABLES) LAMBDA_ADDR=$(LAMBDA_ADDR) FUNCTION=$(FUNCTION) EVENT=$(EVENT) FUZZTIME=$(FUZZTIME) BENCH=$(BENCH) DURATION=$(DURATION) RATE=$(RATE)'

.PHONY: run
run: ## Serves the whole API on this machine, on an embedded store; the first start prints a service key.
	@[ -e '$(BIN)/credence' ] || echo 'The first start fetches modules and compiles: one to two minutes on two cores. Later starts take seconds.'
	@go build -buildvcs=false -o '$(BIN)/credence' ./functions/credence
	@# In place of the shell, and not below go run, which would end without it.
	@exec '$(BIN)/credence' serve --addr '$(ADDR)' --data '$(DATA)' $(if $(ALLOW),--allow '$(ALLOW)') $(if $(STORE),--store '$(STORE)' --dynamodb-tables '$(TABLES)' $(if $(ENDPOINT),--dynamodb-endpoint '$(ENDPOINT)'))

.PHONY: lambda
lambda: ## Serves the functions of template.yaml as Lambda would, without containers, on LAMBDA_ADDR.
	@.ci/install-dynoxide .bin
	@go build -buildvcs=false -o '$(BIN)/runtimehost' ./shared/lambdahttp/runtimehost/cmd
	@exec '$(BIN)/runtimehost' serve --addr '$(LAMBDA_ADDR)' $(if $(ALLOW),--allow '$(ALLOW)')

.PHONY: invoke
invoke: ## Sends EVENT to FUNCTION as Lambda would: make invoke FUNCTION=create EVENT=events/create.json
	@.ci/install-dynoxide .bin >/dev/null
	@go run ./shared/lambdahttp/runtimehost/cmd invoke '$(FUNCTION)' '$(EVENT)'

.PHONY: test
test: ## Runs every test that needs only Go.
	go test ./...

.PHONY: check
check: format vet tidy lint template sizes servers fuzz nested race ## Runs everything: format, lint, fuzz targets, race tests, tests against real servers.

# Not part of check: what it installs is 500 MiB and takes minutes, on a busy
# machine more than a quarter of an hour. docs/decisions/0012-judges.md says why.
.PHONY: check-more
check-more: ## Installs the servers that are too large for check (Keycloak, Ory Hydra) and runs the tests against them.
	.ci/servers more
	MORE=true go test -count=1 -timeout 20m -run '^Test(Keycloak|Hydra)$$' ./shared/probe/http

.PHONY: build
build: ## Compiles every function for this machine into .bin/.
	@mkdir -p $(BIN)
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o $(BIN)/ ./functions/credence
	CGO_ENABLED=0 go build $(LAMBDA_FLAGS) -ldflags='-s -w' -o $(BIN)/ $$(go list ./functions/... | grep -v /credence$$)
	@ls -l $(BIN)

# What `sam build` asks for, one target for each function of template.yaml. The
# processor is the template's: arm64.
GOARCH_LAMBDA ?= arm64

build-TokenFunction: FOLDER := token
build-TeamsFunction: FOLDER := teams
build-CreateFunction: FOLDER := create
build-GetFunction: FOLDER := get
build-UpdateFunction: FOLDER := update
build-ResourcesFunction: FOLDER := resources
build-RevealFunction: FOLDER := reveal
build-ProbeFunction: FOLDER := probe
build-AdminFunction: FOLDER := admin

.PHONY: build-TokenFunction build-TeamsFunction build-CreateFunction build-GetFunction build-UpdateFunction build-ResourcesFunction build-RevealFunction build-ProbeFunction build-AdminFunction
build-TokenFunction build-TeamsFunction build-CreateFunction build-GetFunction build-UpdateFunction build-ResourcesFunction build-RevealFunction build-ProbeFunction build-AdminFunction:
	CGO_ENABLED=0 GOOS=linux GOARCH='$(GOARCH_LAMBDA)' go build $(LAMBDA_FLAGS) -ldflags='-s -w' -o '$(ARTIFACTS_DIR)/bootstrap' './functions/$(FOLDER)'

.PHONY: bench
bench: ## Compares the local server with others under equal load, about 3 minutes; BENCH=. runs the Go benchmarks.
ifeq ($(BENCH),)
	@[ -x '$(BIN)/bao' ] || echo 'OpenBao is left out; .ci/install-openbao installs it.'
	@go build -buildvcs=false -o '$(BIN)/credence' ./functions/credence
	@go build -buildvcs=false -o '$(BIN)/loadbench' ./shared/endtoend/bench
	@'$(BIN)/loadbench' -credence '$(BIN)/credence' $(if $(wildcard $(BIN)/bao),-openbao '$(BIN)/bao')
	@go test -run '^$$' -bench '^BenchmarkRequests$$' -benchmem -benchtime 2000x ./functions/credence
else
	go test -run '^$$' -bench '$(BENCH)' -benchmem $(PACKAGES)
endif

.PHONY: soak
soak: ## Sends a mixed load for DURATION at RATE requests a second; fails if the memory of the server grows.
	@go build -buildvcs=false -o '$(BIN)/credence' ./functions/credence
	@go build -buildvcs=false -o '$(BIN)/loadbench' ./shared/endtoend/bench
	@'$(BIN)/loadbench' -credence '$(BIN)/credence' -soak '$(DURATION)' -rate '$(RATE)'

.PHONY: verdicts
verdicts: ## Runs the probers against the behaviours of shared/probe/verdicts; prints the confusion matrix.
	@cd shared/probe/verdicts && go test -count=1 -matrix

# The steps of check, each to be run alone too.

.PHONY: format
format: $(LINT)
	$(LINT) fmt --diff

.PHONY: lint
lint: $(LINT)
	$(LINT) run

.PHONY: vet
vet:
	go vet ./...

.PHONY: tidy
tidy:
	go mod tidy -diff
	go mod verify

# The servers that tests start on loopback, where they are not installed.
.PHONY: servers
servers:
	.ci/servers

# The template, by the two programs that know the schemas of AWS. Nothing is
# sent anywhere; a region must be named for both to work.
.PHONY: template
template:
	bin=$$(.ci/install-sam) && export SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 && \
	"$$bin/sam" validate --lint --template template.yaml && "$$bin/cfn-lint" --non-zero-exit-code warning template.yaml

# How large each function is, which has a limit, and what each prober adds.
.PHONY: sizes
sizes:
	@.ci/sizes $(LAMBDA_FLAGS)

.PHONY: fuzz
fuzz:
	.ci/fuzz '$(FUZZTIME)'

# Modules of their own, such as large test vectors that no build should fetch.
.PHONY: nested
nested:
	.ci/nested

.PHONY: race
race:
	PATH="$(BIN):$$PATH" go test -race ./...

# About 150 seconds on two cores; the name carries the version, so a newer pin
# builds anew and the same one never does.
$(LINT):
	@mkdir -p $(BIN)
	GOFLAGS= GOBIN='$(BIN)' go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	mv '$(BIN)/golangci-lint' '$(LINT)'
