# SPDX-License-Identifier: Apache-2.0
# The helper of the snapshot tests: a program of its own, without anything of the product.

SNAP_TOOL := $(B)/snapshot/tool

.PHONY: snapshot-tool
snapshot-tool: $(SNAP_TOOL)

$(SNAP_TOOL): tests/snapshot/tool.c tests/snapshot/rules.mk
	@echo "  CC    $@"
	@mkdir -p $(@D)
	@$(CC) -std=c11 -D_GNU_SOURCE -O2 -fno-common $(WARN) -pthread -o $@ $<
