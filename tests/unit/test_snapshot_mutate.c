/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A real state file, changed in a hundred thousand ways, with its length and checksum put right:
 * it is refused or decoded, and never more is read than there is (sanitizers watch). One with all
 * its sections cut off, one after the other, is refused each time.
 */
#include "snapshot/format_wire.h"
#include "snapshot/image.h"
#include "tests/unit/lib/cm.h"
#include "vmm/base/io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STATE_PATH "tests/fuzz/corpus/snapshot/state-1.1"
#define MUTATIONS  100000u

static char *whole;
static size_t whole_len;
static struct snapshot_reader reader;

static int set_up(void **state)
{
	(void)state;
	return io_read_file(STATE_PATH, MIB, &whole, &whole_len, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	free(whole);
	return 0;
}

static uint64_t next_random(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

static int decode(uint8_t *file, size_t len, struct err *e)
{
	uint64_t total = len, crc;
	int rc;

	memcpy(file + offsetof(struct wire_header, total), &total, sizeof(total));
	crc = snapshot_crc(0, file, len - sizeof(crc));
	memcpy(file + len - sizeof(crc), &crc, sizeof(crc));
	rc = snapshot_open(&reader, file, len, snapshot_section_known, e);
	return rc < 0 ? rc : snapshot_verify(&reader, e);
}

static void state_file_of_this_format_is_read(void **state)
{
	struct err e = {0};

	(void)state;
	if (snapshot_open(&reader, (const uint8_t *)whole, whole_len, snapshot_section_known, &e) <
			0 ||
		snapshot_verify(&reader, &e) < 0)
		fail_msg("%s", e.msg);
	assert_true(reader.section_count >= 12);
}

static void mutated_state_file_is_refused_or_decoded(void **state)
{
	uint8_t *file = malloc(whole_len);
	uint64_t seed = 0x1234567;
	uint32_t refused = 0;
	struct err e;

	(void)state;
	for (uint32_t i = 0; i < MUTATIONS; i++) {
		uint64_t r = next_random(&seed), at = next_random(&seed) % whole_len;
		size_t len = whole_len;

		memcpy(file, whole, len);
		for (uint64_t n = 0; n <= r % 3; n++, at = next_random(&seed) % whole_len)
			file[at] = (uint8_t)next_random(&seed);
		if (r % 16 == 0 && at > sizeof(struct wire_header) + 8)
			len = at; /* cut, too */
		refused += decode(file, len, &e) < 0;
	}
	free(file);
	assert_true(refused > MUTATIONS / 4 && refused < MUTATIONS);
}

static void file_cut_at_each_section_is_refused(void **state)
{
	uint8_t *file = malloc(whole_len);
	struct err e;
	size_t at = sizeof(struct wire_header);

	(void)state;
	assert_int_equal(snapshot_open(&reader, (const uint8_t *)whole, whole_len,
				 snapshot_section_known, &e),
		0);
	for (uint32_t i = 0, count = reader.section_count; i < count; i++) {
		for (int more = 0; more <= 16; more += 16) {
			memcpy(file, whole, at + (size_t)more);
			assert_int_equal(decode(file, at + (size_t)more + 8, &e), -EINVAL);
		}
		assert_int_equal(snapshot_open(&reader, (const uint8_t *)whole, whole_len,
					 snapshot_section_known, &e),
			0);
		at += sizeof(struct wire_section) + reader.sections[i].len;
	}
	free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(state_file_of_this_format_is_read),
		cmocka_unit_test(mutated_state_file_is_refused_or_decoded),
		cmocka_unit_test(file_cut_at_each_section_is_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("snapshot_mutate", tests, set_up, tear_down);
}
