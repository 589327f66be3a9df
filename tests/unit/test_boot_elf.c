/* SPDX-License-Identifier: Apache-2.0 */
/* ELF kernels: what is loaded where, and that hostile ones are refused by name. */
#include "tests/unit/boot_fixture.h"

static void loads_segments_at_their_physical_addresses(void **state)
{
	(void)state;
	FIXTURE f;
	struct elf_kernel k = elf_kernel();

	fixture_init(&f);
	assert_int_equal(fixture_load(&f, &k, sizeof(k)), 0);
	assert_memory_equal(f.ram + ELF_TEXT_AT, k.text, sizeof(k.text));
	assert_memory_equal(f.ram + ELF_DATA_AT, k.data, sizeof(k.data));
	assert_int_equal(f.ram[ELF_DATA_AT + sizeof(k.data)], 0);
}

static void enters_at_the_pvh_note_when_there_is_one(void **state)
{
	(void)state;
	FIXTURE f;
	struct elf_kernel k = elf_kernel();

	fixture_init(&f);
	assert_int_equal(fixture_load(&f, &k, sizeof(k)), 0);
	assert_int_equal(f.entry.protocol, BOOT_PROTOCOL_PVH);
	assert_int_equal(f.entry.entry, ELF_TEXT_AT + 32);
	assert_int_equal(f.entry.boot_info, LAYOUT_PVH_START_INFO);
}

static void enters_at_e_entry_without_the_note(void **state)
{
	(void)state;
	FIXTURE f;
	struct elf_kernel k = elf_kernel_without_note();

	fixture_init(&f);
	assert_int_equal(fixture_load(&f, &k, sizeof(k)), 0);
	assert_int_equal(f.entry.protocol, BOOT_PROTOCOL_LINUX64);
	assert_int_equal(f.entry.entry, ELF_TEXT_AT + 16);
	assert_int_equal(f.entry.boot_info, LAYOUT_ZERO_PAGE);
}

/* Eight-byte alignment pads the name, the value and the next note. */
static void finds_a_pvh_note_aligned_to_eight_bytes(void **state)
{
	(void)state;
	FIXTURE f;
	struct {
		struct elf_kernel k;
		Elf64_Nhdr hdr1;
		char name1_and_value1[20]; /* 5 bytes, 7 of padding, 1 byte, 7 of padding */
		Elf64_Nhdr hdr2;
		char name2[4];
		uint64_t desc2;
	} __attribute__((packed)) file = {.k = elf_kernel(),
		.hdr1 = {5, 1, 18},
		.name1_and_value1 = "Xenx",
		.hdr2 = {4, 8, 18},
		.name2 = "Xen",
		.desc2 = ELF_TEXT_AT + 8};

	fixture_init(&f);
	file.k.notes.p_offset = offsetof(__typeof__(file), hdr1);
	file.k.notes.p_filesz = sizeof(file) - sizeof(file.k);
	file.k.notes.p_align = 8;
	assert_int_equal(fixture_load(&f, &file, sizeof(file)), 0);
	assert_int_equal(f.entry.protocol, BOOT_PROTOCOL_PVH);
	assert_int_equal(f.entry.entry, ELF_TEXT_AT + 8);
}

static void refuses_truncation_at_every_byte(void **state)
{
	(void)state;
	FIXTURE f;
	struct elf_kernel k = elf_kernel();

	fixture_init(&f);
	for (size_t len = 1; len < sizeof(k); len++)
		fixture_refuse(&f, &k, len, "kernel:", "");
	fixture_refuse(&f, &k, 0, "kernel:", "empty");
	assert_int_equal(fixture_load(&f, &k, sizeof(k)), 0);
}

