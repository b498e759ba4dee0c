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
# The suites that run nowhere but on a virtual machine.
VM_TESTS := --test cgroup2 --test apparmor
# Notes the time of a part of `make test`.
STAGE := tests/stage
# Inside of the namespaces there is no network: everything is fetched and compiled before.
TEST := $(CARGO) test --locked --offline --workspace --no-fail-fast

# Every test binary runs under a time limit.
export CARGO_TARGET_$(shell echo $(TRIPLE) | tr a-z- A-Z_)_RUNNER := $(CURDIR)/tests/limit

.NOTPARALLEL:
.PHONY: help build build-harness setup setup-images tools demo test test-native suite vm test-vm test-binaries test-fuzz fuzz bench speed soak \
    check check-style check-house doc conformance begin clean

help: ## Lists the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 16

build: setup ## Builds goraed, gorae and gorae-shim into build/bin
	$(STAGE) 'compile the product' $(CARGO) build --locked --release -p gorae-runtime -p gorae-cli --bins
	$(STAGE) 'compile the shim' $(CARGO) build --locked --profile shim -p gorae-shim --target $(TRIPLE) --config '$(SHIM_FLAGS)'
	@mkdir -p build/bin
	@install -p -t build/bin $(TARGET)/release/goraed $(TARGET)/release/gorae $(TARGET)/$(TRIPLE)/shim/gorae-shim

setup: ## Installs the Debian packages that building needs
	@$(STAGE) 'set up' tests/setup

setup-images:
	@$(STAGE) 'set up images' tests/setup --images

tools: setup ## Builds kubelet, crictl, critest, the CNI plugins and an earlier shim into build
	@$(STAGE) 'compile the tools of others' tests/tools/build.sh
	@$(STAGE) 'compile an earlier shim' tests/tools/old-shim.sh

# Of everything only what it shows, by the profile that compiles soonest.
demo: setup ## Shows a pod's life on a node of its own, works offline
	@$(CARGO) build --locked --profile demo --no-default-features -p gorae-runtime -p gorae-shim -p gorae-cli -p gorae-tests \
	    --bin goraed --bin gorae-shim --bin gorae --bin gorae-demo
	@GORAE_BIN=$(abspath $(TARGET)/demo) tests/run $(TARGET)/demo/gorae-demo

test: export GORAE_STAGES := $(CURDIR)/build/stages
test: begin check-style doc setup-images tools build test-binaries test-fuzz vm ## Runs every test, here and on a virtual machine
	@tests/summary tests/everything

test-native: export GORAE_STAGES := $(CURDIR)/build/stages
test-native: begin check-style doc setup-images tools build test-binaries test-fuzz ## Runs the tests of this machine alone
	@tests/summary tests/everything --native

# SUITE is PACKAGE/TEST, or some of them; WORDS are for the test binary. With all packages: for one of them cargo would choose
# other features, and compile all that it depends on anew.
suite: setup-images tools build test-binaries ## Runs one suite: SUITE=gorae-tests/exec WORDS=large_output
	RUST_TEST_THREADS=1 GORAE_TEST_ONLY='$(SUITE)' tests/run $(TEST) --lib --bins --tests -- $(WORDS)

begin:
	@mkdir -p build
	@: >build/stages

# What the tests are run with besides the product comes from the same compilation as the tests.
test-binaries: setup
	$(STAGE) 'compile the tests' $(CARGO) test --locked --workspace --no-run --lib --bins --examples --tests $(VM_TESTS)
	@mkdir -p build/bin
	@install -p -s -t build/bin $(TARGET)/debug/gorae-demo $(TARGET)/debug/gorae-test-images

# Every fuzz target over its seeds and what is near them.
test-fuzz: setup
	$(STAGE) 'compile and run the fuzz targets' $(CARGO) test --locked --manifest-path tests/fuzz/Cargo.toml --target-dir $(TARGET)/fuzz

fuzz: ## Fuzzes everything that reads bytes of others, each target for SECONDS (600)
	@tests/setup --fuzz
	@nice -n 10 tests/fuzz/run $(or $(SECONDS),600) $(TARGETS)

vm: setup
	@$(STAGE) 'set up the virtual machine' tests/setup --vm
	@$(STAGE) 'make the virtual machine' tests/vm/image

test-vm: setup-images tools build test-binaries vm ## Runs what cgroup v2 and systemd could change, on a virtual machine that has them
	@tests/summary tests/vm/test $(SUITES)

conformance: setup-images tools build test-binaries ## Runs critest
	tests/run $(CARGO) test --locked --offline -p gorae-tests --test critest -- --nocapture

# BASE=REVISION measures another revision in turns with this tree: ROUNDS (5) of each, MAX (1.03) is the ratio that is too much.
bench: build ## Measures Gorae beside the kernel's own floor, or with BASE=REVISION beside another revision
	$(CARGO) build --locked --release -p gorae-bench -p gorae-bench-floor --bins
	@install -p -t build/bin $(TARGET)/release/gorae-bench $(TARGET)/release/gorae-floor
ifdef BASE
	@base=$$(tests/bench/base '$(BASE)') && tests/run build/bin/gorae-bench --base "$$base" --rounds $(or $(ROUNDS),5) --max $(or $(MAX),1.03)
else
	@tests/run build/bin/gorae-bench
endif

# The shim that is shipped, on a machine that does nothing else.
speed: build ## Holds the shim and the unpacking of layers to their promises of speed
	$(CARGO) test --locked --no-run -p gorae-shim -p gorae-image-service --test speed --test pod_speed
	@RUST_TEST_THREADS=1 GORAE_SHIM=$(CURDIR)/build/bin/gorae-shim tests/summary tests/run $(CARGO) test --locked --offline --no-fail-fast \
	    -p gorae-shim -p gorae-image-service --test speed --test pod_speed -- --ignored --nocapture

soak: setup-images tools build test-binaries ## Runs the long loads, and writes down how they went (tests/soak.md)
	@tests/soak $(LOADS)

check: check-style check-house doc test-binaries ## Looks at style, runs unit tests, builds the documentation
	RUST_TEST_THREADS=1 tests/summary tests/run $(TEST) --lib --bins
	@if command -v cargo-deny >/dev/null; then cargo deny --locked check; \
	    else echo 'cargo-deny is not installed: licences and advisories were not checked'; fi

check-style: setup
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path tests/fuzz/Cargo.toml --check
	@$(CARGO) metadata --locked --format-version 1 --manifest-path tests/fuzz/Cargo.toml >/dev/null
	$(STAGE) 'lint' $(CARGO) clippy --locked --workspace --all-targets $(VM_TESTS) -- -D warnings

check-house: setup ## Looks for circles of imports and dependencies that nothing names
	$(CARGO) test --locked -p gorae-house

doc: setup
	RUSTDOCFLAGS='-D warnings' $(STAGE) 'build the documentation' $(CARGO) doc --locked --workspace --no-deps

clean: ## Removes what was built
	rm -rf build
	-git worktree prune
	$(CARGO) clean
