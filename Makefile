# One command per habit. `make help` lists them.

CARGO ?= cargo
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)

.DEFAULT_GOAL := help
.PHONY: run test test-api check bench bench-long help toolchain

run: toolchain ## Build and start a server with demo salons on its own PostgreSQL; Ctrl-C stops everything
	@scripts/install-postgres.sh
	$(CARGO) build --release
	$(TARGET_DIR)/release/codeccloud serve --demo

test: toolchain ## Run all tests, against a real PostgreSQL, Redis and browser
	@scripts/install-postgres.sh
	@scripts/install-test-tools.sh
	@scripts/run-tests.sh

# Development dependencies give others more features (proptest: regex-syntax). With a test in the selection the server is built
# with them as well, as `make test` has done, rather than once more with everything that depends on them.
test-api: toolchain ## Fuzz the API of real servers in both modes by their own OpenAPI document
	@scripts/install-postgres.sh
	@scripts/install-test-tools.sh
	$(CARGO) build --workspace --bin codeccloud --test tidy
	@scripts/test-api.sh

check: toolchain ## Formatting, lints, licences, duplicate dependencies and house rules; works offline
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) test --quiet --test tidy

bench: toolchain ## Measure the ratios that benches/README.md explains
	@scripts/install-postgres.sh
	$(CARGO) bench --bench core --bench ratios

bench-long: toolchain ## Also measure start-up with ten million events behind; takes a while
	@scripts/install-postgres.sh
	BENCH_LONG=1 $(CARGO) bench --bench ratios

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "make %-12s %s\n", $$1, $$2 }'

toolchain:
	@command -v $(CARGO) >/dev/null || { echo "cargo is missing: install Rust from https://rustup.rs" >&2; exit 1; }