/* One field of a good file is overwritten; the message must name it. */
static const struct {
	uint32_t off, size;
	uint64_t value;
	const char *word1, *word2;
} bad_fields[] = {
#define BAD(member, value, word1, word2)                                                           \
	{                                                                                          \
		offsetof(struct elf_kernel, member), sizeof(((struct elf_kernel *)0)->member),     \
			value, word1, word2                                                        \
	}
	BAD(hdr.e_ident[EI_CLASS], ELFCLASS32, "EI_CLASS", "64-bit"),
	BAD(hdr.e_ident[EI_DATA], ELFDATA2MSB, "EI_DATA", "2"),
	BAD(hdr.e_machine, EM_AARCH64, "e_machine is 183", "x86-64"),
	BAD(hdr.e_type, ET_REL, "e_type is 1", "linked"),
	BAD(hdr.e_type, ET_CORE, "e_type is 4", "linked"),
	BAD(hdr.e_phentsize, 55, "e_phentsize is 55", "56"),
	BAD(hdr.e_phnum, 0, "e_phnum is 0", "1 to 64"),
	BAD(hdr.e_phnum, 65, "e_phnum is 65", "1 to 64"),
	BAD(hdr.e_phnum, 0xffff, "e_phnum is 65535", "1 to 64"),
	BAD(hdr.e_phoff, UINT64_MAX, "e_phoff", "past the file"),
	BAD(hdr.e_phoff, sizeof(struct elf_kernel), "e_phoff", "past the file"),
	BAD(text_load.p_type, PT_NULL, "PVH note", "file bytes"),
	BAD(text_load.p_type, PT_INTERP, "PT_INTERP", "program for Linux"),
	BAD(text_load.p_filesz, 65, "header 0: p_filesz 0x41", "p_memsz 0x40"),
	BAD(text_load.p_memsz, 0, "header 0: p_filesz 0x40", "p_memsz 0x0"),
	BAD(text_load.p_offset, UINT64_MAX, "header 0: p_offset", "past the file"),
	BAD(text_load.p_offset, UINT64_MAX - 63, "header 0: p_offset", "past the file"),
	BAD(text_load.p_paddr, 0, "header 0: p_paddr 0x0", "below 1 MiB"),
	BAD(text_load.p_paddr, LAYOUT_HIGH_RAM - 1, "header 0: p_paddr 0xfffff", "below 1 MiB"),
	BAD(text_load.p_paddr, UINT64_MAX - 15, "header 0: p_paddr", "past the guest's memory"),
	BAD(text_load.p_paddr, RAM_SIZE - 63, "header 0: p_paddr 0xffffc1", "more memory"),
	BAD(data_load.p_memsz, UINT64_MAX, "header 1: p_paddr", "past the guest's memory"),
	BAD(data_load.p_memsz, UINT64_MAX - ELF_DATA_AT + 1, "header 1: p_paddr", "past"),
	BAD(data_load.p_paddr, ELF_TEXT_AT + 63, "headers 0 and 1", "overlap"),
	BAD(data_load.p_paddr, ELF_TEXT_AT - 0xffff, "headers 0 and 1", "overlap"),
	BAD(notes.p_filesz, 16385, "header 2: PT_NOTE", "16384"),
	BAD(notes.p_offset, UINT64_MAX, "header 2: PT_NOTE", "past the file"),
	BAD(other.hdr.n_namesz, UINT32_MAX, "n_namesz 4294967295", "past p_filesz"),
	BAD(other.hdr.n_descsz, UINT32_MAX, "n_descsz 4294967295", "past p_filesz"),
	BAD(pvh.hdr.n_descsz, 2, "PVH note: n_descsz is 2", "4 or 8"),
	BAD(pvh.hdr.n_descsz, 5, "n_descsz 5", "past p_filesz"),
	BAD(pvh.entry, ELF_TEXT_AT - 1, "PVH note 0x1fffff", "file bytes"),
	BAD(pvh.entry, ELF_TEXT_AT + 64, "PVH note 0x200040", "file bytes"),
	BAD(pvh.entry, ELF_DATA_AT + 32, "PVH note 0x300020", "file bytes"),
#undef BAD
};

static void refuses_each_bad_field_by_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEM(bad_fields); i++) {
		FIXTURE f;
		struct elf_kernel k = elf_kernel();

		fixture_init(&f);
		memcpy((unsigned char *)&k + bad_fields[i].off, &bad_fields[i].value,
			bad_fields[i].size);
		fixture_refuse(&f, &k, sizeof(k), bad_fields[i].word1, bad_fields[i].word2);
	}
}

