# SPDX-License-Identifier: Apache-2.0
# Payload guests: every tests/payload/<name>.c becomes <name>.elf, which has a PVH note, and
# <name>.linux64.elf, the same code without it, which only the 64-bit Linux protocol can enter.
# A <name>.S stands alone, without the runtime.

P_DIR    := tests/payload
P_OUT    := $(B)/payload
P_CC     ?= $(CC)
P_FLAGS  := -std=c11 -O2 -g0 -ffreestanding -fno-pic -fno-pie -fno-stack-protector -mno-red-zone \
	-mgeneral-regs-only -fcf-protection=none -fno-asynchronous-unwind-tables -fno-builtin \
	-fno-strict-aliasing -fno-delete-null-pointer-checks -Wall -Wextra -Wshadow -Wconversion \
	-Wstrict-prototypes -Wmissing-prototypes -Wundef -Wvla -Werror -I$(P_DIR) -MMD -MP
P_LINK   := -nostdlib -static -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,norelro \
	-Wl,--no-warn-rwx-segments -T $(P_DIR)/rt/payload.ld

P_RT     := $(patsubst $(P_DIR)/rt/%.c,$(P_OUT)/rt/%.o,$(wildcard $(P_DIR)/rt/*.c))
P_NAMES  := $(basename $(notdir $(wildcard $(P_DIR)/*.c) $(wildcard $(P_DIR)/*.S)))
P_ELFS   := $(foreach n,$(P_NAMES),$(P_OUT)/$(n).elf $(P_OUT)/$(n).linux64.elf)

.PHONY: payloads
payloads: $(P_ELFS) $(P_OUT)/pattern $(P_OUT)/vsock-tool $(P_OUT)/net_peer $(P_OUT)/vsock_peer

$(P_OUT)/rt/%.o: $(P_DIR)/rt/%.c
	@mkdir -p $(@D)
	$(P_CC) $(P_FLAGS) -c -o $@ $<

$(P_OUT)/%.o: $(P_DIR)/%.c
	@mkdir -p $(@D)
	$(P_CC) $(P_FLAGS) -c -o $@ $<

# A program of the host, for the test runner.
$(P_OUT)/pattern: $(P_DIR)/host/pattern.c
	@mkdir -p $(@D)
	$(P_CC) -std=c11 -O2 -Wall -Wextra -Werror -o $@ $<

# The host's ends of the loads that bench/ measures.
$(P_OUT)/%_peer: bench/%_peer.c
	@mkdir -p $(@D)
	$(P_CC) -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -o $@ $<

$(P_OUT)/vsock-tool: guest/vsock-tool.c
	@mkdir -p $(@D)
	$(P_CC) -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -o $@ $<

# Assembly comes twice: with the PVH note and without.
$(P_OUT)/rt/entry.pvh.o: $(P_DIR)/rt/entry.S
	@mkdir -p $(@D)
	$(P_CC) -DPAYLOAD_PVH_NOTE -MMD -MP -c -o $@ $<

$(P_OUT)/rt/entry.linux64.o: $(P_DIR)/rt/entry.S
	@mkdir -p $(@D)
	$(P_CC) -MMD -MP -c -o $@ $<

$(P_OUT)/%.pvh.o: $(P_DIR)/%.S
	@mkdir -p $(@D)
	$(P_CC) -DPAYLOAD_PVH_NOTE -MMD -MP -c -o $@ $<

$(P_OUT)/%.linux64.o: $(P_DIR)/%.S
	@mkdir -p $(@D)
	$(P_CC) -MMD -MP -c -o $@ $<

$(P_OUT)/%.elf: $(P_OUT)/%.pvh.o $(P_DIR)/rt/payload.ld
	$(P_CC) $(P_LINK) -o $@ $<

$(P_OUT)/%.linux64.elf: $(P_OUT)/%.linux64.o $(P_DIR)/rt/payload.ld
	$(P_CC) $(P_LINK) -o $@ $<

$(P_OUT)/%.linux64.elf: $(P_OUT)/%.o $(P_OUT)/rt/entry.linux64.o $(P_RT) $(P_DIR)/rt/payload.ld
	$(P_CC) $(P_LINK) -o $@ $(filter %.o,$^)

$(P_OUT)/%.elf: $(P_OUT)/%.o $(P_OUT)/rt/entry.pvh.o $(P_RT) $(P_DIR)/rt/payload.ld
	$(P_CC) $(P_LINK) -o $@ $(filter %.o,$^)

.SECONDARY:
-include $(wildcard $(P_OUT)/*.d $(P_OUT)/rt/*.d)
