# SPDX-License-Identifier: Apache-2.0
#
# Every target does all its own set-up. Debian 12 with Rust and Go is enough to begin with.

SHELL := /bin/bash
.DELETE_ON_ERROR:

CARGO := cargo
TRIPLE := $(shell rustc -vV | sed -n 's/^host: //p')
TARGET := $(or $(CARGO_TARGET_DIR),target)
# The shim is there once per container: one static file without relocations maps the fewest private pages.
SHIM_FLAGS := target.$(TRIPLE).rustflags=["-C","target-feature=+crt-static","-C","relocation-model=static"]
# Inside of the namespaces there is no network: everything is fetched and compiled before.
TEST := $(CARGO) test --locked --offline --workspace --no-fail-fast

# Every test binary runs under a time limit.
export CARGO_TARGET_$(shell echo $(TRIPLE) | tr a-z- A-Z_)_RUNNER := $(CURDIR)/tests/limit

.PHONY: help build setup setup-images tools demo test test-native vm test-vm test-binaries test-fuzz fuzz bench check conformance clean

help: ## Lists the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 16

build: setup ## Builds the binaries into build/bin
	$(CARGO) build --locked --release -p gorae-runtime -p gorae-cli -p gorae-tests -p gorae-bench -p gorae-bench-floor --bins
	$(CARGO) build --locked --profile shim -p gorae-shim --target $(TRIPLE) --config '$(SHIM_FLAGS)'
	@mkdir -p build/bin
	@install -p -t build/bin $(TARGET)/$(TRIPLE)/shim/gorae-shim \
	    $$(find $(TARGET)/release -maxdepth 1 -type f -executable -name 'gorae*' ! -name gorae-shim)

setup: ## Installs the Debian packages that building needs
	@tests/setup

setup-images:
	@tests/setup --images

tools: setup ## Builds kubelet, crictl, critest, the CNI plugins and the shim of an earlier build into build
	@tests/tools/build.sh
	@tests/tools/old-shim.sh

demo: build ## Shows a pod's life on a node of its own, works offline
	@tests/run build/bin/gorae-demo

test: check-style setup-images tools build test-binaries test-fuzz vm ## Runs every test, here and on a virtual machine
	@RUST_TEST_THREADS=1 tests/summary bash -c 'tests/run $(TEST); here=$$?; tests/vm/test; exit $$((here | $$?))'

test-native: check-style setup-images tools build test-binaries test-fuzz ## Runs the tests of this machine alone
	@RUST_TEST_THREADS=1 tests/summary tests/run $(TEST)

test-binaries: setup
	$(CARGO) test --locked --workspace --no-run

# Every fuzz target over its seeds and what is near them.
test-fuzz: setup
	$(CARGO) test --locked --manifest-path tests/fuzz/Cargo.toml --target-dir $(TARGET)/fuzz

fuzz: ## Fuzzes everything that reads bytes of others, each target for SECONDS (600)
	@tests/setup --fuzz
	@nice -n 10 tests/fuzz/run $(or $(SECONDS),600) $(TARGETS)

vm: setup
	@tests/setup --vm
	@tests/vm/image

test-vm: setup-images tools build vm ## Runs what cgroup v2 and systemd could change, on a virtual machine that has them
	@tests/summary tests/vm/test $(SUITES)

conformance: setup-images tools build ## Runs critest
	$(CARGO) test --locked -p gorae-tests --no-run
	tests/run $(CARGO) test --locked --offline -p gorae-tests --test critest -- --nocapture

bench: build ## Measures Gorae beside the kernel's own floor
	@tests/run build/bin/gorae-bench

check: check-style test-binaries ## Looks at style, runs unit tests, builds the documentation
	RUST_TEST_THREADS=1 tests/summary tests/run $(TEST) --lib --bins
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --workspace --no-deps
	@if command -v cargo-deny >/dev/null; then cargo deny --locked check; \
	    else echo 'cargo-deny is not installed: licences and advisories were not checked'; fi

.PHONY: check-style
check-style: setup
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path tests/fuzz/Cargo.toml --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

clean: ## Removes what was built
	rm -rf build
	$(CARGO) clean
