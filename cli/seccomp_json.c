/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters in Firecracker's JSON. See seccomp_json.h; docs/seccomp.md has the format.
 *
 * libseccomp compares 64 bits. Where the JSON says dword, the upper half of the argument is the
 * caller's to choose and the kernel ignores it, so it must not decide: equality becomes a masked
 * comparison, and an order becomes several of them, one for each bit that can make the difference.
 */
#include "cli/seccomp_json.h"

#include "seccomp/chain.h"
#include "vmm/base/cleanup.h"

#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define JSON_RULES_MAX 2048 /* of libseccomp, in a filter */
#define JSON_ARGS_MAX  6
#define JSON_ERRNO_MAX 4094 /* of libseccomp; the kernel has one more */
#define JSON_COVER_MAX 33   /* comparisons that one comparison becomes */

/* One condition: any of its comparisons may hold. */
struct cover {
	uint32_t count;
	struct scmp_arg_cmp cmp[JSON_COVER_MAX];
};

struct compiler {
	scmp_filter_ctx ctx;
	uint32_t action, rule_count;
	char at[96]; /* where in the JSON: "vmm.filter[3]" */
	struct err *e;
};

static const struct {
	const char *name;
	uint32_t action;
} plain_actions[] = {
	{"allow", SCMP_ACT_ALLOW},
	{"kill_thread", SCMP_ACT_KILL_THREAD},
	{"kill_process", SCMP_ACT_KILL_PROCESS},
	{"log", SCMP_ACT_LOG},
	{"trap", SCMP_ACT_TRAP},
};

static const struct {
	const char *name;
	enum scmp_compare op;
} plain_ops[] = {
	{"eq", SCMP_CMP_EQ},
	{"ge", SCMP_CMP_GE},
	{"gt", SCMP_CMP_GT},
	{"le", SCMP_CMP_LE},
	{"lt", SCMP_CMP_LT},
	{"ne", SCMP_CMP_NE},
};

/* The object has no keys but these. */
static int keys_check(
	const struct compiler *c, json_t *o, const char *const *keys, const char *wanted)
{
	const char *key;
	json_t *v;

	if (!json_is_object(o))
		return err_set(c->e, -EINVAL, "%s: must be an object of %s", c->at, wanted);
	json_object_foreach(o, key, v)
	{
		size_t i = 0;

		while (keys[i] && strcmp(keys[i], key) != 0)
			i++;
		if (!keys[i])
			return err_set(c->e, -EINVAL, "%s: unknown field '%s'; there are %s", c->at,
				key, wanted);
	}
	return 0;
}

static int number_get(
	const struct compiler *c, const json_t *v, const char *what, uint64_t max, uint64_t *ret)
{
	if (!json_is_integer(v) || json_integer_value(v) < 0 ||
		(uint64_t)json_integer_value(v) > max)
		return err_set(c->e, -EINVAL, "%s.%s: must be a number from 0 to %llu", c->at, what,
			(unsigned long long)max);
	*ret = (uint64_t)json_integer_value(v);
	return 0;
}

static int action_get(const struct compiler *c, json_t *v, const char *what, uint32_t *ret)
{
	static const char *const keys[] = {"errno", "trace", NULL};
	const char *name = json_string_value(v);
	uint64_t n;
	int rc;

	for (size_t i = 0; name && i < NELEM(plain_actions); i++)
		if (strcmp(plain_actions[i].name, name) == 0) {
			*ret = plain_actions[i].action;
			return 0;
		}
	if (!json_is_object(v) || json_object_size(v) != 1)
		return err_set(c->e, -EINVAL,
			"%s.%s: must be \"allow\", \"trap\", \"kill_process\", \"kill_thread\", "
			"\"log\", {\"errno\": N} or {\"trace\": N}",
			c->at, what);
	rc = keys_check(c, v, keys, "errno or trace");
	if (rc == 0 && json_object_get(v, "errno")) {
		rc = number_get(c, json_object_get(v, "errno"), what, JSON_ERRNO_MAX, &n);
		if (rc == 0)
			*ret = SCMP_ACT_ERRNO((uint32_t)n);
	} else if (rc == 0) {
		rc = number_get(c, json_object_get(v, "trace"), what, UINT16_MAX, &n);
		if (rc == 0)
			*ret = SCMP_ACT_TRACE((uint32_t)n);
	}
	return rc;
}

static void cover_add(struct cover *to, unsigned index, uint64_t mask, uint64_t value)
{
	to->cmp[to->count++] = SCMP_CMP(index, SCMP_CMP_MASKED_EQ, mask, value);
}

