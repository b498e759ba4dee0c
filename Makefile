# SPDX-License-Identifier: Apache-2.0
#
# Every target does its own set-up. Debian 12 with Rust and Go is enough to start with.

SHELL := /bin/bash
.DELETE_ON_ERROR:

CARGO := cargo
TRIPLE := $(shell rustc -vV | sed -n 's/^host: //p')
TARGET := $(or $(CARGO_TARGET_DIR),target)
# There is one shim per container. A static file without relocations maps the fewest private pages.
SHIM_FLAGS := target.$(TRIPLE).rustflags=["-C","target-feature=+crt-static","-C","relocation-model=static"]
# The suites that run only in a virtual machine.
VM_TESTS := --test cgroup2 --test apparmor --test ipvlan --test sctp
# Those, and the suite that needs a control plane: `make test` compiles them and runs them elsewhere or not at all.
OTHER_TESTS := $(VM_TESTS) --test cluster
# Records the time of a stage of `make test`.
STAGE := tests/stage
# The test namespaces have no network: everything is downloaded and compiled beforehand.
TEST := $(CARGO) test --locked --offline --workspace --no-fail-fast

# Every test binary runs under a time limit.
export CARGO_TARGET_$(shell echo $(TRIPLE) | tr a-z- A-Z_)_RUNNER := $(CURDIR)/tests/limit

.NOTPARALLEL:
.PHONY: help build build-harness setup setup-images tools demo test test-native suite vm test-vm test-binaries test-fuzz fuzz bench speed soak \
    cluster check check-style check-house doc conformance begin clean

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

# Builds only what the demo needs, with the profile that compiles fastest.
demo: setup ## Shows a pod from start to finish on a node of its own, works offline
	@$(CARGO) build --locked --profile demo --no-default-features -p gorae-runtime -p gorae-shim -p gorae-cli -p gorae-tests \
	    --bin goraed --bin gorae-shim --bin gorae --bin gorae-demo
	@GORAE_BIN=$(abspath $(TARGET)/demo) tests/run $(TARGET)/demo/gorae-demo

test: export GORAE_STAGES := $(CURDIR)/build/stages
test: begin check-style doc setup-images tools build test-binaries test-fuzz vm ## Runs every test, here and in virtual machines
	@tests/summary tests/everything

test-native: export GORAE_STAGES := $(CURDIR)/build/stages
test-native: begin check-style doc setup-images tools build test-binaries test-fuzz ## Runs every test outside the virtual machines
	@tests/summary tests/everything --native

# SUITE is PACKAGE/TEST, or several; WORDS are passed to the test binary. The whole workspace is named, because for one
# package cargo would choose other features and recompile all its dependencies.
suite: setup-images tools build test-binaries ## Runs one suite: SUITE=gorae-tests/exec WORDS=large_output
	RUST_TEST_THREADS=1 GORAE_TEST_ONLY='$(SUITE)' tests/run $(TEST) --lib --bins --tests -- $(WORDS)

begin:
	@mkdir -p build
	@: >build/stages

# The programs that the tests need besides the product come from the same build as the tests.
test-binaries: setup
	$(STAGE) 'compile the tests' $(CARGO) test --locked --workspace --no-run --lib --bins --examples --tests $(OTHER_TESTS)
	@mkdir -p build/bin
	@install -p -s -t build/bin $(TARGET)/debug/gorae-demo $(TARGET)/debug/gorae-test-images $(TARGET)/debug/gorae-test-plugin

# Runs every fuzz target on its seeds and on mutations of them.
test-fuzz: setup
	$(STAGE) 'compile and run the fuzz targets' $(CARGO) test --locked --manifest-path tests/fuzz/Cargo.toml --target-dir $(TARGET)/fuzz

fuzz: ## Fuzzes the parsers of untrusted bytes, each target for SECONDS (600)
	@tests/setup --fuzz
	@nice -n 10 tests/fuzz/run $(or $(SECONDS),600) $(TARGETS)

vm: setup
	@$(STAGE) 'set up the virtual machine' tests/setup --vm
	@$(STAGE) 'make the virtual machine' tests/vm/image

test-vm: setup-images tools build test-binaries vm ## Runs the tests that depend on cgroup v2 or systemd, in virtual machines that have both
	@tests/summary tests/vm/test $(SUITES)

conformance: setup-images tools build test-binaries ## Runs critest
	tests/run $(CARGO) test --locked --offline -p gorae-tests --test critest -- --nocapture

# WORDS are passed to the test binary: WORDS=nftables runs half of it.
cluster: setup-images tools build test-binaries ## Runs two nodes of one cluster with a real control plane
	@$(STAGE) 'compile a control plane' tests/tools/cluster/build.sh
	@RUST_TEST_THREADS=1 GORAE_TEST_LIMIT=1800 tests/summary tests/run $(CARGO) test --locked --offline --workspace --test cluster -- --nocapture $(WORDS)

# BASE=REVISION measures another revision alternately with this tree, ROUNDS (5) of each. Ratios above MAX (1.03) are marked.
bench: build ## Measures Gorae against the kernel's own floor, or with BASE=REVISION against another revision
	$(CARGO) build --locked --release -p gorae-bench -p gorae-bench-floor --bins
	@install -p -t build/bin $(TARGET)/release/gorae-bench $(TARGET)/release/gorae-floor
ifdef BASE
	@base=$$(tests/bench/base '$(BASE)') && tests/run build/bin/gorae-bench --base "$$base" --rounds $(or $(ROUNDS),5) --max $(or $(MAX),1.03)
else
	@tests/run build/bin/gorae-bench
endif

# Measures the release build of the shim. The machine should be otherwise idle.
speed: build ## Checks the performance limits of the shim, of unpacking and of traffic between pods
	$(CARGO) test --locked --no-run -p gorae-shim -p gorae-image-service -p gorae-network --test speed --test pod_speed --test pod_growth --test names_speed --test network
	@RUST_TEST_THREADS=1 GORAE_SHIM=$(CURDIR)/build/bin/gorae-shim tests/summary tests/run $(CARGO) test --locked --offline --no-fail-fast \
	    -p gorae-shim -p gorae-image-service -p gorae-network --test speed --test pod_speed --test pod_growth --test names_speed --test network -- --ignored --nocapture

soak: setup-images tools build test-binaries ## Runs the long load tests and writes the results to tests/soak.md
	@tests/soak $(LOADS)

check: check-style check-house doc test-binaries ## Checks style, runs unit tests, builds the documentation
	RUST_TEST_THREADS=1 tests/summary tests/run $(TEST) --lib --bins
	@if command -v cargo-deny >/dev/null; then cargo deny --locked check; \
	    else echo 'cargo-deny is not installed: licences and advisories were not checked'; fi

check-style: setup
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path tests/fuzz/Cargo.toml --check
	@$(CARGO) metadata --locked --format-version 1 --manifest-path tests/fuzz/Cargo.toml >/dev/null
	$(STAGE) 'lint' $(CARGO) clippy --locked --workspace --all-targets $(OTHER_TESTS) -- -D warnings

check-house: setup ## Checks for import cycles and unused dependencies
	$(CARGO) test --locked -p gorae-house

doc: setup
	RUSTDOCFLAGS='-D warnings' $(STAGE) 'build the documentation' $(CARGO) doc --locked --workspace --no-deps

clean: ## Removes everything that was built
	rm -rf build
	-git worktree prune
	$(CARGO) clean
