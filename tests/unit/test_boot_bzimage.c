/* SPDX-License-Identifier: Apache-2.0 */
/* bzImage: where it is put, and that hostile setup headers are refused by name. */
#include "tests/unit/boot_fixture.h"

#include <asm/bootparam.h>
#include <stdio.h>

#define PREF_ADDRESS   (4 * MIB)
#define INIT_SIZE      0x100000u
#define SETUP_SIZE     1024u /* boot sector and one of setup */
#define PROTECTED_SIZE 4096u

struct bzimage {
	union {
		unsigned char setup[SETUP_SIZE];
		struct {
			unsigned char pad[0x1f1];
			struct setup_header hdr;
		} __attribute__((packed)) s;
	};
	unsigned char protected[PROTECTED_SIZE];
};

static struct bzimage good(void)
{
	struct bzimage b = {.s.hdr = {
				    .setup_sects = 1,
				    .syssize = PROTECTED_SIZE / 16,
				    .boot_flag = 0xaa55,
				    .jump = 0x6aeb, /* the header ends at 0x202 + 0x6a */
				    .header = 0x53726448,
				    .version = 0x020f,
				    .loadflags = LOADED_HIGH,
				    .initrd_addr_max = 0x7fffffff,
				    .kernel_alignment = 2 * MIB,
				    .relocatable_kernel = 1,
				    .xloadflags = XLF_KERNEL_64,
				    .cmdline_size = 2047,
				    .payload_offset = 0x300,
				    .payload_length = 0x400,
				    .pref_address = PREF_ADDRESS,
				    .init_size = INIT_SIZE,
			    }};

	for (uint32_t i = 0; i < PROTECTED_SIZE; i++)
		b.protected[i] = (unsigned char)(i * 7 + 1);
	return b;
}

static struct boot_params zero_page(const struct fixture *f)
{
	struct boot_params bp;

	memcpy(&bp, f->ram + LAYOUT_ZERO_PAGE, sizeof(bp));
	return bp;
}

static void loads_the_protected_part_at_pref_address(void **state)
{
	(void)state;
	FIXTURE f;
	struct bzimage b = good();

	fixture_init(&f);
	assert_int_equal(fixture_load(&f, &b, sizeof(b)), 0);
	assert_memory_equal(f.ram + PREF_ADDRESS, b.protected, PROTECTED_SIZE);
	assert_int_equal(f.ram[PREF_ADDRESS + PROTECTED_SIZE], 0);
}

static void enters_at_the_64_bit_entry(void **state)
{
	(void)state;
	FIXTURE f;
	struct bzimage b = good();

	fixture_init(&f);
	assert_int_equal(fixture_load(&f, &b, sizeof(b)), 0);
	assert_int_equal(f.entry.protocol, BOOT_PROTOCOL_LINUX64);
	assert_int_equal(f.entry.entry, PREF_ADDRESS + 0x200);
	assert_int_equal(f.entry.boot_info, LAYOUT_ZERO_PAGE);
}

static void copies_the_setup_header_and_nothing_else(void **state)
{
	(void)state;
	FIXTURE f;
	struct bzimage b = good();
	struct boot_params bp;

	fixture_init(&f);
	memset(b.s.pad, 0xff, sizeof(b.s.pad));            /* boot sector code and the sentinel */
	memset(b.setup + 0x26c, 0xff, SETUP_SIZE - 0x26c); /* what is behind the header */
	assert_int_equal(fixture_load(&f, &b, sizeof(b)), 0);
	bp = zero_page(&f);
	assert_int_equal(bp.hdr.version, 0x020f);
	assert_int_equal(bp.hdr.init_size, INIT_SIZE);
	assert_int_equal(bp.hdr.type_of_loader, 0xff);
	assert_int_equal(bp.sentinel, 0);
	assert_int_equal(*((unsigned char *)&bp + 0x26c), 0);
}

