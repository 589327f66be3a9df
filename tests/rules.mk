# SPDX-License-Identifier: Apache-2.0
# Unit tests: every tests/unit/test_<noun>.c is a program of its own, linked with the library and
# with what tests/unit/lib/ holds. Fuzz targets: every tests/fuzz/fuzz_<noun>.c, in the variant
# `fuzz` (clang's libFuzzer).

UNIT_LIB   := $(patsubst %.c,$(B)/o/%.o,$(wildcard tests/unit/lib/*.c))
# Where a fuzz target wants what the unit tests have.
FUZZ_LIB   := $(B)/o/tests/unit/lib/api.o $(B)/o/cli/snapshot_archive.o $(B)/o/cli/seccomp_json.o
UNIT_TESTS := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))
FUZZ_TESTS := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))

.PHONY: unit-tests fuzz-targets
unit-tests: $(UNIT_TESTS)
fuzz-targets: $(FUZZ_TESTS)

$(B)/unit/%: $(B)/o/tests/unit/%.o $(UNIT_LIB) $(LIB)
	@echo "  LD    $@"
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS) -pie -o $@ $(filter %.o,$^) $(LIB) $(UNIT_LDFLAGS) -lcmocka $(VMM_LIBS) $(UNIT_LIBS)

# What is the command's.
$(B)/unit/test_seccomp_json: $(B)/o/cli/seccomp_json.o
$(B)/unit/test_wipe: UNIT_LDFLAGS += -Wl,--wrap=free
$(B)/unit/test_seccomp_json $(B)/unit/test_seccomp_chain: UNIT_LIBS := -lseccomp

$(B)/fuzz/%: $(B)/o/tests/fuzz/%.o $(FUZZ_LIB) $(LIB)
	@echo "  LD    $@"
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS) -fsanitize=fuzzer -pie -o $@ $< $(FUZZ_LIB) $(LIB) $(VMM_LIBS) -l:libzstd.a -lseccomp
