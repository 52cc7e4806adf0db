# make demo    build, then fetch mail from a throw-away POP3S mailbox into ./demo/Maildir
# make check   everything that CI checks, against real servers
# make torture every kill, failing call, cut connection, full disk and loss of power: 40 minutes; writes docs/torture.md
# make fuzz    libFuzzer on every property of fuzz/, FUZZ_SECONDS=60 each
# make soak    the service under trouble, with figures over time: half an hour; POSTRIDER_SOAK=1m tries it
# make hostile every case of the hostile servers: a minute; writes target/hostile.md
# make bench   beside other fetchers against Dovecot, most of an hour; writes docs/bench.txt and docs/bench.svg
# make bench-micro   the parts alone: a minute
# make check-fresh   `make demo` and the services on fresh machines: clean roots of Debian, as root
# make deb     a Debian package in target/debian
#
# These need a Rust toolchain; the first three install the system packages they need, by apt, when some
# are missing.
#
# make install    what `make` has built, with manual, units, sample and completions, below PREFIX
# make uninstall  takes that away again
#
# These two build nothing and touch nothing in /etc.

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
MAN = $(wildcard man/*.[1-8])

# Where things go.  DESTDIR stands before each of them for a package.
PREFIX = /usr/local
BINDIR = $(PREFIX)/bin
LIBDIR = $(PREFIX)/lib
DATADIR = $(PREFIX)/share
MANDIR = $(DATADIR)/man
DOCDIR = $(DATADIR)/doc/postrider
BASHDIR = $(DATADIR)/bash-completion/completions
ZSHDIR = $(DATADIR)/zsh/site-functions
FISHDIR = $(DATADIR)/fish/vendor_completions.d
TARGET = $(or $(CARGO_TARGET_DIR),target)
BINARY = $(TARGET)/release/postrider
INSTALL = install

.PHONY: all build demo check test torture soak hostile fuzz fuzz-merge fmt lint doc sample man-lint bench bench-micro clean install uninstall deb check-deb check-fresh install-demo install-check toolchain

all: build

build: toolchain
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
	$(MAKE) check-deb
	@echo "check: all passed"

install-demo: toolchain
	@tests/servers/install demo

install-check: toolchain
	@tests/servers/install check

toolchain:
	@tests/toolchain $(CARGO)

fmt:
	$(CARGO) fmt --check

# The fuzzer's own lock file follows the dependencies too.
lint:
	$(CARGO) clippy --all-targets --locked -- -D warnings
	$(CARGO) metadata --manifest-path fuzz/Cargo.toml --format-version 1 --locked >/dev/null
	$(CARGO) test --locked --test licences
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny --locked check licenses; \
	else echo "cargo-deny is not installed: tests/licences.rs has to do"; fi

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --document-private-items --locked

test:
	$(CARGO) test --locked

# As root, for the disks, and not in a container that forbids strace.  Several faults side by side: most
# of the time each of them waits for a disk.
torture: install-check
	POSTRIDER_TORTURE=long $(CARGO) test --locked --test torture -- --nocapture --test-threads=4
	POSTRIDER_TORTURE=long $(CARGO) test --locked --test power_loss -- --nocapture

# The service as it is shipped.  As root it runs as another user, whose threads can be limited.
soak: toolchain
	$(CARGO) test --release --locked --test soak

# fuzz/README.md tells more.  `make check` has every property hold for the corpus (tests/fuzz_corpus.rs).
fuzz: toolchain
	@CARGO="$(CARGO)" fuzz/run $(FUZZ)

# Takes what the fuzzer has found on the way into the corpus.
fuzz-merge: toolchain
	@CARGO="$(CARGO)" fuzz/run --merge $(FUZZ)

hostile: install-check
	POSTRIDER_HOSTILE=table $(CARGO) test --locked --test hostile -- --nocapture

# The sample configuration must be one that postrider accepts.
sample:
	$(CARGO) build --locked
	tests/sample config/postrider.toml

man-lint:
	mandoc -T lint -W warning $(MAN)

# Nothing is built here: root needs no toolchain.
install:
	@test -x "$(BINARY)" || { echo "There is no $(BINARY) yet: run make first" >&2; exit 66; }
	$(INSTALL) -D -m 755 "$(BINARY)" "$(DESTDIR)$(BINDIR)/postrider"
	for page in $(MAN); do \
	    $(INSTALL) -D -m 644 "$$page" "$(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/}" || exit; \
	done
	for unit in system/postrider.service=systemd/postrider.service user/postrider.service=systemd/user/postrider.service; do \
	    $(INSTALL) -D -m 644 "$${unit#*=}" "$(DESTDIR)$(LIBDIR)/systemd/$${unit%%=*}" && \
	    sed -i 's|^\(Exec[A-Za-z]*\)=/usr/bin/|\1=$(BINDIR)/|' "$(DESTDIR)$(LIBDIR)/systemd/$${unit%%=*}" || exit; \
	done
	$(INSTALL) -D -m 644 packaging/sysusers.conf "$(DESTDIR)$(LIBDIR)/sysusers.d/postrider.conf"
	$(INSTALL) -D -m 644 packaging/tmpfiles.conf "$(DESTDIR)$(LIBDIR)/tmpfiles.d/postrider.conf"
	$(INSTALL) -D -m 644 config/postrider.toml "$(DESTDIR)$(DOCDIR)/examples/config.toml"
	$(INSTALL) -D -m 644 systemd/postrider.service.d/maildir.conf.example \
	    "$(DESTDIR)$(DOCDIR)/examples/postrider.service.d/maildir.conf"
	$(INSTALL) -d "$(DESTDIR)$(BASHDIR)" "$(DESTDIR)$(ZSHDIR)" "$(DESTDIR)$(FISHDIR)"
	"$(BINARY)" completions bash >"$(DESTDIR)$(BASHDIR)/postrider"
	"$(BINARY)" completions zsh >"$(DESTDIR)$(ZSHDIR)/_postrider"
	"$(BINARY)" completions fish >"$(DESTDIR)$(FISHDIR)/postrider.fish"
	chmod 644 "$(DESTDIR)$(BASHDIR)/postrider" "$(DESTDIR)$(ZSHDIR)/_postrider" "$(DESTDIR)$(FISHDIR)/postrider.fish"
ifeq ($(DESTDIR),)
	@echo "For the system's service: systemd-sysusers && systemd-tmpfiles --create && systemctl daemon-reload,"
	@echo "then write /etc/postrider/config.toml and systemctl enable --now postrider."
endif

# Configuration, state and the service's user stay.
uninstall:
	rm -f "$(DESTDIR)$(BINDIR)/postrider" \
	    $(foreach page,$(MAN),"$(DESTDIR)$(MANDIR)/man$(patsubst .%,%,$(suffix $(page)))/$(notdir $(page))") \
	    "$(DESTDIR)$(LIBDIR)/systemd/system/postrider.service" \
	    "$(DESTDIR)$(LIBDIR)/systemd/user/postrider.service" \
	    "$(DESTDIR)$(LIBDIR)/sysusers.d/postrider.conf" \
	    "$(DESTDIR)$(LIBDIR)/tmpfiles.d/postrider.conf" \
	    "$(DESTDIR)$(BASHDIR)/postrider" \
	    "$(DESTDIR)$(ZSHDIR)/_postrider" \
	    "$(DESTDIR)$(FISHDIR)/postrider.fish" \
	    "$(DESTDIR)$(DOCDIR)/examples/config.toml" \
	    "$(DESTDIR)$(DOCDIR)/examples/postrider.service.d/maildir.conf"
	-rmdir "$(DESTDIR)$(DOCDIR)/examples/postrider.service.d" "$(DESTDIR)$(DOCDIR)/examples" "$(DESTDIR)$(DOCDIR)"

deb: build
	packaging/deb/build "$(BINARY)" "$(TARGET)/debian"

# Of the quick build: what is tested is the package, not the program.
check-deb:
	$(CARGO) build --locked
	tests/install/deb "$(TARGET)/debug/postrider"

# As somebody has it who starts today; CONTRIBUTING.md tells what else can be tried so.
check-fresh: toolchain
	$(CARGO) build --locked
	CARGO="$(CARGO)" tests/fresh/run demo
	CARGO="$(CARGO)" BINARY="$(TARGET)/debug/postrider" tests/fresh/run service

# Beside whichever of mpop, fetchmail, getmail and fdm are installed.  CONTRIBUTING.md names the variables
# that choose; only a run of everything writes into docs.
bench: install-demo build
	POSTRIDER="$(abspath $(BINARY))" $(CARGO) bench --locked --bench peers

bench-micro:
	$(CARGO) bench --locked

clean:
	$(CARGO) clean
	rm -rf demo
