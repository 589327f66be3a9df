# SPDX-License-Identifier: Apache-2.0
# Programs that run inside guests: static, and never sanitized.

GUEST_CC    ?= gcc
GUEST_FLAGS := -std=c11 -D_GNU_SOURCE -O2 -static $(WARN)

.PHONY: guest-tools
guest-tools: $(B)/guest/vsock-tool

$(B)/guest/%: guest/%.c
	@echo "  CC    $@"
	@mkdir -p $(@D)
	@$(GUEST_CC) $(GUEST_FLAGS) -o $@ $<