/* The values above v (or below) agree with it down to a bit, which is set (clear) where v's is not. */
static void cover_add_side(struct cover *to, unsigned index, uint32_t v, bool above)
{
	for (unsigned bit = 0; bit < 32; bit++) {
		uint32_t here = 1u << bit, mask = ~(here - 1);

		if (((v & here) != 0) != above)
			cover_add(to, index, mask, (v ^ here) & mask);
	}
}

static void cover_make(
	struct cover *to, unsigned index, enum scmp_compare op, bool dword, uint64_t v)
{
	to->count = 0;
	if (!dword) {
		to->cmp[to->count++] = SCMP_CMP(index, op, v, 0);
		return;
	}
	if (op == SCMP_CMP_EQ || op == SCMP_CMP_GE || op == SCMP_CMP_LE)
		cover_add(to, index, UINT32_MAX, v);
	if (op == SCMP_CMP_GE || op == SCMP_CMP_GT || op == SCMP_CMP_NE)
		cover_add_side(to, index, (uint32_t)v, true);
	if (op == SCMP_CMP_LE || op == SCMP_CMP_LT || op == SCMP_CMP_NE)
		cover_add_side(to, index, (uint32_t)v, false);
}

/* The operator: a word, or {"masked_eq": MASK}. */
static int op_get(const struct compiler *c, json_t *v, enum scmp_compare *ret, uint64_t *ret_mask)
{
	const char *name = json_string_value(v);
	json_t *mask = json_object_get(v, "masked_eq");

	for (size_t i = 0; name && i < NELEM(plain_ops); i++)
		if (strcmp(plain_ops[i].name, name) == 0) {
			*ret = plain_ops[i].op;
			return 0;
		}
	*ret = SCMP_CMP_MASKED_EQ;
	if (mask && json_object_size(v) == 1)
		return number_get(c, mask, "op.masked_eq", INT64_MAX, ret_mask);
	return err_set(c->e, -EINVAL,
		"%s.op: must be eq, ne, ge, gt, le, lt or {\"masked_eq\": MASK}", c->at);
}

static int cover_read(const struct compiler *c, json_t *o, struct cover *ret)
{
	static const char *const keys[] = {"index", "type", "op", "val", "comment", NULL};
	const char *type = json_string_value(json_object_get(o, "type"));
	bool dword = type && strcmp(type, "dword") == 0;
	uint64_t index = 0, val = 0, mask = 0;
	enum scmp_compare op = SCMP_CMP_EQ;
	int rc = keys_check(c, o, keys, "index, type, op, val, comment");

	if (rc < 0 || (rc = number_get(c, json_object_get(o, "index"), "index", JSON_ARGS_MAX - 1,
			       &index)) < 0)
		return rc;
	if (!type || (!dword && strcmp(type, "qword") != 0))
		return err_set(c->e, -EINVAL, "%s.type: must be \"dword\" or \"qword\"", c->at);
	if ((rc = number_get(c, json_object_get(o, "val"), "val", dword ? UINT32_MAX : INT64_MAX,
		     &val)) < 0 ||
		(rc = op_get(c, json_object_get(o, "op"), &op, &mask)) < 0)
		return rc;
	if (op == SCMP_CMP_MASKED_EQ) {
		ret->count = 0;
		cover_add(ret, (unsigned)index, dword ? mask & UINT32_MAX : mask, val);
	} else {
		cover_make(ret, (unsigned)index, op, dword, val);
	}
	if (ret->count == 0)
		return err_set(c->e, -EINVAL, "%s: no value of 32 bits is so", c->at);
	return 0;
}

/* One rule for every choice of one comparison from each condition. */
static int rules_add(struct compiler *c, int nr, const struct cover *covers, unsigned count)
{
	uint32_t at[JSON_ARGS_MAX] = {0};
	struct scmp_arg_cmp cmp[JSON_ARGS_MAX];
	unsigned i;
	int rc;

	for (;;) {
		for (i = 0; i < count; i++)
			cmp[i] = covers[i].cmp[at[i]];
		rc = ++c->rule_count > JSON_RULES_MAX
			     ? -E2BIG
			     : seccomp_rule_add_exact_array(c->ctx, c->action, nr, count, cmp);
		if (rc == -E2BIG)
			return err_set(c->e, rc,
				"%s: more than %d comparisons in a filter; use fewer of ge, gt, "
				"le, lt and ne on dwords",
				c->at, JSON_RULES_MAX);
		if (rc < 0 && rc != -EEXIST)
			return err_set_os(c->e, rc, "%s: libseccomp refuses it", c->at);
		for (i = 0; i < count && ++at[i] == covers[i].count; i++)
			at[i] = 0;
		if (i == count)
			return 0;
	}
}

