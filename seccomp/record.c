/* SPDX-License-Identifier: Apache-2.0 */
/* The file of used rules. See record.h. */
#include "seccomp/record.h"

#include "vmm/base/check.h"
#include "vmm/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORD_MAGIC "MAYFLYSR"

/* FNV-1a over what the rules say, not over where they stand. */
static uint64_t record_checksum(void)
{
	size_t count;
	const struct seccomp_rule *rules = seccomp_rules_get(&count);
	uint64_t sum = 0xcbf29ce484222325;

	CHECK(count <= SECCOMP_RECORD_RULES);
	for (size_t i = 0; i < count; i++) {
		sum = (sum ^ (uint64_t)rules[i].role) * 0x100000001b3;
		for (const char *p = rules[i].item; *p; p++)
			sum = (sum ^ (unsigned char)*p) * 0x100000001b3;
	}
	return sum;
}

static int record_fill(int fd, const char *path, struct err *e)
{
	struct seccomp_record head = {.magic = RECORD_MAGIC, .checksum = record_checksum()};
	const size_t len = offsetof(struct seccomp_record, used);

	if (ftruncate(fd, sizeof(head)) < 0 || pwrite(fd, &head, len, 0) != (ssize_t)len)
		return err_set_os(e, errno ? -errno : -EIO, "cannot write %s", path);
	return 0;
}

int seccomp_record_open(struct seccomp_record **ret, const char *path, bool may_make, struct err *e)
{
	CLEANUP_FD
	int fd = open(path, (may_make ? O_RDWR | O_CREAT : O_RDONLY) | O_NOCTTY | O_CLOEXEC, 0644);
	int prot = may_make ? PROT_READ | PROT_WRITE : PROT_READ;
	struct seccomp_record *r;
	struct stat st;
	int rc;

	/* Whoever comes next finds the file filled. */
	if (fd < 0 || (may_make && flock(fd, LOCK_EX) < 0) || fstat(fd, &st) < 0)
		return err_set_os(e, -errno, "cannot open %s", path);
	if (may_make && S_ISREG(st.st_mode) && st.st_size == 0) {
		if ((rc = record_fill(fd, path, e)) < 0)
			return rc;
	} else if (!S_ISREG(st.st_mode) || st.st_size != sizeof(*r)) {
		return err_set(e, -EINVAL, "%s is no record of this build; remove it", path);
	}
	/* By hand: the mapping keeps the file open, and so the lock. */
	(void)flock(fd, LOCK_UN);
	r = mmap(NULL, sizeof(*r), prot, MAP_SHARED, fd, 0);
	if (r == MAP_FAILED)
		return err_set_os(e, -errno, "cannot map %s", path);
	if (memcmp(r->magic, RECORD_MAGIC, sizeof(r->magic)) == 0 &&
		r->checksum == record_checksum()) {
		*ret = r;
		return 0;
	}
	(void)munmap(r, sizeof(*r));
	return err_set(e, -EINVAL, "%s is no record of this build's rules; remove it", path);
}

static bool record_fits(const struct seccomp_rule *r, const uint64_t args[6])
{
	for (unsigned t = 0; t < r->term_count; t++)
		if ((args[r->terms[t].index] & r->terms[t].mask) != r->terms[t].value)
			return false;
	return true;
}

bool seccomp_record_call(
	struct seccomp_record *r, enum seccomp_role role, int nr, const uint64_t args[6])
{
	size_t count;
	const struct seccomp_rule *rules = seccomp_rules_get(&count);
	bool declared = false;

	for (size_t i = 0; i < count; i++) {
		if (rules[i].nr != nr || rules[i].role != role || !record_fits(&rules[i], args))
			continue;
		declared = true;
		/* Looked at first: threads share the line. */
		if (!__atomic_load_n(&r->used[i], __ATOMIC_RELAXED))
			__atomic_store_n(&r->used[i], 1, __ATOMIC_RELAXED);
	}
	if (!declared && nr >= 0 && nr < SECCOMP_RECORD_CALLS)
		__atomic_store_n(&r->undeclared[role][nr], 1, __ATOMIC_RELAXED);
	return declared;
}
