# SPDX-License-Identifier: Apache-2.0
# mayfly's one Makefile. `make help` lists the targets. Sources are found by wildcard: adding a
# file needs no change here. Folders with rules of their own bring a rules.mk.

VARIANT ?= release
B       ?= build$(if $(filter-out release,$(VARIANT)),/$(VARIANT))
PREFIX  ?= /usr/local
DESTDIR ?=
VERSION := 0.1.0

CC_release := gcc
CC_clang   := clang
CC_asan    := gcc
CC_tsan    := gcc
CC_fuzz    := clang
ifeq ($(origin CC),default)
CC := $(CC_$(VARIANT))
endif

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wvla -Wundef -Wformat=2 \
	-Wcast-qual -Wimplicit-fallthrough -Wstrict-prototypes -Wmissing-prototypes \
	-Wnull-dereference -Werror
# ISO C has no `({})`, no designated array ranges and no zero-length arrays; KVM's own headers do.
WARN += -Wno-pedantic

CFLAGS_release := -O2 -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fcf-protection
CFLAGS_clang   := $(CFLAGS_release) -Wnoderef
CFLAGS_asan    := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
# -Wno-tsan: queue.c orders rings shared with a guest by fences, which the checker cannot model.
CFLAGS_tsan    := -O1 -fsanitize=thread -fno-omit-frame-pointer -Wno-tsan
CFLAGS_fuzz    := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer

CFLAGS  := -std=c11 -D_GNU_SOURCE -g -fno-common -fPIE -pthread $(WARN) $(CFLAGS_$(VARIANT)) \
	-DMAYFLY_VERSION='"$(VERSION)"' -I. -I$(B) $(EXTRA_CFLAGS)
LDFLAGS := -pthread $(filter -fsanitize=%,$(CFLAGS_$(VARIANT)))
# Sanitizers need a dynamic program; everything that is installed is a static one.
STATIC  := $(if $(findstring -fsanitize,$(CFLAGS_$(VARIANT))),-pie,-static-pie -Wl,-z,relro,-z,now)

