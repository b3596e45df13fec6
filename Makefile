# Thin: what has logic is `cargo xtask`. On a fresh Debian machine with Rust, git and root, `make up` and `make test` do everything.

CACHE ?= $(if $(SLIPWAY_CACHE),$(SLIPWAY_CACHE),/var/cache/slipway)
export SLIPWAY_CACHE := $(CACHE)
INSIDE := --release --target x86_64-unknown-linux-gnu --target-dir target-static

.PHONY: up down test soak check build inside tools bench bench-dynos compatibility fresh v2 deb clean

up: build               ## install what is missing, build, start in the background, push a first app
	cargo xtask up

down:                   ## stop the platform and its apps
	target/release/slipway down

# Tests are compiled for debugging, in half the time and with checked arithmetic; the product they try is the one people get.
test: check build       ## everything CI runs; needs root
	cargo test --workspace --exclude e2e
	cargo xtask on-postgres
	SLIPWAY_PROGRAM=$(CURDIR)/target/release/slipway cargo test --package e2e
	xtask/first-steps
	xtask/deb

soak: build             ## the crash tests with larger numbers: SLIPWAY_SOAK times as much (an hour and more)
	SLIPWAY_PROGRAM=$(CURDIR)/target/release/slipway SLIPWAY_SOAK=$(or $(SLIPWAY_SOAK),20) cargo test --package e2e --test crashes

check: tools            ## the quick part: format, lints, arrows, licences
	cargo fmt --check
	cargo clippy --release --workspace --all-targets -- --deny warnings
	cargo xtask arrows
	cargo xtask licences

build: tools inside     ## the product: target/release/slipway with its siblings
	cargo build --release --package slipway
	cd target-static/x86_64-unknown-linux-gnu/release && install -C -m 755 slipway-shim slipway-init $(CURDIR)/target/release/
	cd target-static/x86_64-unknown-linux-gnu/release && install -C -m 755 buildpacks $(CURDIR)/target/release/slipway-buildpacks
	cd target-static/x86_64-unknown-linux-gnu/release && install -C -m 755 static-server $(CURDIR)/target/release/slipway-static

inside: tools           ## programs that run inside any stack's libc are linked statically, in a call of their own
	RUSTFLAGS='-C target-feature=+crt-static -C strip=symbols' cargo build $(INSIDE) --package shim --package init --package buildpacks --package static-server

tools:                  ## Debian packages that building, running and testing need
	@./xtask/install-tools

bench: build            ## how long a push takes, and where the time goes; how fast the API is, and what an idle platform takes
	cargo build --release --package bench
	target/release/push-live
	target/release/api-speed

bench-dynos: build      ## how fast a dyno starts and what it costs, beside crun, runc, podman and docker, which it installs
	RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends crun runc podman docker.io
	cargo build --release --package bench
	target/release/dynos

compatibility: build    ## writes docs/compatibility/{cli,api}.md from a run of all scenarios
	SLIPWAY_PROGRAM=$(CURDIR)/target/release/slipway cargo test --package e2e --test product -- --write-compatibility

fresh: tools            ## proves that a bare Debian with Rust needs nothing else than `make up`; see xtask/fresh
	xtask/fresh

v2: build               ## proves the engine on cgroup v2, systemd, the package and a reboot, in a virtual machine; see xtask/cgroup-v2
	xtask/cgroup-v2

deb: build              ## the Debian package, in target/debian; see xtask/deb
	xtask/deb

clean:
	cargo clean
	rm -rf target-static
