# What there is to do; `make` alone lists it.

# cpu, or cuda for a GPU host.
DEVICE ?= cpu
# A Python with torch 2.11, transformers 5, ultralytics 8.4, safetensors, grad-cam 1.5 and scipy, for
# `make parity`.
PYTHON ?= python3
# How long `make fuzz` takes over each target, and which of them (all where it is empty).
FUZZ_SECONDS ?= 600
FUZZ_TARGETS ?=
BUF = @bufbuild/buf@1.75.0

.DEFAULT_GOAL := help
.PHONY: help setup build demo test lint proto-lint licences fuzz parity bench train clients examples \
	chart chart-cluster

help: ## List these targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | \
		awk -F '\t' '{ printf "  make %-13s %s\n", $$1, $$2 }'

setup: ## Fetch libtorch (once; DEVICE=cuda for a GPU host)
	@scripts/setup.sh $(DEVICE)

build: setup ## Build the program
	cargo build --locked

# Our own crate optimised, the libraries as the tests have them: nothing else is built twice.
demo: setup ## Stream a generated clip through a server and leave a report
	cargo run --locked --config 'profile.dev.opt-level=2' -- demo

# The clients get the program that `cargo test` has built: its libraries have the tests' features,
# so `cargo build` would build many of them once more.
test: setup lint ## Every check that CI runs
	cargo test --locked
	VERIFRAME=$${CARGO_TARGET_DIR:-target}/debug/veriframe scripts/clients.sh
	VERIFRAME=$${CARGO_TARGET_DIR:-target}/debug/veriframe scripts/chart.sh
	VERIFRAME=$${CARGO_TARGET_DIR:-target}/debug/veriframe scripts/python-client.sh
	VERIFRAME=$${CARGO_TARGET_DIR:-target}/debug/veriframe scripts/client-examples.sh

chart: ## Check the Helm chart (VERIFRAME=… also reads what it renders)
	scripts/chart.sh

chart-cluster: ## Install the chart into an API server (builds Kubernetes once)
	scripts/chart-cluster.sh

clients: setup ## Run Triton's own client and our Python client against a server
	scripts/clients.sh
	scripts/python-client.sh

examples: setup ## Run the Go, TypeScript and Java examples against a server
	scripts/client-examples.sh

lint: setup proto-lint licences ## The checks that run nothing: format, lints, documentation
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

# Without npx, or without a network to fetch buf over, this says so; CI has both and must lint.
proto-lint:
	@if ! command -v npx >/dev/null; then echo "buf lint: skipped, there is no npx"; \
	elif [ -z "$$CI" ] && ! npx --yes $(BUF) --version >/dev/null 2>&1; then \
		echo "buf lint: skipped, $(BUF) cannot be fetched"; \
	else echo "buf lint"; npx --yes $(BUF) lint proto; fi

licences:
	@scripts/licences.sh

fuzz: setup ## Fuzz what reads bytes from outside (FUZZ_SECONDS=… FUZZ_TARGETS=…)
	scripts/fuzz.sh $(FUZZ_SECONDS) $(FUZZ_TARGETS)

parity: setup ## Compare full-size nets with transformers and ultralytics (PYTHON=…)
	scripts/parity.sh $(PYTHON)

bench: setup ## Measure what serving costs over the bare nets
	cargo bench --locked

train: setup ## Train the built-in models again
	cargo run --locked -- train demo
