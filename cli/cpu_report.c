/* SPDX-License-Identifier: Apache-2.0 */
/* Differences as text, a line each, or as JSON. See cpu.h. */
#include "cli/cpu.h"

#include <stdio.h>
#include <stdlib.h>

#define JSON_SCHEMA 1 /* raised when a key changes its meaning or goes */

static char bit_char(struct msr_bits b, uint64_t bit)
{
	if (!(b.filter & bit))
		return 'x';
	return b.value & bit ? '1' : '0';
}

static void report_add(struct cpu_report *r, json_t *item)
{
	r->count++;
	if (!r->list)
		r->list = json_array();
	(void)json_array_append_new(r->list, item);
}

void cpu_report_field(struct cpu_report *r, const char *field, const char *left, const char *right)
{
	if (r->as_json) {
		report_add(r, json_pack("{s:s, s:s?, s:s?}", "field", field, r->sides[0], left,
				      r->sides[1], right));
		return;
	}
	r->count++;
	if (left && right)
		printf("%s: %s %s, %s %s\n", field, r->sides[0], left, r->sides[1], right);
	else
		printf("%s: only in %s\n", field, r->sides[left ? 0 : 1]);
}

static json_t *bits_text(unsigned width, struct msr_bits b)
{
	char text[2 + 64 + 1] = "0b";

	for (unsigned i = 0; i < width; i++)
		text[2 + i] = bit_char(b, (uint64_t)1 << (width - 1 - i));
	text[2 + width] = '\0';
	return json_string(text);
}

static json_t *bits_json(const struct cpu_report *r, const char *reg, unsigned width, uint64_t mask,
	struct msr_bits left, struct msr_bits right, const char *const *names)
{
	json_t *bits = json_array();

	for (unsigned i = 0; i < width; i++)
		if (mask >> i & 1)
			(void)json_array_append_new(bits, json_pack("{s:i, s:s?}", "bit", (int)i,
								  "name", names ? names[i] : NULL));
	return json_pack("{s:s, s:o, s:o, s:o}", "field", reg, r->sides[0], bits_text(width, left),
		r->sides[1], bits_text(width, right), "bits", bits);
}

/* "cpuid 0x7 0x0 ebx: A 1, B 0: bits 16 (avx512f) 17 (avx512dq)", a line per pair of values. */
static void bits_print(struct cpu_report *r, const char *reg, uint64_t mask, struct msr_bits left,
	struct msr_bits right, const char *const *names)
{
	r->count++;
	while (mask) {
		unsigned first = (unsigned)__builtin_ctzll(mask);
		char a = bit_char(left, (uint64_t)1 << first),
		     b = bit_char(right, (uint64_t)1 << first);

		printf("%s: %s %c, %s %c: bits", reg, r->sides[0], a, r->sides[1], b);
		for (unsigned i = first; i < 64; i++) {
			uint64_t bit = (uint64_t)1 << i;

			if (!(mask & bit) || bit_char(left, bit) != a || bit_char(right, bit) != b)
				continue;
			mask &= ~bit;
			if (names && names[i])
				printf(" %u (%s)", i, names[i]);
			else
				printf(" %u", i);
		}
		putchar('\n');
	}
}

void cpu_report_bits(struct cpu_report *r, const char *reg, unsigned width, uint64_t mask,
	struct msr_bits left, struct msr_bits right, const char *const *names)
{
	if (r->as_json)
		report_add(r, bits_json(r, reg, width, mask, left, right, names));
	else
		bits_print(r, reg, mask, left, right, names);
}

void cpu_report_finish(struct cpu_report *r)
{
	json_t *all;

	if (!r->as_json)
		return;
	all = json_pack("{s:i, s:b, s:o}", "schema", JSON_SCHEMA, "equal", r->count == 0,
		"differences", r->list ? r->list : json_array());
	r->list = NULL;
	if (json_dumpf(all, stdout, JSON_INDENT(2)) == 0)
		putchar('\n');
	json_decref(all);
}
