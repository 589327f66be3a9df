# SPDX-License-Identifier: Apache-2.0
# For the jailer's tests: a program that tells what it sees in a jail, and the jailer itself with
# fault.c in front of every call that can fail.

JAILER_PROBE := $(B)/jailer/probe
JAILER_FAULT := $(B)/jailer/mayfly-jailer
JAILER_WRAP  := open openat open64 openat64 mkdirat mknodat unlinkat fchown fchmod fchownat fstat fstatat flock pwrite \
	write read copy_file_range setrlimit getrlimit unshare setns mount open_tree move_mount fchdir chdir chroot \
	umount2 sethostname syscall fork setsid dup2 pipe2 prctl setgroups setresuid setresgid getresuid \
	getresgid execve close_range capng_apply waitpid calloc

.PHONY: jailer-tests
jailer-tests: $(JAILER_PROBE) $(JAILER_FAULT)

$(JAILER_PROBE): tests/jailer/probe.c tests/jailer/rules.mk
	@echo "  CC    $@"
	@mkdir -p $(@D)
	@$(CC) -std=c11 -D_GNU_SOURCE -O2 -fno-common $(WARN) -static -o $@ $<

$(JAILER_FAULT): $(B)/o/jailer/main.o $(B)/o/tests/jailer/fault.o $(LIB) tests/jailer/rules.mk
	@echo "  LD    $@"
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS) $(STATIC) -o $@ $(B)/o/jailer/main.o $(B)/o/tests/jailer/fault.o $(LIB) \
		$(JAILER_WRAP:%=-Wl,--wrap=%) $(JAILER_LIBS)
