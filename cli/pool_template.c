/* SPDX-License-Identifier: Apache-2.0 */
/* What a pool's clones are made of: the snapshot, and names of the outside for each. See pool.h. */
#include "cli/pool.h"

#include "cli/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>

int pool_pattern_expand(
	const char *pattern, const struct pool_clone *c, char ret[PATH_MAX], struct err *e)
{
	char dir[PATH_MAX] = "dir", slot[24] = "0";
	const struct {
		const char *word, *text;
	} words[] = {{"{id}", c->id}, {"{slot}", slot}, {"{dir}", dir}};
	size_t used = 0;

	if (c->pool) {
		pool_dir_path(c->pool, c->id, NULL, dir);
		(void)snprintf(slot, sizeof(slot), "%td", c - c->pool->clones);
	}
	while (*pattern) {
		char one[2] = {*pattern, '\0'};
		const char *text = one;
		size_t len = 1;

		for (size_t i = 0; i < NELEM(words); i++) {
			if (strncmp(pattern, words[i].word, strlen(words[i].word)) == 0) {
				text = words[i].text;
				len = strlen(words[i].word);
			}
		}
		if (len == 1 && (*pattern == '{' || *pattern == '}'))
			return err_set(e, -EINVAL, "in braces there must be id, slot or dir");
		if (used + strlen(text) >= PATH_MAX)
			return err_set(e, -ENAMETOOLONG, "the path is too long");
		memcpy(ret + used, text, strlen(text));
		used += strlen(text);
		pattern += len;
	}
	ret[used] = '\0';
	return 0;
}

bool pool_pattern_differs(const char *pattern)
{
	return strchr(pattern, '{') != NULL;
}

static int body_add(json_t *body, const struct pool_override *o, const char *value)
{
	static const char *const keys[] = {
		[POOL_DRIVE] = "drive_overrides",
		[POOL_NET] = "network_overrides",
	};
	json_t *list;

	if (o->kind == POOL_VSOCK)
		return json_object_set_new(
			body, "vsock_override", json_pack("{s:s}", "uds_path", value));
	list = json_object_get(body, keys[o->kind]);
	if (!list) {
		(void)json_object_set_new(body, keys[o->kind], json_array());
		list = json_object_get(body, keys[o->kind]);
	}
	if (o->kind == POOL_DRIVE)
		return json_array_append_new(list,
			json_pack("{s:s, s:s}", "drive_id", o->device, "path_on_host", value));
	return json_array_append_new(
		list, json_pack("{s:s, s:s}", "iface_id", o->device, "host_dev_name", value));
}

char *pool_load_body(const struct pool_clone *c, struct err *e)
{
	const struct pool_options *o = c->pool->o;
	json_t *body = json_pack("{s:s, s:b, s:b, s:{s:s, s:s}}", "snapshot_path", o->state,
		"resume_vm", 0, "clock_realtime", (int)o->clock_realtime, "mem_backend",
		"backend_type", "File", "backend_path", o->memory);
	char path[PATH_MAX], *text = NULL;
	int rc = body ? 0 : -1;

	for (uint32_t i = 0; rc == 0 && i < o->override_count; i++) {
		rc = pool_pattern_expand(o->overrides[i].pattern, c, path, e);
		if (rc < 0)
			goto out;
		rc = body_add(body, &o->overrides[i], path);
	}
	text = rc == 0 ? json_dumps(body, JSON_COMPACT) : NULL;
	if (!text)
		(void)err_set(e, -EINVAL, "the names of the snapshot and overrides must be UTF-8");
out:
	json_decref(body);
	return text;
}

/* The override of a device, or NULL. */
static const struct pool_override *override_find(
	const struct pool_options *o, enum pool_override_kind kind, const char *device)
{
	for (uint32_t i = 0; i < o->override_count; i++)
		if (o->overrides[i].kind == kind && strcmp(o->overrides[i].device, device) == 0)
			return &o->overrides[i];
	return NULL;
}

static int device_check(const struct pool_options *o, enum pool_override_kind kind,
	const char *device, const char *what, struct err *e)
{
	static const char *const options[] = {"drive", "net", "vsock"};
	const struct pool_override *v = override_find(o, kind, device);

	if (o->max == 1 || (v && pool_pattern_differs(v->pattern)))
		return 0;
	return err_set(e, -EINVAL,
		"%s %s cannot be shared by clones: give --%s %s%sPATTERN with {id}, {slot} or "
		"{dir} "
		"in it",
		what, device, options[kind], device, *device ? "=" : "");
}

/* The snapshot's configuration, which its reader has checked. */
static int config_check(const struct pool_options *o, json_t *config, struct err *e)
{
	json_t *device;
	size_t i;
	int rc = 0;

	json_array_foreach(json_object_get(config, "drives"), i, device)
	{
		const char *id = json_string_value(json_object_get(device, "drive_id"));

		if (rc == 0 && id && !json_is_true(json_object_get(device, "is_read_only")))
			rc = device_check(o, POOL_DRIVE, id, "the writable drive", e);
	}
	json_array_foreach(json_object_get(config, "network-interfaces"), i, device)
	{
		const char *id = json_string_value(json_object_get(device, "iface_id"));

		if (rc == 0 && id)
			rc = device_check(o, POOL_NET, id, "the tap of interface", e);
	}
	if (rc == 0 && json_is_object(json_object_get(config, "vsock")))
		rc = device_check(o, POOL_VSOCK, "", "the Unix socket of the vsock device", e);
	return rc;
}

int pool_template_check(const struct pool_options *o, struct err *e)
{
	static struct snapshot_load l; /* large */
	struct mem_file m = MEM_FILE_NONE;
	json_t *config;
	int rc = state_open(&l, o->state, e);

	if (rc < 0)
		return rc;
	rc = mem_open(&m, o->memory, O_RDONLY, e);
	if (rc == 0 && m.size != l.info.mem_size)
		rc = err_set(e, -EINVAL, "%s has %llu bytes, the snapshot's memory has %llu",
			o->memory, (unsigned long long)m.size, (unsigned long long)l.info.mem_size);
	config = json_loads(l.config, 0, NULL);
	if (rc == 0)
		rc = config_check(o, config, e);
	json_decref(config);
	mem_close(&m);
	snapshot_load_close(&l);
	return rc;
}
