/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration file. Whatever is accepted must also survive a round trip: printed and read
 * again it must be accepted, and print the same.
 */
#include "api/config_file.h"
#include "api/vm_schema.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The text of c as GET /vm/config would show it; the caller frees it. */
static char *config_text(const struct vm_config *c)
{
	json_t *j = schema_print(&vm_config_schema, c);
	char *text = json_dumps(j, JSON_SORT_KEYS);

	json_decref(j);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct log_config quiet = {.id = "fuzz", .fd = -1, .level = LOG_OFF};
	struct vm_config first, second;
	struct err e = {0};

	log_configure(&quiet);
	vm_config_init(&first);
	if (config_file_parse((const char *)data, size, &first, &e) == 0) {
		char *text = config_text(&first), *again;

		vm_config_init(&second);
		if (config_file_parse(text, strlen(text), &second, &e) != 0)
			abort();
		again = config_text(&second);
		if (strcmp(text, again) != 0)
			abort();
		free(text);
		free(again);
		vm_config_fini(&second);
	} else if (e.code >= 0 || !e.msg[0]) {
		abort();
	}
	vm_config_fini(&first);
	return 0;
}