static void refuses_an_entry_outside_the_file_bytes(void **state)
{
	(void)state;
	FIXTURE f;
	struct elf_kernel k = elf_kernel_without_note();

	fixture_init(&f);
	k.hdr.e_entry = 0xffffffff80000000 + ELF_TEXT_AT;
	fixture_refuse(&f, &k, sizeof(k), "e_entry 0xffffffff80200000", "physical address");
}

static void accepts_et_dyn_only_with_a_pvh_note(void **state)
{
	(void)state;
	FIXTURE f;
	struct elf_kernel k = elf_kernel();

	fixture_init(&f);
	k.hdr.e_type = ET_DYN;
	assert_int_equal(fixture_load(&f, &k, sizeof(k)), 0);
	k.hdr.e_phnum = 2;
	fixture_refuse(&f, &k, sizeof(k), "ET_DYN", "CONFIG_PVH");
}

static void refuses_a_file_without_segments(void **state)
{
	(void)state;
	FIXTURE f;
	struct elf_kernel k = elf_kernel();

	fixture_init(&f);
	k.text_load.p_type = k.data_load.p_type = PT_NULL;
	fixture_refuse(&f, &k, sizeof(k), "none is PT_LOAD", "");
}

static void ignores_an_empty_segment_inside_another(void **state)
{
	(void)state;
	FIXTURE f;
	struct elf_kernel k = elf_kernel();

	fixture_init(&f);
	k.data_load.p_filesz = k.data_load.p_memsz = 0;
	k.data_load.p_paddr = ELF_TEXT_AT + 8;
	assert_int_equal(fixture_load(&f, &k, sizeof(k)), 0);
	/* and when it comes first */
	k = elf_kernel();
	k.text_load.p_filesz = k.text_load.p_memsz = 0;
	k.text_load.p_paddr = ELF_DATA_AT + 8;
	k.pvh.entry = ELF_DATA_AT;
	assert_int_equal(fixture_load(&f, &k, sizeof(k)), 0);
}

/* A gmem of our own is filled by sendfile, borrowed memory by pread: same result. */
static void both_ways_of_loading_agree(void **state)
{
	(void)state;
	const struct gmem_config gc = {.size = RAM_SIZE};
	struct elf_kernel k = elf_kernel();
	unsigned char text[sizeof(k.text)], data[sizeof(k.data) + 1];
	struct gmem m;
	FIXTURE f;

	fixture_init(&f);
	assert_int_equal(gmem_init(&m, &gc, &f.e), 0);
	assert_int_equal(fixture_load(&f, &k, sizeof(k)), 0);
	assert_int_equal(boot_load(&m, &f.config, &f.entry, &f.e), 0);
	assert_int_equal(gmem_read(&m, GPA(ELF_TEXT_AT), text, sizeof(text)), 0);
	assert_int_equal(gmem_read(&m, GPA(ELF_DATA_AT), data, sizeof(data)), 0);
	assert_memory_equal(text, f.ram + ELF_TEXT_AT, sizeof(text));
	assert_memory_equal(data, f.ram + ELF_DATA_AT, sizeof(data));
	gmem_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loads_segments_at_their_physical_addresses),
		cmocka_unit_test(enters_at_the_pvh_note_when_there_is_one),
		cmocka_unit_test(enters_at_e_entry_without_the_note),
		cmocka_unit_test(finds_a_pvh_note_aligned_to_eight_bytes),
		cmocka_unit_test(refuses_truncation_at_every_byte),
		cmocka_unit_test(refuses_each_bad_field_by_name),
		cmocka_unit_test(refuses_an_entry_outside_the_file_bytes),
		cmocka_unit_test(accepts_et_dyn_only_with_a_pvh_note),
		cmocka_unit_test(refuses_a_file_without_segments),
		cmocka_unit_test(ignores_an_empty_segment_inside_another),
		cmocka_unit_test(both_ways_of_loading_agree),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
