# make demo    build, then the main story on this machine, at most 90 s after the build
# make up      build, then leave the same stack running
# make test    everything that CI checks; each suite prints its time
# make bench   our figures beside the machine's own
# make chaos   many more simulated seeds than the tests: make chaos SEEDS=0..100000
# make fmt     format the code (the only target that writes into the clone)
# make deny    licences, sources and advisories of what we link
# make setup   install what is missing (the others call it)

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

# Outside the clone, so that a fresh clone of the same machine is warm. One directory and one feature set for everything,
# so that nothing is built twice: cargo is always called with --workspace.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/ledge/target
export LC_ALL := C.UTF-8
BIN := $(CARGO_TARGET_DIR)/debug
SEEDS ?= 0..20000

ifeq ($(shell command -v cargo-nextest 2>/dev/null),)
RUN_TESTS := cargo test --workspace --no-fail-fast
else
RUN_TESTS := cargo nextest run --workspace --profile $(if $(CI),ci,default)
endif
# Naming any test target makes cargo pick the same features as it does for tests (those of dev-dependencies too); without
# it, most crates would be built a second time for the binaries.
SAME_FEATURES := --test data_dir
BUILD := cargo build --workspace --bins $(SAME_FEATURES)
BUILD_BROKEN := cargo build --workspace --features ledge-chaos/broken --bin ledge-chaos-broken $(SAME_FEATURES)

# A suite is a name and a command; those after a name with `!` are skipped when it fails.
FORMAT := cargo fmt --all --check
LINT := cargo clippy --workspace --all-targets -- -D warnings
SIM := $(BIN)/ledge-chaos sim --seeds 0..2000
BROKEN := $(BUILD_BROKEN) && $(BIN)/ledge-chaos-broken sim --expect-broken all --seeds 0..200

.PHONY: help setup demo up test bench chaos fmt deny

help:
	@sed -n 's/^# make /make /p' Makefile

setup:
	@.ci/setup build clients broker

demo:
	@.ci/setup build
	$(BUILD)
	@$(BIN)/ledge-chaos demo

up:
	@.ci/setup build clients
	$(BUILD)
	@$(BIN)/ledge-chaos up

test: setup
	@.ci/suites format '$(FORMAT)' lint '$(LINT)' build! '$(BUILD)' tests '$(RUN_TESTS)' sim '$(SIM)' broken '$(BROKEN)'

bench:
	@.ci/setup build
	$(BUILD)
	@$(BIN)/ledge-chaos bench

chaos:
	@.ci/setup build
	$(BUILD)
	@$(BIN)/ledge-chaos sim --seeds $(SEEDS)

fmt:
	cargo fmt --all

deny:
	@command -v cargo-deny >/dev/null || { echo 'cargo-deny is missing: cargo install --locked cargo-deny' >&2; exit 69; }
	@echo 'deny: advisories come from github.com/rustsec/advisory-db, so this needs the network; without it: cargo deny check licenses bans sources' >&2
	cargo deny --workspace check
