# flowtools: make build | install | test | lint | bench | fuzz | golden | demo | gen | clean
#
# Needs Go and make; `make test` installs what the tests need besides (Debian, as root).

GO        ?= go
PREFIX    ?= /usr/local
DESTDIR   ?=
BIN       ?= bin
GOLDENS   ?= ../shared/goldens/run
FUZZTIME  ?= 10s
BENCHTIME ?= 1s

# urfave_cli_no_docs leaves out urfave's own man page writer: 0.5 ms of start-up less.
TAGS      := urfave_cli_no_docs
GOFLAGS   := -trimpath -tags=$(TAGS)
LDFLAGS   := -s -w
export CGO_ENABLED ?= 0

COMMANDS  := $(notdir $(wildcard cmd/*))
PACKAGES  := ./...
TARGETS   ?= linux/arm64 freebsd/amd64 darwin/arm64

.PHONY: all build install test deps lint bench fuzz golden demo gen race cross portable clean

all: build

build: ## every command into $(BIN)/
	@mkdir -p $(BIN)
	$(GO) build $(GOFLAGS) -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/...

install: build ## into $(DESTDIR)$(PREFIX)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 755 $(addprefix $(BIN)/,$(COMMANDS)) $(DESTDIR)$(PREFIX)/bin
	install -m 644 docs/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/site-functions $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	install -m 644 docs/completion/bash/* $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	install -m 644 docs/completion/zsh/* $(DESTDIR)$(PREFIX)/share/zsh/site-functions
	install -m 644 docs/completion/fish/* $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d

deps: ## what the tests need besides Go; says what is missing where it cannot install
	@scripts/test-deps

test: deps build ## every test, with the real servers and peers that are there
	FT_BIN=$(abspath $(BIN)) $(GO) test -tags=$(TAGS) $(PACKAGES)

# Packages with goroutines of their own, as far as text tells.
CONCURRENT = $(shell grep -rlE '"sync(/atomic)?"|^\s*go (func|[a-z])' --include='*.go' cmd internal pkg | sed 's,^,./,; s,/[^/]*$$,,' | sort -u)

race: ## the tests of concurrent packages under the race detector (needs cgo and a C compiler), without servers and peers
	FT_E2E= CGO_ENABLED=1 $(GO) test -race -short -tags=$(TAGS) $(CONCURRENT)

lint: ## gofmt, go vet, staticcheck, generated files up to date
	@out=$$(gofmt -l cmd internal pkg); if [ -n "$$out" ]; then echo "gofmt: $$out"; exit 1; fi
	$(GO) vet -tags=$(TAGS) $(PACKAGES)
	$(GO) tool -modfile=tools.mod staticcheck -tags=$(TAGS) $(PACKAGES)
	$(GO) run -tags=$(TAGS) ./internal/gen -check

bench: ## benchmarks, compared with bench.old by benchstat when that is there
	$(GO) test -tags=$(TAGS) -run '^$$' -bench . -benchtime $(BENCHTIME) $(PACKAGES) | tee bench.new
	@if [ -f bench.old ]; then $(GO) tool -modfile=tools.mod benchstat bench.old bench.new; fi

fuzz: ## every fuzz target for $(FUZZTIME)
	@scripts/fuzz-all $(FUZZTIME)

golden: build ## the recorded cases, where they are
	@scripts/goldens $(GOLDENS) $(BIN)

demo: build ## the guide's day on an embedded database: no server, no root
	@scripts/demo $(abspath $(BIN))

gen: ## man pages, shell completion and reference tables
	$(GO) run -tags=$(TAGS) ./internal/gen

cross: ## static binaries for the other systems
	@for target in $(TARGETS); do \
		echo "cross-build $$target"; \
		CGO_ENABLED=0 GOOS=$${target%/*} GOARCH=$${target#*/} $(GO) build $(GOFLAGS) -o dist/$${target%/*}-$${target#*/}/ ./cmd/... || exit 1; \
	done

portable: ## does everything compile for the other systems?
	@for target in $(TARGETS); do \
		echo "compile for $$target"; \
		CGO_ENABLED=0 GOOS=$${target%/*} GOARCH=$${target#*/} $(GO) build $(GOFLAGS) ./... || exit 1; \
	done

clean:
	rm -rf $(BIN) dist demo-out bench.new
