/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CPU template as JSON. Whatever is accepted must survive a round trip: printed and read again
 * it must be accepted, and print the same; and applying it may fail, but no more.
 */
#include "api/cpu_config.h"
#include "vmm/base/log.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *template_text(const struct cpu_template *t)
{
	json_t *j = cpu_config_print(t);
	char *text = json_dumps(j, 0);

	json_decref(j);
	return text;
}

static int template_read(const char *text, size_t len, struct cpu_template *ret, struct err *e)
{
	json_t *root = NULL;
	int rc = schema_load_text(text, len, &root, e);

	if (rc == 0)
		rc = cpu_config_parse(root, ret, e);
	json_decref(root);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct log_config quiet = {.id = "fuzz", .fd = -1, .level = LOG_OFF};
	static struct cpu_template first, second;
	struct cpuid_table table = {.nent = 2, .entries = {{.function = 1}, {.function = 7}}};
	struct err e = {0};
	char *text, *again;

	log_configure(&quiet);
	if (template_read((const char *)data, size, &first, &e) != 0) {
		if (e.code >= 0 || !e.msg[0])
			abort();
		return 0;
	}
	(void)cpu_template_apply_cpuid(&first, &table, &e);
	text = template_text(&first);
	if (template_read(text, strlen(text), &second, &e) != 0)
		abort();
	again = template_text(&second);
	if (strcmp(text, again) != 0)
		abort();
	free(text);
	free(again);
	return 0;
}
