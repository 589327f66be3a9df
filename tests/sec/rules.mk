# SPDX-License-Identifier: Apache-2.0
# For the attacks: a monitor that misbehaves (inside.h), and what it attacks.

SEC_INSIDE := $(B)/sec/mayfly-vmm
SEC_TOOLS  := $(addprefix $(B)/sec/,victim swap hold)
SEC_INSIDE_OBJS := $(patsubst %.c,$(B)/o/%.o,$(wildcard tests/sec/inside*.c))

.PHONY: sec-tests
sec-tests: $(SEC_INSIDE) $(SEC_TOOLS)

$(SEC_INSIDE): $(VMM_OBJS) $(SEC_INSIDE_OBJS) $(LIB) tests/sec/rules.mk
	@echo "  LD    $@"
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS) $(STATIC) -o $@ $(VMM_OBJS) $(SEC_INSIDE_OBJS) $(LIB) -Wl,--wrap=seccomp_install $(VMM_LIBS)

$(SEC_TOOLS): $(B)/sec/%: tests/sec/%.c tests/sec/rules.mk
	@echo "  CC    $@"
	@mkdir -p $(@D)
	@$(CC) -std=c11 -D_GNU_SOURCE -O2 -fno-common $(WARN) -static -o $@ $<
