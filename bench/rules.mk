# SPDX-License-Identifier: Apache-2.0
# The programs that measure. Static, as mayfly-vmm is, so that all start alike; empty has not even
# a C library.

BENCH_PROGRAMS := $(addprefix $(B)/bench/,empty floor launch timeline init guest blk_floor net_peer vsock_peer bell_floor api seccomp snap_floor snap)
BENCH_FLAGS    := -std=c11 -D_GNU_SOURCE -O2 -fno-common -static -I. $(WARN)

.PHONY: bench-programs
bench-programs: $(BENCH_PROGRAMS)

$(B)/bench/empty $(B)/bench/init: BENCH_FLAGS += -nostdlib -fno-builtin -fno-stack-protector

$(B)/bench/%: bench/%.c bench/rules.mk
	@echo "  CC    $@"
	@mkdir -p $(@D)
	@$(CC) $(BENCH_FLAGS) -o $@ $< $(BENCH_LIBS)

$(B)/bench/blk_floor: BENCH_LIBS := -luring
# The very functions of the monitor.
$(B)/bench/seccomp: $(LIB)
$(B)/bench/seccomp: BENCH_LIBS := $(LIB)
$(B)/bench/floor $(B)/bench/bell_floor $(B)/bench/snap_floor: bench/floor_vm.h
$(B)/bench/snap: bench/snap_clones.c bench/snap.h
$(B)/bench/snap: BENCH_LIBS := bench/snap_clones.c
