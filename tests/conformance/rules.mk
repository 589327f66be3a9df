# SPDX-License-Identifier: Apache-2.0
# The HTTP client of the conformance tests: a program of its own, without anything of the product.

CONF_CLIENT := $(B)/conformance/client
CONF_FLAGS  := -std=c11 -D_GNU_SOURCE -O2 -fno-common $(WARN) -I.

.PHONY: conformance-client
conformance-client: $(CONF_CLIENT)

$(CONF_CLIENT): $(wildcard tests/conformance/*.c) tests/conformance/client.h tests/conformance/rules.mk
	@echo "  CC    $@"
	@mkdir -p $(@D)
	@$(CC) $(CONF_FLAGS) -o $@ $(filter %.c,$^)
