# SPDX-License-Identifier: Apache-2.0
# Link flags of the unit tests: lib/fail.c stands in front of these calls, so that a test can make
# the Nth one fail. Every unit test is linked with all objects of lib/.
UNIT_WRAP    := mmap madvise memfd_create ftruncate eventfd preadv pwritev pread pwrite fdatasync fallocate getrandom \
	calloc posix_memalign
UNIT_LDFLAGS := $(foreach f,$(UNIT_WRAP),-Wl,--wrap=$(f))