static int rule_read(struct compiler *c, json_t *o)
{
	static const char *const keys[] = {"syscall", "args", "comment", NULL};
	const char *name = json_string_value(json_object_get(o, "syscall"));
	json_t *args = json_object_get(o, "args"), *arg;
	struct cover covers[JSON_ARGS_MAX];
	const size_t at_len = strlen(c->at);
	unsigned seen = 0;
	size_t i;
	int nr, rc = keys_check(c, o, keys, "syscall, args, comment");

	if (rc < 0)
		return rc;
	nr = name ? seccomp_syscall_resolve_name_arch(SCMP_ARCH_X86_64, name) : __NR_SCMP_ERROR;
	if (nr < 0)
		return err_set(c->e, -EINVAL, "%s.syscall: '%s' is no system call of x86-64", c->at,
			name ? name : "");
	if (args && (!json_is_array(args) || json_array_size(args) > JSON_ARGS_MAX))
		return err_set(c->e, -EINVAL, "%s.args: must be a list of at most %d", c->at,
			JSON_ARGS_MAX);
	json_array_foreach(args, i, arg)
	{
		(void)snprintf(c->at + at_len, sizeof(c->at) - at_len, ".args[%zu]", i);
		if ((rc = cover_read(c, arg, &covers[i])) < 0)
			return rc;
		if (seen & 1u << covers[i].cmp[0].arg)
			return err_set(c->e, -EINVAL,
				"%s.index: %u is there already; a rule has one condition on an "
				"argument",
				c->at, covers[i].cmp[0].arg);
		seen |= 1u << covers[i].cmp[0].arg;
	}
	c->at[at_len] = '\0';
	return rules_add(c, nr, covers, (unsigned)json_array_size(args));
}

/* As the built-in filters: put on in less time, where that can be done. */
static void program_shorten(struct seccomp_program *p)
{
	struct sock_filter *code = calloc(CHAIN_LEN_MAX, sizeof(*code));
	size_t len;

	if (!code || !chain_make(p->code, p->len, code, &len) || len > p->len) {
		free(code);
		return;
	}
	free(p->code);
	p->code = code;
	p->len = (uint16_t)len;
}

static int program_export(const struct compiler *c, struct seccomp_program *ret)
{
	CLEANUP_FD
	int fd = memfd_create("filter", MFD_CLOEXEC);
	off_t size;
	int rc = fd < 0 ? -errno : seccomp_export_bpf(c->ctx, fd);

	if (rc < 0)
		return err_set_os(c->e, rc, "%s: cannot be made into BPF", c->at);
	size = lseek(fd, 0, SEEK_END);
	if (size <= 0 || size / (off_t)sizeof(*ret->code) > SECCOMP_PROGRAM_MAX)
		return err_set(c->e, -E2BIG,
			"%s: %lld instructions; the most is %d: use fewer rules", c->at,
			(long long)size / (long long)sizeof(*ret->code), SECCOMP_PROGRAM_MAX);
	ret->code = malloc((size_t)size);
	if (!ret->code || pread(fd, ret->code, (size_t)size, 0) != size)
		return err_set_os(c->e, -ENOMEM, "%s", c->at);
	ret->len = (uint16_t)((size_t)size / sizeof(*ret->code));
	program_shorten(ret);
	return seccomp_program_check(ret->code, ret->len, c->e);
}

/*
 * As the built-in filters: other architectures end the process. A program that cannot be
 * made anew is a binary tree.
 */
static int context_make(struct compiler *c, uint32_t default_action)
{
	int rc;

	c->ctx = seccomp_init(default_action);
	if (!c->ctx)
		return err_set_os(c->e, -ENOMEM, "%s", c->at);
	if ((rc = seccomp_attr_set(c->ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS)) < 0 ||
		(rc = seccomp_attr_set(c->ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2)) < 0)
		return err_set_os(c->e, rc, "%s: libseccomp", c->at);
	return 0;
}

