# Everything a contributor runs. Nothing has to be installed but Go: tools are fetched at a
# pinned version by "go run". "make" alone lists the targets.

export CGO_ENABLED ?= 0

GOLANGCI   := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
PLATFORMS  := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
PKG        ?= ./...
FUZZTIME   ?= 30s
SEEDS      ?= 1000
BENCHTIME  ?= 1s
SOAK       ?= 30m

.DEFAULT_GOAL := help

##@ Build and try

build: ## bin/shoal
	go build -trimpath -o bin/ ./cmd/shoal

demo: build ## a grid of five nodes on this machine, a real job, two kills
	GOOS=wasip1 GOARCH=wasm go build -trimpath -o bin/mersenne.wasm ./examples/mersenne
	bin/shoal demo

##@ Test

# What starts real nodes, browsers and guests comes last and one by one: donors of a test have
# the lowest priority, and on two cores other tests beside them would starve them for minutes.
REAL := ./internal/p2p ./cmd/shoal ./internal/node ./internal/web

test: optional ## everything; PKG=./jobs/... for a part
	@{ if [ "$(PKG)" = ./... ]; then \
	    go test -json $$(go list ./... | grep -vxF "$$(go list $(REAL))"); \
	    go test -json -p 1 -timeout 20m $(REAL); \
	else go test -json $(PKG); fi; } | go run ./internal/testsum -again "$$(go list $(REAL))"

check: lint test ## what must pass before a commit

race: export CGO_ENABLED = 1
race: ## the tests under the race detector, without the long ones
	go test -race -short -shuffle=on $(PKG)

fuzz: ## each fuzz target for FUZZTIME
	@set -e; for pkg in $$(go list $(PKG)); do \
	    for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	        echo "$$pkg $$target"; \
	        go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg; \
	    done; \
	done

bench: ## every benchmark, as figures; none asserts a time
	go test -run '^$$' -bench . -benchtime $(BENCHTIME) $(PKG)

soak: ## two donors with work for SOAK: memory, files and goroutines over time must stay flat
	go test -count=1 -timeout 24h -v -run TestSoak ./cmd/shoal -soak $(SOAK)

sim: build ## SEEDS whole grids, each from one number, with faults and liars, twice from fresh numbers
	@for base in $$(od -An -N8 -tu4 /dev/urandom); do \
	    bin/shoal sim --fast --seed $${base}000 --seeds $$(($(SEEDS) * 35 / 100)) --nodes 8 --liars 0 && \
	    bin/shoal sim --fast --seed $${base}400 --seeds $$(($(SEEDS) * 35 / 100)) --nodes 9 --liars 0.25 && \
	    bin/shoal sim --fast --seed $${base}800 --seeds $$(($(SEEDS) * 20 / 100)) --nodes 9 --liars 0.25 --verify strong && \
	    bin/shoal sim --fast --seed $${base}900 --seeds $$(($(SEEDS) * 9 / 100)) --nodes 8 --liars 0.25 --verify trusted && \
	    bin/shoal sim --fast --seed $${base}990 --seeds $$(($(SEEDS) / 100)) --nodes 12 --liars 0.2 --verify paranoid || exit 1; \
	done

test-arm64: ## the pure core and the sandbox on emulated arm64 (needs qemu-user)
	@command -v qemu-aarch64 >/dev/null || { echo "qemu-aarch64 is missing: apt-get install qemu-user"; exit 1; }
	SHOAL_EXEC_PREFIX=qemu-aarch64 GOARCH=arm64 go test -short -exec qemu-aarch64 ./jobs ./scheduler ./internal/store/... ./wasm/...

cross: ## build for every platform, and vet for every system, tests included
	@set -e; for p in $(PLATFORMS); do \
	    echo "build $$p"; \
	    GOOS=$${p%/*} GOARCH=$${p#*/} go build -trimpath -o /dev/null ./cmd/shoal; \
	done
	@set -e; for os in linux darwin windows; do \
	    echo "vet $$os"; \
	    GOOS=$$os GOARCH=amd64 go vet ./...; \
	done

##@ Keep tidy

lint: ## golangci-lint, as .golangci.yml says
	go run $(GOLANGCI) run $(PKG)

docs: ## docs/cli.md and docs/man, from the commands
	go test ./cmd/shoal -run TestReferenceIsCurrent -update

fmt: ## gofumpt and goimports
	go run $(GOLANGCI) fmt

tidy: ## go.mod and go.sum; fails if they were not tidy
	go mod tidy
	git diff --exit-code -- go.mod go.sum

clean: ## what was built
	rm -rf bin demo-out

help: ## this list
	@awk 'BEGIN {FS = ":.*## "} \
	    /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	    /^[a-z0-9-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The tests skip what they have no tool for; this says so beforehand.
optional:
	@for need in "clang-16:guests in C" "chromium:the web page" "qemu-aarch64:make test-arm64" "wazero:bench beside it" "parallel:bench beside it" "tmux:the full screen of watch" "dbus-daemon:somebody at a desktop" "Xvfb:somebody at a screen"; do \
	    command -v "$${need%%:*}" >/dev/null || echo "optional: $${need%%:*} is not installed ($${need#*:} left out)"; \
	done

.PHONY: docs build demo test check race fuzz bench soak sim test-arm64 cross lint fmt tidy clean help optional
