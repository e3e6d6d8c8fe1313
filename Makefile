# Playgate. `make` lists what can be done; CONTRIBUTING.md says when.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO       ?= go
PKGS     ?= ./...
CONFIG   ?= configs/playgate.yaml
CONFIGS  ?= configs/*.yaml
FUZZTIME ?= 10s
SOAK     ?= 10m
OUT      ?= bin/playgate
# What `playgate version` says; empty where there is no git, and then Go's own stamp counts.
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null)
COMMIT   ?= $(shell git rev-parse HEAD 2>/dev/null)
STAMP     = -X github.com/playgate/playgate/cli.version=$(VERSION) -X github.com/playgate/playgate/cli.commit=$(COMMIT)

# The tests of what the race detector changes: memory, and what is allocated.
UNRACED   = '^(TestChaos(UnfinishedHeaders|WebhookBodies|BatchBodies)|TestTheHitPathStaysLean)$$'

tool = $$(tools/tool.sh $(1) $(2))

##@ Everyday

.PHONY: help
help: ## Print this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Run the whole product with nothing installed; it prints what to open
	$(GO) run . demo

.PHONY: demo-picture
demo-picture: ## Take the README's picture of the demo, docs/demo.webp (Node, Chromium)
	tools/demo-picture.sh

.PHONY: run
run: ## Run the gateway with CONFIG (configs/playgate.yaml)
	$(GO) run . serve --config $(CONFIG)

.PHONY: build
build: ## Build OUT (bin/playgate); the image is built by this very target
	$(GO) build -trimpath -buildvcs=auto -ldflags "-s -w $(STAMP)" -o $(OUT) .

.PHONY: check-config
check-config: build ## Check CONFIGS (every shipped configuration)
	for file in $(CONFIGS); do echo "$$file"; $(OUT) check-config "$$file" >/dev/null; done

##@ Tests

.PHONY: setup
setup: ## Install what the tests need: Debian packages (as root), npm packages, Vault, tools
	tools/setup.sh

.PHONY: test
test: setup ## Install packages (see setup) and run all tests; 25 minutes on two cores
	$(call tool,lint,gotestsum) --format pkgname-and-test-fails --format-hide-empty-pkg -- -race -shuffle=on -timeout 20m $(TESTFLAGS) ./...
	$(call tool,lint,gotestsum) --format standard-verbose -- -run $(UNRACED) -count=1 -timeout 10m $(TESTFLAGS) ./e2e ./server
	runner=$(call tool,lint,gotestsum) && cd benchmarks && "$$runner" --format pkgname-and-test-fails --format-hide-empty-pkg -- -shuffle=on -timeout 10m $(TESTFLAGS) ./...
	@$(GO) run . version | sed -n 's/^signer */auto took the signer /p' # and what this processor has no tests for

.PHONY: test-masked
test-masked: ## Test what signs as on a processor without AVX-512
	$(GO) run -exec 'env GODEBUG=cpu.avx512f=off' . version | grep 'does not have AVX-512 IFMA'
	$(GO) test -exec 'env GODEBUG=cpu.avx512f=off' -count=1 -shuffle=on $(TESTFLAGS) ./signer/... ./issuer ./app

.PHONY: race
race: ## Test PKGS with the race detector; installs nothing
	$(GO) test -race -shuffle=on $(TESTFLAGS) $(PKGS)

.PHONY: fuzz
fuzz: ## Run each fuzz target in PKGS for FUZZTIME (10s)
	tools/fuzz.sh $(FUZZTIME) $(PKGS)

.PHONY: soak
soak: ## Load the real binary for SOAK (10m) and fail if it grows; SOAK_STORE=postgres for the other store
	SOAK=$(SOAK) $(GO) test ./e2e -run '^TestSoak$$' -count=1 -v -timeout 0 $(TESTFLAGS)

.PHONY: chaos
chaos: ## Run the fault tests of the real binary alone
	$(GO) test ./e2e -run '^TestChaos' -count=1 -v -timeout 20m $(TESTFLAGS)

.PHONY: leak
leak: ## Look for a dependence of signing times on keys (a quiet machine, 20 minutes)
	$(GO) run ./signer/multibuffer/internal/leak

.PHONY: cover
cover: ## Test coverage of PKGS, in coverage.out
	$(GO) test -coverpkg=./... -coverprofile=coverage.out $(TESTFLAGS) $(PKGS)
	$(GO) tool cover -func=coverage.out | tail -1

.PHONY: bench bench-full bench-peers
bench: ## Run the benchmark suite, short form (BENCHFLAGS=-h lists its flags)
	$(GO) -C benchmarks run . $(BENCHFLAGS)
bench-full: ## Run the benchmark suite with the sizes of the documentation (11 minutes)
	$(GO) -C benchmarks run . -full $(BENCHFLAGS)
bench-peers: setup ## Measure the gateway beside what people write by hand
	$(GO) -C benchmarks run . $(BENCHFLAGS) peers

.PHONY: bench-go
bench-go: ## Run the Go micro-benchmarks of PKGS; keep the output for bench-compare
	$(GO) test -run '^$$' -bench . -benchmem -count 6 $(PKGS)

.PHONY: bench-compare
bench-compare: ## Compare two outputs of bench-go, or benchmarks.txt of two suite runs: OLD=file NEW=file
	$(call tool,lint,benchstat) $(OLD) $(NEW)

##@ Checks

.PHONY: check
check: ## All that CI runs
	.ci/run

.PHONY: fmt
fmt: ## Format the Go files (gofumpt, gci)
	$(call tool,lint,golangci-lint) fmt

.PHONY: lint lint-format lint-go lint-scripts lint-workflows
lint: ## Lint Go, scripts, workflows and the Dockerfile; says all that is wrong
	@$(MAKE) --no-print-directory --keep-going lint-format lint-go lint-scripts lint-workflows image-lint
lint-format:
	$(call tool,lint,golangci-lint) fmt --diff
lint-go:
	$(call tool,lint,golangci-lint) run
	lint=$(call tool,lint,golangci-lint) && cd benchmarks && "$$lint" run
lint-scripts:
	tools/lint-scripts.sh
lint-workflows:
	$(call tool,actionlint,actionlint) .github/workflows/*.yml

.PHONY: generate
generate: ## Write the generated files anew
	$(GO) generate ./...

.PHONY: generate-check
generate-check: ## Fail when a generated file is not what its source says
	tools/generate-check.sh

.PHONY: modules-check
modules-check: ## Fail when go.mod is not what the imports say
	$(GO) mod tidy -diff
	$(GO) mod verify
	$(GO) -C benchmarks mod tidy -diff
	$(GO) -C benchmarks mod verify
	$(GO) -C signer/multibuffer/internal/gen mod tidy -diff
	$(GO) -C signer/multibuffer/internal/gen mod verify

.PHONY: vuln
vuln: ## Look for known vulnerabilities that the code can reach (asks the Go vulnerability database)
	$(call tool,lint,govulncheck) ./...

##@ Image

.PHONY: image
image: ## Build the container image (needs an engine)
	docker build --build-arg VERSION=$(VERSION) --build-arg COMMIT=$(COMMIT) --tag playgate:$(VERSION) .

.PHONY: image-lint
image-lint: ## Check the Dockerfile as an engine would, without one
	$(call tool,imagelint,imagelint)
	if command -v hadolint >/dev/null; then hadolint Dockerfile; fi

.PHONY: image-build
image-build: ## Run the image's build on the image's files, without an engine
	tools/image-build.sh

.PHONY: clean
clean: ## Remove what the other targets made (the tool cache stays)
	rm -rf bin dist coverage.out
