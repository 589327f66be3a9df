/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU templates as JSON: tables for the structure, and functions for what JSON has no type for:
 * numbers with a prefix, bitmaps of 0, 1 and x, capabilities. See cpu_config.h.
 */
#include "api/cpu_config.h"

#include "vmm/base/cleanup.h"
#include "vmm/base/io.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define QUOTE_SIZE 100

static void cleanup_json(json_t *const *j)
{
	json_decref(*j);
}

/* Text of the request as it may appear in a message: short, printable ASCII. */
static const char *config_quote(char buf[QUOTE_SIZE], const char *text)
{
	size_t len = strlen(text);

	(void)snprintf(
		buf, QUOTE_SIZE, "%.*s%s", QUOTE_SIZE - 4, text, len > QUOTE_SIZE - 4 ? "..." : "");
	for (char *p = buf; *p; p++)
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
	return buf;
}

static int config_want_string(const json_t *v, const char *path, struct err *e)
{
	return json_is_string(v) ? 0
				 : err_set(e, -EINVAL, "%s: invalid type, expected a string", path);
}

/* The digits of text as a number of 32 bits. False if there are none, others, or too many. */
static bool config_digits(const char *text, uint32_t base, uint32_t *ret)
{
	uint64_t value = 0;

	for (const char *p = text; *p; p++) {
		uint32_t digit = base;

		if (*p >= '0' && *p <= '9')
			digit = (uint32_t)(*p - '0');
		else if ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'f')
			digit = (uint32_t)((*p | 0x20) - 'a') + 10;
		if (digit >= base)
			return false;
		value = value * base + digit;
		if (value > UINT32_MAX)
			return false;
	}
	*ret = (uint32_t)value;
	return *text != '\0';
}

/* Leaves, subleaves and addresses: Firecracker takes no decimals here. */
static int config_parse_number(json_t *v, const char *path, void *at, struct err *e)
{
	const char *text = json_string_value(v);
	char quoted[QUOTE_SIZE];
	uint32_t base;
	int rc = config_want_string(v, path, e);

	if (rc < 0 || !text)
		return rc;
	if (strncmp(text, "0x", 2) == 0)
		base = 16;
	else if (strncmp(text, "0b", 2) == 0)
		base = 2;
	else
		return err_set(e, -EINVAL,
			"%s: No supported number system prefix found in value [%s]; write 0x and "
			"hexadecimal or 0b and binary digits",
			path, config_quote(quoted, text));
	if (!config_digits(text + 2, base, at))
		return err_set(e, -EINVAL,
			"%s: Failed to parse string [%s] as a number for CPU template; it must "
			"have digits of its base and fit 32 bits",
			path, config_quote(quoted, text));
	return 0;
}

static json_t *config_print_number(const void *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return json_sprintf("0x%x", value);
}

static const struct schema_custom number_custom = {
	.what = "string",
	.parse = config_parse_number,
	.print = config_print_number,
};

/* The last character is bit 0; bits that are not there are left as they are. */
static int config_parse_bitmap(const json_t *v, const char *path, unsigned bits,
	uint64_t *ret_filter, uint64_t *ret_value, struct err *e)
{
	const char *text = json_string_value(v), *first;
	uint64_t filter = 0, value = 0, bit = 1;
	unsigned count = 0;
	char quoted[QUOTE_SIZE];
	int rc = config_want_string(v, path, e);

	if (rc < 0 || !text)
		return rc;
	first = strncmp(text, "0b", 2) == 0 ? text + 2 : text;
	for (const char *p = text + strlen(text); p-- > first;) {
		if (*p == '_')
			continue;
		if (*p != '0' && *p != '1' && *p != 'x')
			return err_set(e, -EINVAL,
				"%s: Failed to parse string [%s] as a bitmap - unknown character; "
				"only 0, 1, x and _ are allowed",
				path, config_quote(quoted, text));
		if (count++ == bits)
			return err_set(e, -EINVAL,
				"%s: Failed to parse string [%s] as a bitmap - string is too long; "
				"the register has %u bits",
				path, config_quote(quoted, text), bits);
		filter |= *p != 'x' ? bit : 0;
		value |= *p == '1' ? bit : 0;
		bit <<= 1;
	}
	*ret_filter = filter;
	*ret_value = value;
	return 0;
}

