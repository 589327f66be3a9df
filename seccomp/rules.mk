# SPDX-License-Identifier: Apache-2.0
# The filters: rules from the sources (collect) -> a C fragment -> libseccomp (gen, a tool of the
# build machine, never sanitized) -> seccomp_filters.h, which install.c includes. A step whose
# output did not change leaves its file alone, so an edit elsewhere recompiles nothing here.

SECCOMP_RULES := seccomp/libc.rules
# The sanitizers' own runtime calls more than libc does; released programs never see these rules.
SECCOMP_RULES += $(if $(findstring -fsanitize,$(CFLAGS_$(VARIANT))),seccomp/sanitizer.rules)
SECCOMP_INPUTS := $(SEED_INPUTS) $(SECCOMP_RULES)
SECCOMP_HOSTCC ?= gcc

$(B)/seccomp/rules.inc: $(SECCOMP_INPUTS) seccomp/collect seccomp/rules.mk
	@mkdir -p $(@D)
	@seccomp/collect $(SECCOMP_INPUTS) >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$(B)/seccomp/gen: seccomp/gen.c seccomp/chain.c seccomp/chain.h seccomp/role.c seccomp/seccomp.h $(B)/seccomp/rules.inc
	@echo "  HOSTCC $@"
	@$(SECCOMP_HOSTCC) -std=c11 -D_GNU_SOURCE -O1 -g $(WARN) -I. -I$(B)/seccomp -o $@ \
		seccomp/gen.c seccomp/chain.c seccomp/role.c -lseccomp

$(B)/seccomp_filters.h: $(B)/seccomp/gen
	@$(B)/seccomp/gen header >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$(B)/o/seccomp/install.o $(B)/o/tests/unit/test_seccomp.o $(B)/o/tests/unit/test_seccomp_json.o: $(B)/seccomp_filters.h
