# make demo    build, then fetch mail from a throw-away POP3S mailbox into ./demo/Maildir
# make check   everything that CI checks, against real servers
#
# Both need a Rust toolchain and install the system packages they need, by apt, when some are missing.

# With an empty HOME and nothing in the environment, cargo and rustup are still where the account
# has them, or beside each other as in the Rust container images.
ACCOUNT := $(shell getent passwd "$$(id -u)" 2>/dev/null | cut -d: -f6)
CARGO ?= $(or $(shell command -v cargo),$(ACCOUNT)/.cargo/bin/cargo)
TOOLS := $(patsubst %/cargo/bin/cargo,%,$(CARGO))
ifeq ($(wildcard $(HOME)/.rustup),)
ifneq ($(wildcard $(ACCOUNT)/.rustup),)
export RUSTUP_HOME ?= $(ACCOUNT)/.rustup
export CARGO_HOME ?= $(ACCOUNT)/.cargo
else ifneq ($(wildcard $(TOOLS)/rustup/settings.toml),)
export RUSTUP_HOME ?= $(TOOLS)/rustup
export CARGO_HOME ?= $(TOOLS)/cargo
endif
endif
MAN = man/postrider.1 man/postrider.toml.5

.PHONY: all build demo check test fmt lint doc sample man-lint bench clean install-demo install-check toolchain

all: build

build:
	$(CARGO) build --release --locked

demo: install-demo build
	tests/demo

# One after the other, whatever -j says: the steps share one target directory.
check:
	$(MAKE) install-check
	$(MAKE) fmt
	$(MAKE) lint
	$(MAKE) doc
	$(MAKE) man-lint
	$(MAKE) sample
	$(MAKE) test
	@echo "check: all passed"

install-demo: toolchain
	@tests/servers/install demo

install-check: toolchain
	@tests/servers/install check

toolchain:
	@command -v $(CARGO) >/dev/null || { echo "Rust is not installed: https://rustup.rs says how" >&2; exit 69; }

fmt:
	$(CARGO) fmt --check

lint:
	$(CARGO) clippy --all-targets --locked -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --document-private-items --locked

test:
	$(CARGO) test --locked

# The sample configuration must be one that postrider accepts.
sample:
	$(CARGO) build --locked
	tests/sample config/postrider.toml

man-lint:
	mandoc -T lint -W warning $(MAN)

bench:
	$(CARGO) bench --locked

clean:
	$(CARGO) clean
	rm -rf demo