static json_t *config_print_bitmap(unsigned bits, uint64_t filter, uint64_t value)
{
	char text[2 + 64 + 1] = "0b";

	for (unsigned i = 0; i < bits; i++) {
		uint64_t bit = (uint64_t)1 << (bits - 1 - i);

		text[2 + i] = 'x';
		if (filter & bit)
			text[2 + i] = value & bit ? '1' : '0';
	}
	text[2 + bits] = '\0';
	return json_string(text);
}

static int config_parse_cpuid_bits(json_t *v, const char *path, void *at, struct err *e)
{
	uint64_t filter = 0, value = 0;
	int rc = config_parse_bitmap(v, path, 32, &filter, &value, e);

	*(struct cpuid_bits *)at = (struct cpuid_bits){(uint32_t)filter, (uint32_t)value};
	return rc;
}

static json_t *config_print_cpuid_bits(const void *at)
{
	const struct cpuid_bits *b = at;

	return config_print_bitmap(32, b->filter, b->value);
}

static const struct schema_custom cpuid_bits_custom = {
	.what = "string",
	.parse = config_parse_cpuid_bits,
	.print = config_print_cpuid_bits,
};

static int config_parse_msr_bits(json_t *v, const char *path, void *at, struct err *e)
{
	struct msr_bits *b = at;

	return config_parse_bitmap(v, path, 64, &b->filter, &b->value, e);
}

static json_t *config_print_msr_bits(const void *at)
{
	const struct msr_bits *b = at;

	return config_print_bitmap(64, b->filter, b->value);
}

static const struct schema_custom msr_bits_custom = {
	.what = "string",
	.parse = config_parse_msr_bits,
	.print = config_print_msr_bits,
};

static int config_parse_cap(
	const json_t *v, const char *path, struct cpu_template_cap *ret, struct err *e)
{
	const char *text = json_string_value(v);
	char quoted[QUOTE_SIZE];
	int rc = config_want_string(v, path, e);

	if (rc < 0 || !text)
		return rc;
	ret->drop = *text == '!';
	if (!config_digits(text + (ret->drop ? 1 : 0), 10, &ret->cap))
		return err_set(e, -EINVAL,
			"%s: Failed to parse string [%s] as a kvm capability - can not convert to "
			"numeric; it must be a decimal number, with ! before it to do without",
			path, config_quote(quoted, text));
	return 0;
}

static int config_parse_caps(json_t *v, const char *path, void *at, struct err *e)
{
	struct cpu_template_caps *caps = at;
	char element[64];
	int rc = 0;

	if (!json_is_array(v))
		return err_set(e, -EINVAL, "%s: invalid type, expected an array", path);
	if (json_array_size(v) > CPU_TEMPLATE_CAPS_MAX)
		return err_set(e, -EINVAL, "%s: %zu is too many; the most is %u", path,
			json_array_size(v), CPU_TEMPLATE_CAPS_MAX);
	for (caps->count = 0; rc == 0 && caps->count < json_array_size(v); caps->count++) {
		(void)snprintf(element, sizeof(element), "%.48s[%u]", path, caps->count);
		rc = config_parse_cap(
			json_array_get(v, caps->count), element, &caps->cap[caps->count], e);
	}
	return rc;
}

static json_t *config_print_caps(const void *at)
{
	const struct cpu_template_caps *caps = at;
	json_t *array = json_array();

	for (uint32_t i = 0; array && i < caps->count; i++) {
		const struct cpu_template_cap *c = &caps->cap[i];

		if (json_array_append_new(array, json_sprintf("%s%u", c->drop ? "!" : "", c->cap)) <
			0) {
			json_decref(array);
			array = NULL;
		}
	}
	return array;
}

static const struct schema_custom caps_custom = {
	.what = "array of string",
	.parse = config_parse_caps,
	.print = config_print_caps,
};

static const struct schema_name register_names[] = {
	{"eax", CPUID_EAX},
	{"ebx", CPUID_EBX},
	{"ecx", CPUID_ECX},
	{"edx", CPUID_EDX},
	{NULL, 0},
};

