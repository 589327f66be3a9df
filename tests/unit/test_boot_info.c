/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel is handed: memory map, start info, zero page, command line, initrd. */
#include "tests/unit/boot_fixture.h"

#include <asm/bootparam.h>
#include <fcntl.h>
#include <stdlib.h>

#define RSDP 0xe0000u

static uint64_t le(const unsigned char *at, size_t len)
{
	uint64_t v = 0;

	memcpy(&v, at, len);
	return v;
}

static void assert_range(const struct boot_range *r, uint64_t start, uint64_t end, uint32_t type)
{
	assert_int_equal(r->start, start);
	assert_int_equal(r->start + r->size, end);
	assert_int_equal(r->type, type);
}

static void the_memory_map_covers_ram_and_leaves_the_hole_out(void **state)
{
	(void)state;
	const struct gmem_config gc = {.size = 5 * GIB};
	struct boot_range r[BOOT_RANGES_MAX];
	struct err e = {0};
	struct gmem m;

	assert_int_equal(gmem_init(&m, &gc, &e), 0);
	assert_int_equal(boot_memory_map(&m, r), 4);
	assert_range(&r[0], 0, 0x9fc00, 1);
	assert_range(&r[1], 0x9fc00, MIB, 2);
	assert_range(&r[2], MIB, 3 * GIB, 1);
	assert_range(&r[3], 4 * GIB, 6 * GIB, 1);
	gmem_fini(&m);
}

static void start_info_describes_the_machine(void **state)
{
	(void)state;
	FIXTURE f;
	struct elf_kernel k = elf_kernel();
	const unsigned char *info, *map;

	fixture_init(&f);
	f.config.rsdp = GPA(RSDP);
	assert_int_equal(fixture_load(&f, &k, sizeof(k)), 0);
	info = f.ram + LAYOUT_PVH_START_INFO;
	assert_int_equal(le(info, 4), 0x336ec578);
	assert_int_equal(le(info + 4, 4), 1);
	assert_int_equal(le(info + 12, 4), 0); /* modules */
	assert_int_equal(le(info + 16, 8), 0); /* their list */
	assert_int_equal(le(info + 24, 8), LAYOUT_CMDLINE);
	assert_int_equal(le(info + 32, 8), RSDP);
	assert_int_equal(le(info + 48, 4), 3); /* memory map entries */
	map = f.ram + le(info + 40, 8);
	assert_int_equal(le(map + 48, 8), MIB);
	assert_int_equal(le(map + 56, 8), RAM_SIZE - MIB);
	assert_int_equal(le(map + 64, 8), 1);
	assert_string_equal((char *)f.ram + LAYOUT_CMDLINE, "quiet");
}

static void start_info_lists_the_initrd_as_its_module(void **state)
{
	(void)state;
	FIXTURE f;
	struct elf_kernel k = elf_kernel();
	const unsigned char *info, *module;

	fixture_init(&f);
	f.config.initrd_fd = file_of("0123456789", 10);
	assert_int_equal(fixture_load(&f, &k, sizeof(k)), 0);
	info = f.ram + LAYOUT_PVH_START_INFO;
	assert_int_equal(le(info + 12, 4), 1);
	module = f.ram + le(info + 16, 8);
	assert_int_equal(le(module, 8), RAM_SIZE - 4096);
	assert_int_equal(le(module + 8, 8), 10);
	assert_memory_equal(f.ram + RAM_SIZE - 4096, "0123456789", 10);
}

static void the_zero_page_describes_the_machine(void **state)
{
	(void)state;
	FIXTURE f;
	struct elf_kernel k = elf_kernel_without_note();
	struct boot_params bp;

	fixture_init(&f);
	f.config.rsdp = GPA(RSDP);
	f.config.initrd_fd = file_of("0123456789", 10);
	assert_int_equal(fixture_load(&f, &k, sizeof(k)), 0);
	memcpy(&bp, f.ram + LAYOUT_ZERO_PAGE, sizeof(bp));
	assert_int_equal(bp.hdr.boot_flag, 0xaa55);
	assert_int_equal(bp.hdr.header, 0x53726448);
	assert_int_equal(bp.hdr.type_of_loader, 0xff);
	assert_int_equal(bp.hdr.cmd_line_ptr, LAYOUT_CMDLINE);
	assert_int_equal(bp.hdr.ramdisk_image, RAM_SIZE - 4096);
	assert_int_equal(bp.hdr.ramdisk_size, 10);
	assert_int_equal(bp.acpi_rsdp_addr, RSDP);
	assert_int_equal(bp.e820_entries, 3);
	assert_int_equal(bp.e820_table[1].addr, 0x9fc00);
	assert_int_equal(bp.e820_table[1].type, 2);
	assert_int_equal(bp.e820_table[2].size, RAM_SIZE - MIB);
}

static void the_command_line_has_2047_bytes_and_no_more(void **state)
{
	(void)state;
	FIXTURE f;
	struct elf_kernel k = elf_kernel();
	char line[2049];

	fixture_init(&f);
	memset(line, 'x', sizeof(line));
	line[2047] = '\0';
	f.config.cmdline = line;
	assert_int_equal(fixture_load(&f, &k, sizeof(k)), 0);
	assert_string_equal((char *)f.ram + LAYOUT_CMDLINE, line);
	line[2047] = 'x';
	line[2048] = '\0';
	fixture_refuse(&f, &k, sizeof(k), "command line: 2048 bytes", "at most 2047");
}

