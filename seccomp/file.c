/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of --seccomp-filter: a header with a checksum, then for each thread its name, the number
 * of instructions, and these as the kernel has them. See filter.h; README.md has the layout.
 */
#include "seccomp/filter.h"

#include "vmm/base/cleanup.h"
#include "vmm/base/io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAGIC   "MAYFLYBP"
#define FILE_VERSION 1

struct file_header {
	char magic[8];
	uint32_t version;
	uint32_t count;    /* of programs */
	uint64_t checksum; /* of all that follows */
};

struct file_program {
	char thread[8]; /* padded with NUL */
	uint32_t len;   /* instructions, of 8 bytes */
	uint32_t reserved;
};

_Static_assert(sizeof(struct file_header) == 24 && sizeof(struct file_program) == 16 &&
		       sizeof(struct sock_filter) == 8,
	"the file's layout");
_Static_assert(sizeof(struct file_header) +
			       SECCOMP_ROLE_COUNT *
				       (sizeof(struct file_program) + 8ULL * SECCOMP_PROGRAM_MAX) <=
		       SECCOMP_FILE_SIZE_MAX,
	"a full file");

/* FNV-1a: against accidents, not against people, who may write any filter anyway. */
static uint64_t file_checksum(const unsigned char *p, size_t len)
{
	uint64_t sum = 0xcbf29ce484222325;

	for (size_t i = 0; i < len; i++)
		sum = (sum ^ p[i]) * 0x100000001b3;
	return sum;
}

static int file_role(const struct file_program *p, enum seccomp_role *ret)
{
	for (int role = 0; role < SECCOMP_ROLE_COUNT; role++) {
		char thread[sizeof(p->thread)] = {0};
		const char *name = seccomp_role_thread((enum seccomp_role)role);

		memcpy(thread, name, strlen(name));
		if (memcmp(thread, p->thread, sizeof(thread)) != 0)
			continue;
		*ret = (enum seccomp_role)role;
		return 0;
	}
	return -EINVAL;
}

/* One program from *pp, which moves on. */
static int file_take_program(
	struct seccomp_set *s, const unsigned char **pp, size_t *left, struct err *e)
{
	struct file_program p;
	enum seccomp_role role;
	struct seccomp_program *to;
	size_t size;

	if (*left < sizeof(p))
		return err_set(e, -EINVAL, "it ends in the middle; compile it again");
	memcpy(&p, *pp, sizeof(p));
	if (p.reserved != 0 || file_role(&p, &role) < 0)
		return err_set(e, -EINVAL, "a program for a thread that is not vmm, vcpu or io");
	to = &s->role[role];
	size = (size_t)p.len * sizeof(*to->code);
	if (to->code)
		return err_set(e, -EINVAL, "two programs for %s", seccomp_role_thread(role));
	if (p.len > SECCOMP_PROGRAM_MAX || size > *left - sizeof(p))
		return err_set(e, -EINVAL,
			"%s: %u instructions are more than the file has, or than %d",
			seccomp_role_thread(role), p.len, SECCOMP_PROGRAM_MAX);
	to->code = malloc(size + 1);
	if (!to->code)
		return err_set_os(e, -ENOMEM, "seccomp filter");
	memcpy(to->code, *pp + sizeof(p), size);
	to->len = (uint16_t)p.len;
	*pp += sizeof(p) + size;
	*left -= sizeof(p) + size;
	if (seccomp_program_check(to->code, p.len, e) < 0)
		return err_wrap(e, "%s", seccomp_role_thread(role));
	return 0;
}

static int file_take_header(
	const unsigned char *bytes, size_t len, struct file_header *h, struct err *e)
{
	if (len > SECCOMP_FILE_SIZE_MAX)
		return err_set(e, -EFBIG, "%zu bytes; the most is %u", len, SECCOMP_FILE_SIZE_MAX);
	if (len < sizeof(*h) || memcmp(bytes, FILE_MAGIC, sizeof(h->magic)) != 0)
		return err_set(e, -EINVAL,
			"it is no filter of mayfly; compile it from JSON by 'mayfly seccomp "
			"compile'");
	memcpy(h, bytes, sizeof(*h));
	if (h->version != FILE_VERSION)
		return err_set(e, -EINVAL,
			"version %u; this program reads version %d: compile it "
			"again",
			h->version, FILE_VERSION);
	if (h->checksum != file_checksum(bytes + sizeof(*h), len - sizeof(*h)))
		return err_set(e, -EINVAL, "its checksum is wrong; compile it again");
	return 0;
}

static int file_parse(struct seccomp_set *s, const unsigned char *bytes, size_t len, struct err *e)
{
	struct file_header h = {0};
	size_t left;
	int rc = file_take_header(bytes, len, &h, e);

	if (rc < 0)
		return rc;
	bytes += sizeof(h);
	left = len - sizeof(h);
	if (h.count > SECCOMP_ROLE_COUNT)
		return err_set(
			e, -EINVAL, "%u programs; the most is %d", h.count, SECCOMP_ROLE_COUNT);
	for (uint32_t i = 0; rc == 0 && i < h.count; i++)
		rc = file_take_program(s, &bytes, &left, e);
	if (rc < 0)
		return rc;
	if (left != 0)
		return err_set(e, -EINVAL, "%zu bytes follow the last program", left);
	if (!s->role[SECCOMP_ROLE_MAIN].code || !s->role[SECCOMP_ROLE_VCPU].code)
		return err_set(e, -EINVAL, "there must be programs for vmm and vcpu");
	return 0;
}

int seccomp_set_parse(struct seccomp_set *ret, const void *bytes, size_t len, struct err *e)
{
	struct seccomp_set s = {0};
	int rc = file_parse(&s, bytes, len, e);

	if (rc < 0)
		seccomp_set_fini(&s);
	else
		*ret = s;
	return rc;
}

int seccomp_set_load(struct seccomp_set *ret, const char *path, struct err *e)
{
	CLEANUP_FREE
	char *bytes = NULL;
	size_t len;
	int rc = io_read_file(path, SECCOMP_FILE_SIZE_MAX, &bytes, &len, e);

	if (rc == 0 && (rc = seccomp_set_parse(ret, bytes, len, e)) < 0)
		(void)err_wrap(e, "%s", path);
	return rc;
}

void *seccomp_set_format(const struct seccomp_set *s, size_t *ret_len)
{
	struct file_header h = {.magic = FILE_MAGIC, .version = FILE_VERSION};
	unsigned char *bytes = malloc(SECCOMP_FILE_SIZE_MAX);
	size_t at = sizeof(h);

	if (!bytes)
		return NULL;
	for (int role = 0; role < SECCOMP_ROLE_COUNT; role++) {
		const struct seccomp_program *from = &s->role[role];
		const char *thread = seccomp_role_thread((enum seccomp_role)role);
		struct file_program p = {.len = from->len};

		if (!from->code)
			continue;
		memcpy(p.thread, thread, strlen(thread));
		memcpy(bytes + at, &p, sizeof(p));
		memcpy(bytes + at + sizeof(p), from->code, from->len * sizeof(*from->code));
		at += sizeof(p) + from->len * sizeof(*from->code);
		h.count++;
	}
	h.checksum = file_checksum(bytes + sizeof(h), at - sizeof(h));
	memcpy(bytes, &h, sizeof(h));
	*ret_len = at;
	return bytes;
}

void seccomp_set_fini(struct seccomp_set *s)
{
	for (int role = 0; role < SECCOMP_ROLE_COUNT; role++)
		free(s->role[role].code);
	*s = (struct seccomp_set){0};
}