static const struct schema_row register_rows[] = {
	SCHEMA_ENUM(
		"register", struct cpuid_modifier, reg, register_names, CPUID_EAX, SCHEMA_REQUIRED),
	SCHEMA_CUSTOM("bitmap", struct cpuid_modifier, bits, &cpuid_bits_custom, SCHEMA_REQUIRED),
};
static const struct schema register_schema =
	SCHEMA("CPUID register modifier", register_rows, SCHEMA_OPEN);

static const struct schema_row leaf_rows[] = {
	SCHEMA_CUSTOM("leaf", struct cpu_template_leaf, leaf, &number_custom, SCHEMA_REQUIRED),
	SCHEMA_CUSTOM(
		"subleaf", struct cpu_template_leaf, subleaf, &number_custom, SCHEMA_REQUIRED),
	SCHEMA_UINT("flags", struct cpu_template_leaf, flags, 0, UINT32_MAX, 0, SCHEMA_REQUIRED),
	SCHEMA_ARRAY("modifiers", struct cpu_template_leaf, modifiers, modifier_count,
		&register_schema, NULL, SCHEMA_REQUIRED),
};
static const struct schema leaf_schema = SCHEMA("CPUID modifier", leaf_rows, SCHEMA_OPEN);

static const struct schema_row msr_rows[] = {
	SCHEMA_CUSTOM("addr", struct cpu_template_msr, addr, &number_custom, SCHEMA_REQUIRED),
	SCHEMA_CUSTOM("bitmap", struct cpu_template_msr, bits, &msr_bits_custom, SCHEMA_REQUIRED),
};
static const struct schema msr_schema = SCHEMA("MSR modifier", msr_rows, SCHEMA_OPEN);

static const struct schema_row cpu_config_rows[] = {
	SCHEMA_CUSTOM("kvm_capabilities", struct cpu_template, caps, &caps_custom, 0),
	SCHEMA_ARRAY(
		"cpuid_modifiers", struct cpu_template, leaves, leaf_count, &leaf_schema, NULL, 0),
	SCHEMA_ARRAY("msr_modifiers", struct cpu_template, msrs, msr_count, &msr_schema, NULL, 0),
};
const struct schema cpu_config_schema = SCHEMA("cpu-config", cpu_config_rows, 0);

int cpu_config_parse(json_t *obj, struct cpu_template *ret, struct err *e)
{
	memset(ret, 0, sizeof(*ret));
	return schema_parse(&cpu_config_schema, obj, "", ret, e);
}

int cpu_config_load(const char *path, struct cpu_template *ret, struct err *e)
{
	__attribute__((cleanup(cleanup_json))) json_t *root = NULL;
	CLEANUP_FREE
	char *text = NULL;
	size_t len = 0;
	int rc = io_read_file(path, CPU_CONFIG_FILE_SIZE_MAX, &text, &len, e);

	if (rc < 0)
		return rc;
	rc = schema_load_text(text, len, &root, e);
	if (rc == 0)
		rc = cpu_config_parse(root, ret, e);
	return rc < 0 && e ? err_wrap(e, "%s", path) : rc;
}

json_t *cpu_config_print(const struct cpu_template *t)
{
	return schema_print(&cpu_config_schema, t);
}

static void config_release_member(void *at)
{
	struct cpu_template **slot = at;

	free(*slot);
	*slot = NULL;
}

static int config_parse_member(json_t *v, const char *path, void *at, struct err *e)
{
	struct cpu_template **slot = at;
	CLEANUP_FREE
	struct cpu_template *t = malloc(sizeof(*t));
	int rc;

	if (!t)
		return err_set_os(e, -ENOMEM, "%s", path);
	rc = json_is_string(v) ? cpu_config_load(json_string_value(v), t, e)
			       : cpu_config_parse(v, t, e);
	if (rc < 0)
		return e ? err_wrap(e, "%s", path) : rc;
	config_release_member(slot);
	*slot = t;
	t = NULL;
	return 0;
}

static json_t *config_print_member(const void *at)
{
	const struct cpu_template *const *slot = at;

	return *slot ? cpu_config_print(*slot) : json_null();
}

const struct schema_custom cpu_config_custom = {
	.what = "string or object",
	.parse = config_parse_member,
	.print = config_print_member,
	.release = config_release_member,
};