static void refuses_an_initrd_over_the_kernel(void **state)
{
	(void)state;
	FIXTURE f;
	struct elf_kernel k = elf_kernel();
	uint64_t room = RAM_SIZE - ELF_DATA_AT - 0x10000;
	char *bytes = calloc(1, room + 1);

	fixture_init(&f);
	assert_non_null(bytes);
	f.config.initrd_fd = file_of(bytes, room);
	assert_int_equal(fixture_load(&f, &k, sizeof(k)), 0);
	fd_close(&f.config.initrd_fd);
	f.config.initrd_fd = file_of(bytes, room + 1);
	fixture_refuse(&f, &k, sizeof(k), "initrd:", "overlap the kernel");
	free(bytes);
}

static void refuses_an_initrd_larger_than_memory(void **state)
{
	(void)state;
	FIXTURE f;
	struct elf_kernel k = elf_kernel();

	fixture_init(&f);
	f.config.initrd_fd = file_of("", 0);
	fixture_refuse(&f, &k, sizeof(k), "initrd:", "empty");
	assert_int_equal(ftruncate(f.config.initrd_fd, RAM_SIZE + 1), 0);
	fixture_refuse(&f, &k, sizeof(k), "initrd: 0x1000001 bytes", "more memory");
	assert_int_equal(ftruncate(f.config.initrd_fd, RAM_SIZE), 0);
	fixture_refuse(&f, &k, sizeof(k), "initrd:", "overlap");
	assert_int_equal(ftruncate(f.config.initrd_fd, INT64_MAX), 0);
	fixture_refuse(&f, &k, sizeof(k), "initrd: 0x7fffffffffffffff bytes", "more memory");
}

static void refuses_what_is_not_a_regular_file(void **state)
{
	(void)state;
	FIXTURE f;

	fixture_init(&f);
	f.config.kernel_fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	assert_int_equal(boot_load(&f.m, &f.config, &f.entry, &f.e), -EINVAL);
	assert_non_null(strstr(f.e.msg, "kernel: not a regular file"));
}

static void refuses_memory_of_one_mib(void **state)
{
	(void)state;
	FIXTURE f;
	struct elf_kernel k = elf_kernel();

	fixture_init(&f);
	gmem_init_borrowed(&f.m, GPA(0), f.ram, MIB);
	fixture_refuse(&f, &k, sizeof(k), "mem_size_mib is 1048576 bytes", "more than 1 MiB");
}

/* Linux jumps there, in real mode, to restart a machine without EFI. */
static void the_reset_vector_writes_the_reset_register(void **state)
{
	(void)state;
	static const unsigned char code[] = {0xb0, 0x01, 0xba, 0x02, 0x06, 0xee, 0xf4, 0xeb, 0xfd};
	FIXTURE f;
	struct elf_kernel k = elf_kernel();

	fixture_init(&f);
	assert_int_equal(fixture_load(&f, &k, sizeof(k)), 0);
	assert_memory_equal(f.ram + 0xffff0, code, sizeof(code));
}

static void says_what_other_files_are(void **state)
{
	(void)state;
	static const struct {
		unsigned off;
		const char *magic, *word1, *word2;
	} strangers[] = {
		{0, "\x1f\x8b\x08", "gzip", "gunzip"},
		{0, "\x28\xb5\x2f\xfd", "zstd", "zstd -d"},
		{0, "BZh91AY", "bzip2", "bunzip2"},
		{0x38, "ARM\x64", "arm64", "x86-64"},
		{0x24, "\x18\x28\x6f\x01", "32-bit ARM", "x86-64"},
		{0x30, "RISCV", "RISC-V", "x86-64"},
		{0, "QFI\xfb", "qcow2", "drives"},
		{0, "070701", "cpio", "initrd"},
		{0, "#!/bin/sh", "script", "give a kernel"},
		{0, "MZ", "EFI", "bzImage"},
		{0, "hello", "first four 0x6c6c6568", "give an x86-64 vmlinux or bzImage"},
		{0, "h", "1 bytes, first four 0x00000068", "vmlinux"},
	};
	FIXTURE f;

	fixture_init(&f);
	for (size_t i = 0; i < NELEM(strangers); i++) {
		unsigned char file[128] = {0};
		size_t len = strlen(strangers[i].magic);

		memcpy(file + strangers[i].off, strangers[i].magic, len);
		fixture_refuse(
			&f, file, strangers[i].off + len, strangers[i].word1, strangers[i].word2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_memory_map_covers_ram_and_leaves_the_hole_out),
		cmocka_unit_test(start_info_describes_the_machine),
		cmocka_unit_test(start_info_lists_the_initrd_as_its_module),
		cmocka_unit_test(the_zero_page_describes_the_machine),
		cmocka_unit_test(the_command_line_has_2047_bytes_and_no_more),
		cmocka_unit_test(refuses_an_initrd_over_the_kernel),
		cmocka_unit_test(refuses_an_initrd_larger_than_memory),
		cmocka_unit_test(refuses_what_is_not_a_regular_file),
		cmocka_unit_test(refuses_memory_of_one_mib),
		cmocka_unit_test(the_reset_vector_writes_the_reset_register),
		cmocka_unit_test(says_what_other_files_are),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