# wildcard, not a list: see the folder READMEs for what lives where
LIB_SRCS := $(wildcard vmm/*/*.c virtio/*.c snapshot/*.c api/*.c api/*/*.c) \
	$(filter-out seccomp/gen.c,$(wildcard seccomp/*.c)) $(filter-out jailer/main.c,$(wildcard jailer/*.c))
# What the command shares with the monitor, such as the reader of state files, comes out of the library.
CLI_SRCS := $(wildcard cli/*.c)
LIB_OBJS := $(LIB_SRCS:%.c=$(B)/o/%.o)
CLI_OBJS := $(CLI_SRCS:%.c=$(B)/o/%.o)
VMM_OBJS := $(B)/o/vmm/main.o $(B)/o/vmm/options.o
LIB      := $(B)/libmayfly.a
VMM_LIBS := -ljansson -l:liburing.a -l:libhttp_parser.a -l:liblzma.a
SEED_INPUTS := $(wildcard vmm/*.[ch] vmm/*/*.[ch] virtio/*.[ch] snapshot/*.[ch] api/*.[ch] api/*/*.[ch] seccomp/*.[ch])

.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: all
all: $(B)/mayfly-vmm $(B)/mayfly $(B)/mayfly-jailer ## Build mayfly-vmm, mayfly and mayfly-jailer into build/

$(B)/mayfly-vmm: $(VMM_OBJS) $(LIB)
	@echo "  LD    $@"
	@$(CC) $(LDFLAGS) $(STATIC) -o $@ $(VMM_OBJS) $(LIB) $(VMM_LIBS)

# libcap-ng's capng_change_id wants glibc's user database, which cannot be linked statically; nobody
# calls it, so what it would call is made to end the program.
JAILER_LIBS := -l:libcap-ng.a $(foreach f,getpwuid initgroups,-Wl,--wrap=$(f),--defsym=__wrap_$(f)=abort)

$(B)/mayfly-jailer: $(B)/o/jailer/main.o $(LIB)
	@echo "  LD    $@"
	@$(CC) $(LDFLAGS) $(STATIC) -o $@ $(B)/o/jailer/main.o $(LIB) $(JAILER_LIBS)

$(B)/mayfly: $(CLI_OBJS) $(LIB)
	@echo "  LD    $@"
	@$(CC) $(LDFLAGS) $(STATIC) -o $@ $(CLI_OBJS) $(LIB) $(VMM_LIBS) -l:libzstd.a -l:libseccomp.a

$(LIB): $(LIB_OBJS)
	@echo "  AR    $@"
	@rm -f $@ && ar rcs $@ $(LIB_OBJS)

$(B)/o/%.o: %.c Makefile
	@echo "  CC    $<"
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

-include $(wildcard vmm/rules.mk tools/man/rules.mk seccomp/rules.mk tests/*/rules.mk tests/rules.mk guest/rules.mk bench/rules.mk)
-include $(shell [ -d $(B)/o ] && find $(B)/o -name '*.d')

.PHONY: install
install: all ## Install programs, man pages and completion under DESTDIR/PREFIX
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(B)/mayfly-vmm $(B)/mayfly $(B)/mayfly-jailer $(DESTDIR)$(PREFIX)/bin/
	install -d $(DESTDIR)$(PREFIX)/share/man/man1 \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions \
		$(DESTDIR)$(PREFIX)/share/zsh/site-functions
	install -m 644 $(B)/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	install -m 644 $(B)/completion/mayfly.bash \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/mayfly
	ln -sf mayfly $(DESTDIR)$(PREFIX)/share/bash-completion/completions/mayfly-vmm
	ln -sf mayfly $(DESTDIR)$(PREFIX)/share/bash-completion/completions/mayfly-jailer
	install -m 644 $(B)/completion/_mayfly $(DESTDIR)$(PREFIX)/share/zsh/site-functions/

.PHONY: demo
demo: ## Set up, boot Debian's kernel in mayfly, check what the guest saw
	@tools/demo

.PHONY: check
check: ## Set up, run every test; the last line is the count
	@tests/run

.PHONY: check-lint check-unit check-kvm check-snapshot check-jailer check-linux check-fuzz check-asan check-cli check-conformance check-seccomp check-sec
check-lint: ## Formatting, layering, clang-tidy, cppcheck, shellcheck
check-unit: ## Unit tests (gcc and clang builds)
check-kvm: ## Payload guests on /dev/kvm
check-snapshot: ## Snapshots of payload guests on /dev/kvm
check-jailer: ## The jailer, as root; cgroup v2 in the testbed
check-linux: ## Linux guests, natively or in the nested testbed
check-fuzz: ## Replay of the fuzz corpora under sanitizers
check-asan: ## Unit tests and payload guests with ASan and UBSan, and with TSan
check-cli: ## The mayfly command
check-conformance: ## The API, against a real monitor
check-seccomp: ## Every system-call rule is needed
check-sec: ## Attacks on a jailed monitor and its surroundings, as root
check-lint check-unit check-kvm check-snapshot check-jailer check-linux check-fuzz check-asan check-cli check-conformance check-seccomp check-sec:
	@tests/run --layer $(@:check-%=%)

.PHONY: attacks-table
attacks-table: ## Run check-sec, and make docs/attacks.md of its attacks
	@tests/run --layer sec || echo "attacks-table: what failed, but for the page itself, must be mended first" >&2
	@tests/sec/table build/sec/rows.native build/sec/rows.v2 >docs/attacks.md

.PHONY: bench
bench: ## Measure against the raw-KVM floor and peers; table, JSON and SVG in build/bench/
	@bench/run

.PHONY: kernel
kernel: ## Build our own guest kernel (cached outside the tree)
	@tools/deps kernel
	@guest/kernel/build

.PHONY: format
format: ## Reformat all C files
	@git ls-files -co --exclude-standard '*.c' '*.h' | xargs clang-format -i

.PHONY: clean
clean: ## Remove build/
	rm -rf build

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' Makefile
	@echo "  One test by name:  tests/run -k NAME [--layer LAYER]"
	@echo "  Variables: VARIANT=release|clang|asan|tsan|fuzz  PREFIX=  DESTDIR="