/* syssize rounds up to 16 bytes; what follows it (a signature) is not loaded. */
static void loads_only_what_syssize_counts(void **state)
{
	(void)state;
	FIXTURE f;
	struct bzimage b = good();

	fixture_init(&f);
	assert_int_equal(fixture_load(&f, &b, sizeof(b) - 15), 0);
	b.s.hdr.syssize = PROTECTED_SIZE / 16 - 1;
	assert_int_equal(fixture_load(&f, &b, sizeof(b)), 0);
	fixture_fini(&f);
	fixture_init(&f);
	assert_int_equal(fixture_load(&f, &b, sizeof(b)), 0);
	assert_int_equal(
		f.ram[PREF_ADDRESS + PROTECTED_SIZE - 17], b.protected[PROTECTED_SIZE - 17]);
	assert_int_equal(f.ram[PREF_ADDRESS + PROTECTED_SIZE - 16], 0);
}

static void setup_sects_of_zero_means_four(void **state)
{
	(void)state;
	FIXTURE f;
	struct bzimage b = good();
	unsigned char file[5 * 512 + PROTECTED_SIZE] = {0};

	fixture_init(&f);
	b.s.hdr.setup_sects = 0;
	memcpy(file, b.setup, SETUP_SIZE);
	memcpy(file + (size_t)5 * 512, b.protected, PROTECTED_SIZE);
	assert_int_equal(fixture_load(&f, file, sizeof(file)), 0);
	assert_memory_equal(f.ram + PREF_ADDRESS, b.protected, PROTECTED_SIZE);
}

static void refuses_truncation_at_every_byte(void **state)
{
	(void)state;
	FIXTURE f;
	struct bzimage b = good();

	fixture_init(&f);
	for (size_t len = 1; len <= sizeof(b) - 16; len++)
		fixture_refuse(&f, &b, len, "kernel:", "");
}

static const struct {
	uint32_t off, size;
	uint64_t value;
	const char *word1, *word2;
} bad_fields[] = {
#define BAD(member, value, word1, word2)                                                           \
	{                                                                                          \
		offsetof(struct bzimage, s.hdr.member),                                            \
			sizeof(((struct bzimage *)0)->s.hdr.member), value, word1, word2           \
	}
	BAD(boot_flag, 0, "neither", "bzImage"),
	BAD(header, 0, "neither", "bzImage"),
	BAD(version, 0x020b, "version is 2.11", "2.12"),
	BAD(version, 0, "version is 0.00", "2.12"),
	BAD(xloadflags, (uint16_t)~XLF_KERNEL_64, "xloadflags 0xfffe", "64-bit"),
	BAD(loadflags, 0, "loadflags 0x0", "zImage"),
	BAD(setup_sects, 255, "setup_sects is 255", "past the file"),
	BAD(setup_sects, 9, "setup_sects is 9", "past the file"),
	BAD(syssize, 0, "syssize is 0x0", "cut short"),
	BAD(syssize, UINT32_MAX, "syssize is 0xffffffff", "cut short"),
	BAD(syssize, PROTECTED_SIZE / 16 + 1, "syssize is 0x101", "cut short"),
	BAD(syssize, 32, "syssize is 0x20", "no room"),
	BAD(payload_offset, UINT32_MAX, "payload_offset 0xffffffff", "past the kernel"),
	BAD(payload_length, PROTECTED_SIZE - 0x2ff, "payload_length 0xd01", "past the kernel"),
	BAD(init_size, PROTECTED_SIZE - 1, "init_size 0xfff", "less than"),
	BAD(init_size, 0, "init_size 0x0", "less than"),
	BAD(init_size, UINT32_MAX, "init_size 0xffffffff", "more memory"),
	BAD(init_size, 12 * MIB + 1, "init_size 0xc00001", "more memory"),
	BAD(kernel_alignment, 0, "kernel_alignment 0x0", "power of two"),
	BAD(kernel_alignment, 3, "kernel_alignment 0x3", "power of two"),
	BAD(pref_address, 0, "pref_address 0x0", "1 MiB"),
	BAD(pref_address, PREF_ADDRESS + MIB, "pref_address 0x500000", "multiple"),
	BAD(pref_address, 16 * MIB, "pref_address 0x1000000", "more memory"),
	BAD(pref_address, UINT64_MAX - 2 * MIB + 1, "pref_address", "more memory"),
	BAD(cmdline_size, 4, "command line: 5 bytes", "takes 4"),
#undef BAD
};

