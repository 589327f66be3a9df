/* SPDX-License-Identifier: Apache-2.0 */
/* `mayfly snapshot show` and `verify`. See snapshot.h. */
#include "cli/cli.h"
#include "cli/snapshot.h"
#include "snapshot/describe.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>

int snapshot_failed(const struct err *e, int status)
{
	cli_say("snapshot", "%s", e->msg);
	return status;
}

int state_open(struct snapshot_load *l, const char *path, struct err *e)
{
	const struct snapshot_load_options o = {.state_path = path};
	int rc = snapshot_load_open(l, &o, e);

	if (rc < 0)
		return rc;
	rc = snapshot_verify(&l->reader, e);
	if (rc == 0)
		return 0;
	snapshot_load_close(l);
	return err_wrap(e, "%s", path);
}

/* Texts in the file need not be UTF-8. */
static json_t *text_json(const uint8_t *text, size_t size)
{
	char copy[257];
	size_t n = 0;

	for (; n < size && n < sizeof(copy) - 1 && text[n]; n++)
		copy[n] = (char)(text[n] >= ' ' && text[n] < 0x7f ? text[n] : '?');
	copy[n] = '\0';
	return json_string(copy);
}

#define TEXT(member) text_json((member), sizeof(member))

static json_t *devices_json(const struct snapshot_info *info)
{
	json_t *all = json_array();

	for (uint32_t i = 0; i < info->device_count; i++)
		(void)json_array_append_new(
			all, json_pack("{s:o, s:o}", "class", TEXT(info->devices[i].class_name),
				     "id", TEXT(info->devices[i].id)));
	return all;
}

static json_t *sections_json(const struct snapshot_reader *r)
{
	json_t *all = json_array();

	for (uint32_t i = 0; i < r->section_count; i++)
		(void)json_array_append_new(
			all, json_pack("{s:s, s:I, s:I}", "name", r->sections[i].name, "instance",
				     (json_int_t)r->sections[i].instance, "bytes",
				     (json_int_t)r->sections[i].len));
	return all;
}

static int show_json(const struct snapshot_load *l)
{
	const struct snapshot_info *info = &l->info;
	json_t *config = json_loads(l->config, JSON_REJECT_DUPLICATES, NULL);
	json_t *all = json_pack("{s:I, s:I, s:o, s:I, s:{s:o, s:o, s:I}, s:I, s:I, s:o, s:o, s:o}",
		"format", (json_int_t)SNAPSHOT_FORMAT, "schema", (json_int_t)l->reader.schema,
		"monitor", TEXT(info->monitor), "created_s", (json_int_t)info->created_s, "cpu",
		"vendor", TEXT(info->cpu_vendor), "brand", TEXT(info->cpu_brand), "signature",
		(json_int_t)info->cpu_signature, "vcpu_count", (json_int_t)info->vcpu_count,
		"mem_size", (json_int_t)info->mem_size, "devices", devices_json(info), "sections",
		sections_json(&l->reader), "config", config ? config : json_null());
	bool good = all && json_dumpf(all, stdout, JSON_INDENT(2)) == 0;

	putchar('\n');
	json_decref(all);
	if (!good)
		cli_say("snapshot", "cannot write JSON");
	return cli_finish("snapshot", good ? CLI_OK : CLI_FAILED);
}

int snapshot_show_main(const struct snapshot_options *o, char **args, int count)
{
	static struct snapshot_load l; /* large */
	struct err e;
	int status;

	(void)count;
	if (!o->json) {
		if (describe_file(stdout, args[0], &e) < 0)
			return snapshot_failed(&e, CLI_FAILED);
		return cli_finish("snapshot", CLI_OK);
	}
	if (state_open(&l, args[0], &e) < 0)
		return snapshot_failed(&e, CLI_FAILED);
	status = show_json(&l);
	snapshot_load_close(&l);
	return status;
}

/* What can be read can be mapped. */
static int count_pages(void *ctx, uint64_t offset, const uint8_t *data, size_t len, struct err *e)
{
	uint64_t *pages = ctx;

	(void)offset, (void)data, (void)e;
	*pages += len / GMEM_PAGE_SIZE;
	return 0;
}

static int verify_memory(
	const struct snapshot_load *l, const char *path, uint64_t *ret_pages, struct err *e)
{
	struct mem_file m;
	int rc = mem_open(&m, path, O_RDONLY, e);

	if (rc < 0)
		return rc;
	if (m.size != l->info.mem_size)
		rc = err_set(e, -EINVAL,
			"%s: %llu bytes, but the state file is of a VM with %llu bytes of memory",
			path, (unsigned long long)m.size, (unsigned long long)l->info.mem_size);
	else
		rc = mem_walk(&m, count_pages, ret_pages, e);
	mem_close(&m);
	return rc;
}

int snapshot_verify_main(const struct snapshot_options *o, char **args, int count)
{
	static struct snapshot_load l; /* large */
	uint64_t pages = 0;
	struct err e;
	int rc = state_open(&l, args[0], &e);

	if (rc < 0)
		return snapshot_failed(&e, CLI_FAILED);
	if (count > 1)
		rc = verify_memory(&l, args[1], &pages, &e);
	snapshot_load_close(&l);
	if (rc < 0)
		return snapshot_failed(&e, CLI_FAILED);
	if (o->json)
		printf("{\"sections\": %u, \"pages\": %llu}\n", l.reader.section_count,
			(unsigned long long)pages);
	else if (count > 1)
		printf("good: %u sections, %llu pages of memory that are no holes\n",
			l.reader.section_count, (unsigned long long)pages);
	else
		printf("good: %u sections\n", l.reader.section_count);
	return cli_finish("snapshot", CLI_OK);
}