static int filter_read(struct compiler *c, const char *thread, json_t *o)
{
	static const char *const keys[] = {"default_action", "filter_action", "filter", NULL};
	json_t *filter = json_object_get(o, "filter"), *rule;
	uint32_t default_action = 0;
	size_t i;
	int rc;

	(void)snprintf(c->at, sizeof(c->at), "%s", thread);
	if ((rc = keys_check(c, o, keys, "default_action, filter_action, filter")) < 0 ||
		(rc = action_get(c, json_object_get(o, "default_action"), "default_action",
			 &default_action)) < 0 ||
		(rc = action_get(
			 c, json_object_get(o, "filter_action"), "filter_action", &c->action)) < 0)
		return rc;
	if (default_action == c->action)
		return err_set(c->e, -EINVAL,
			"%s.filter_action: the same as default_action, so that the filter does "
			"nothing",
			thread);
	if (!json_is_array(filter))
		return err_set(c->e, -EINVAL, "%s.filter: must be a list of rules", thread);
	rc = context_make(c, default_action);
	json_array_foreach(filter, i, rule)
	{
		(void)snprintf(c->at, sizeof(c->at), "%s.filter[%zu]", thread, i);
		if (rc < 0 || (rc = rule_read(c, rule)) < 0)
			return rc;
	}
	(void)snprintf(c->at, sizeof(c->at), "%s", thread);
	return rc;
}

/* *ret may be NULL: then the filter is only checked. */
static int thread_compile(const char *thread, json_t *o, struct seccomp_program *ret, struct err *e)
{
	struct seccomp_program unused = {0};
	struct compiler c = {.e = e};
	int rc = filter_read(&c, thread, o);

	if (rc == 0)
		rc = program_export(&c, ret ? ret : &unused);
	free(unused.code);
	if (c.ctx)
		seccomp_release(c.ctx);
	return rc;
}

static int threads_compile(struct seccomp_set *s, bool *ret_has_api, json_t *all, struct err *e)
{
	static const char *const keys[] = {"vmm", "vcpu", "io", "api", NULL};
	const struct compiler c = {.at = "the file", .e = e};
	json_t *api = json_object_get(all, "api");
	int rc = keys_check(&c, all, keys, "vmm, vcpu, io, api");

	for (int role = 0; rc == 0 && role < SECCOMP_ROLE_COUNT; role++) {
		const char *thread = seccomp_role_thread((enum seccomp_role)role);
		json_t *o = json_object_get(all, thread);

		if (o)
			rc = thread_compile(thread, o, &s->role[role], e);
		else if (role != SECCOMP_ROLE_IO)
			rc = err_set(e, -EINVAL, "there is no filter for %s; it is needed", thread);
	}
	*ret_has_api = api != NULL;
	return rc < 0 || !api ? rc : thread_compile("api", api, NULL, e);
}

int seccomp_json_compile(
	struct seccomp_set *ret, bool *ret_has_api, const char *text, size_t len, struct err *e)
{
	struct seccomp_set s = {0};
	json_error_t je;
	json_t *all = json_loadb(text, len, JSON_REJECT_DUPLICATES, &je);
	int rc;

	if (!all)
		return err_set(e, -EINVAL, "line %d, column %d: %s", je.line, je.column, je.text);
	rc = threads_compile(&s, ret_has_api, all, e);
	json_decref(all);
	if (rc < 0)
		seccomp_set_fini(&s);
	else
		*ret = s;
	return rc;
}

static json_t *term_print(const struct seccomp_term *t)
{
	if (t->mask == UINT32_MAX || t->mask == UINT64_MAX)
		return json_pack("{s:i, s:s, s:s, s:I}", "index", (int)t->index, "type",
			t->mask == UINT32_MAX ? "dword" : "qword", "op", "eq", "val",
			(json_int_t)t->value);
	return json_pack("{s:i, s:s, s:{s:I}, s:I}", "index", (int)t->index, "type", "qword", "op",
		"masked_eq", (json_int_t)t->mask, "val", (json_int_t)t->value);
}

static json_t *rule_print(const struct seccomp_rule *r)
{
	char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, r->nr);
	json_t *o = json_pack("{s:s, s:s}", "syscall", name ? name : "", "comment", r->item);
	json_t *args = json_array();

	free(name);
	for (unsigned t = 0; t < r->term_count; t++)
		(void)json_array_append_new(args, term_print(&r->terms[t]));
	if (r->term_count > 0)
		(void)json_object_set(o, "args", args);
	json_decref(args);
	return o;
}

json_t *seccomp_json_print(const uint8_t *used)
{
	size_t count;
	const struct seccomp_rule *rules = seccomp_rules_get(&count);
	json_t *all = json_object();

	for (int role = 0; role < SECCOMP_ROLE_COUNT; role++) {
		json_t *filter = json_array();

		for (size_t i = 0; i < count; i++)
			if ((int)rules[i].role == role && (!used || used[i]))
				(void)json_array_append_new(filter, rule_print(&rules[i]));
		(void)json_object_set_new(all, seccomp_role_thread((enum seccomp_role)role),
			json_pack("{s:s, s:s, s:o}", "default_action", "trap", "filter_action",
				"allow", "filter", filter));
	}
	return all;
}
