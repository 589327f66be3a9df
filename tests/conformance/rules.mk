# SPDX-License-Identifier: Apache-2.0
# The HTTP client of the conformance tests, and a launcher: programs of their own, without anything of the product.

CONF_CLIENT := $(B)/conformance/client
CONF_FLAGS  := -std=c11 -D_GNU_SOURCE -O2 -fno-common $(WARN) -I.

.PHONY: conformance-client
conformance-client: $(CONF_CLIENT) $(B)/conformance/launcher

$(B)/conformance/launcher: tests/conformance/launcher.c
	@echo "  CC    $@"
	@mkdir -p $(@D)
	@$(CC) -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -o $@ $<

$(CONF_CLIENT): $(filter-out %/launcher.c,$(wildcard tests/conformance/*.c)) tests/conformance/client.h tests/conformance/rules.mk
	@echo "  CC    $@"
	@mkdir -p $(@D)
	@$(CC) $(CONF_FLAGS) -o $@ $(filter %.c,$^)
