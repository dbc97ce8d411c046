# Everything this project can do. `make` alone prints it.
GO      ?= go
BINARY  := bin/pulseboard
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT  := $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
LDFLAGS := -X main.version=$(VERSION) -X main.commit=$(COMMIT)

.PHONY: help run build generate test lint bench bench-stream bench-metrics bench-hostile tools
help: ## print this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: build ## build, and serve a live demo on http://localhost:8080
	$(BINARY) serve --demo --data data/demo

build: ## build the binary
	$(GO) build -ldflags '$(LDFLAGS)' -o $(BINARY) ./cmd/pulseboard

generate: ## write the Go code of the templ files
	$(GO) tool templ generate

lint: fresh ## check generated code, format, dropped errors, go vet and staticcheck
	@unformatted=$$(gofmt -l cmd handlers static store stream views) && test -z "$$unformatted" || { echo "$$unformatted"; echo "run gofmt -w on these"; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck -checks all,-ST1000 ./... # cmd/house looks at packages' comments
	$(GO) tool errcheck -ignoretests -exclude cmd/house/errcheck.txt ./...
	cd cmd/loadgen && $(GO) vet ./...

# Generates anew and compares names and content. A generator that fails is a failure too.
.PHONY: fresh check
fresh:
	@before=$$(sha256sum views/*_templ.go) && $(GO) tool templ generate -log-level error && after=$$(sha256sum views/*_templ.go) && \
		test "$$before" = "$$after" || { echo "generated code was stale and has been written anew, or could not be written: look, and commit it"; exit 1; }

check: lint ## lint, and run the tests that are quick, in less than a minute: what one runs all day
	$(GO) test -short -timeout 3m ./...

test: lint tools ## lint, then run all tests with the race detector
	PATH="$$PATH:/usr/sbin" $(GO) test -race -timeout 15m ./...
	cd cmd/loadgen && $(GO) test ./...

bench: ## run the benchmarks
	$(GO) test -run '^$$' -bench . -benchmem ./...

bench-stream: build ## compare the streams with other ways to send them: CPU, memory, delays; takes some 20 minutes
	cd cmd/loadgen && $(GO) build -o ../../bin/loadgen .
	bin/loadgen bench --binary $(BINARY)

bench-metrics: build ## compare how events are kept and read with other ways to do it, over ten million events; takes some 15 minutes and 6 GB
	cd cmd/loadgen && $(GO) build -tags duckdb -o ../../bin/loadgen-metrics .
	bin/loadgen-metrics metrics --binary $(BINARY)

bench-hostile: build ## attack a server of 1,000 viewers in twelve ways, and say what it cost them; takes less than 7 minutes. ONLY=names,slow for some
	cd cmd/loadgen && $(GO) build -o ../../bin/loadgen .
	bin/loadgen hostile --binary $(BINARY) --only '$(ONLY)'

# The tests of what browsers, curl and proxies make of it need these programs, not the
# services that come with them.
TOOLS := caddy chromium curl nginx
tools:
	@missing=""; for tool in $(TOOLS); do command -v $$tool >/dev/null || [ -x /usr/sbin/$$tool ] || missing="$$missing $$tool"; done; \
		test -z "$$missing" || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing && \
			for service in $$missing; do systemctl disable --now $$service >/dev/null 2>&1 || true; done; } || \
		{ echo "the tests need$$missing; type: sudo apt-get install$$missing"; exit 1; }
