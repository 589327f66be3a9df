/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of requests: the first byte chooses an endpoint, the second whether the VM was started,
 * the rest is the body. Endpoints that open or make what a path in the body names only have it
 * parsed; the others are called, and a fault must leave the configuration as it was.
 */
#include "tests/unit/lib/api.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool touches_the_host(const struct endpoint *p)
{
	static const char all[] = "|/boot-source|/drives/{drive_id}|/serial|/logger|/metrics|"
				  "/network-interfaces/{iface_id}|/actions|/snapshot/load|"
				  "/snapshot/create|";
	const char *at = strcmp(p->method, "PUT") == 0 ? strstr(all, p->path) : NULL;

	return at && at[-1] == '|' && at[strlen(p->path)] == '|';
}

static void parse_only(const struct endpoint *p, const char *body)
{
	static union controller_parsed parsed;
	json_t *j = NULL;
	struct err e = {0};

	if (schema_load_text(body, strlen(body), &j, &e) == 0) {
		memset(&parsed, 0, p->parsed_size);
		(void)schema_uses_deprecated(p->schema, j);
		if (schema_parse(p->schema, j, "", &parsed, &e) < 0 && !e.msg[0])
			abort();
		schema_release(p->schema, &parsed);
	}
	json_decref(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct endpoint *p = size < 2 ? NULL : &endpoint_table[data[0] % endpoint_count];
	char *body = p ? strndup((const char *)data + 2, size - 2) : NULL, path[64], *before,
	     *after;
	int status = 400;

	if (!body)
		return 0;
	(void)snprintf(path, sizeof(path), "%.*s%s", (int)strcspn(p->path, "{"), p->path,
		strchr(p->path, '{') ? "a" : "");
	(void)api_init();
	api_phase(data[1] % 2 ? API_RUNNING : API_NOT_STARTED);
	before = api_config();
	if (touches_the_host(p))
		parse_only(p, body);
	else
		status = api_send(p->method, path, body);
	after = api_config();
	if (status >= 400 && strcmp(before, after) != 0)
		abort();
	free(before);
	free(after);
	free(body);
	api_fini();
	return 0;
}
