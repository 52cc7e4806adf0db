# make demo    build, then fetch mail from a throw-away POP3S mailbox into ./demo/Maildir
# make check   everything that CI checks, against real servers
#
# Both install the system packages they need, by apt, when some are missing.

# With an empty HOME, cargo and rustup are still where the account has them.
ACCOUNT := $(shell getent passwd "$$(id -u)" 2>/dev/null | cut -d: -f6)
ifeq ($(wildcard $(HOME)/.rustup),)
ifneq ($(wildcard $(ACCOUNT)/.rustup),)
export RUSTUP_HOME ?= $(ACCOUNT)/.rustup
export CARGO_HOME ?= $(ACCOUNT)/.cargo
endif
endif
CARGO ?= $(shell command -v cargo || echo "$(ACCOUNT)/.cargo/bin/cargo")
MAN = $(wildcard man/*.[1-9])

.PHONY: all build demo check test fmt lint doc sample man-lint bench clean install-demo install-check

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

install-demo:
	@tests/servers/install demo

install-check:
	@tests/servers/install check

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
	$(if $(MAN),mandoc -T lint -W warning $(MAN),@echo "no manual pages yet")

bench:
	$(CARGO) bench --locked

clean:
	$(CARGO) clean
	rm -rf demo