static void refuses_each_bad_field_by_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEM(bad_fields); i++) {
		FIXTURE f;
		struct bzimage b = good();

		fixture_init(&f);
		memcpy((unsigned char *)&b + bad_fields[i].off, &bad_fields[i].value,
			bad_fields[i].size);
		fixture_refuse(&f, &b, sizeof(b), bad_fields[i].word1, bad_fields[i].word2);
	}
}

static void accepts_an_init_size_that_just_fits(void **state)
{
	(void)state;
	FIXTURE f;
	struct bzimage b = good();

	fixture_init(&f);
	b.s.hdr.init_size = (uint32_t)(RAM_SIZE - PREF_ADDRESS);
	assert_int_equal(fixture_load(&f, &b, sizeof(b)), 0);
}

static void an_overlong_jump_stays_within_the_header(void **state)
{
	(void)state;
	FIXTURE f;
	struct bzimage b = good();
	struct boot_params bp;

	fixture_init(&f);
	b.s.hdr.jump = 0xffeb;
	memset(b.setup + 0x290, 0xff, SETUP_SIZE - 0x290);
	assert_int_equal(fixture_load(&f, &b, sizeof(b)), 0);
	bp = zero_page(&f);
	assert_int_equal(bp.edd_mbr_sig_buffer[0], 0);
}

static void the_initrd_stays_below_the_kernels_limit(void **state)
{
	(void)state;
	FIXTURE f;
	struct bzimage b = good();
	struct boot_params bp;

	fixture_init(&f);
	b.s.hdr.initrd_addr_max = 8 * MIB - 1;
	f.config.initrd_fd = file_of("initrd", 6);
	assert_int_equal(fixture_load(&f, &b, sizeof(b)), 0);
	bp = zero_page(&f);
	assert_int_equal(bp.hdr.ramdisk_image, 8 * MIB - 4096);
	assert_int_equal(bp.hdr.ramdisk_size, 6);
	assert_memory_equal(f.ram + 8 * MIB - 4096, "initrd", 6);
}

static void refuses_an_initrd_in_the_room_the_kernel_unpacks_into(void **state)
{
	(void)state;
	FIXTURE f;
	struct bzimage b = good();

	fixture_init(&f);
	b.s.hdr.init_size = (uint32_t)(RAM_SIZE - PREF_ADDRESS - 4095);
	f.config.initrd_fd = file_of("initrd", 6);
	fixture_refuse(&f, &b, sizeof(b), "initrd: 0x6 bytes", "overlap the kernel");
	b.s.hdr.init_size -= 1;
	assert_int_equal(fixture_load(&f, &b, sizeof(b)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loads_the_protected_part_at_pref_address),
		cmocka_unit_test(enters_at_the_64_bit_entry),
		cmocka_unit_test(copies_the_setup_header_and_nothing_else),
		cmocka_unit_test(loads_only_what_syssize_counts),
		cmocka_unit_test(setup_sects_of_zero_means_four),
		cmocka_unit_test(refuses_truncation_at_every_byte),
		cmocka_unit_test(refuses_each_bad_field_by_name),
		cmocka_unit_test(accepts_an_init_size_that_just_fits),
		cmocka_unit_test(an_overlong_jump_stays_within_the_header),
		cmocka_unit_test(the_initrd_stays_below_the_kernels_limit),
		cmocka_unit_test(refuses_an_initrd_in_the_room_the_kernel_unpacks_into),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
