/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the test_boot_*.c files: 16 MiB of fresh guest memory, files made of bytes, and a small ELF
 * kernel whose every byte matters.
 */
#pragma once

#include "vmm/base/check.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/layout.h"
#include "vmm/boot/boot.h"
#include "vmm/mem/gmem.h"

#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define RAM_SIZE (16 * MIB)

/* Guest memory at `ram`, what boot_load said, and the two files it was given. */
struct fixture {
	struct gmem m;
	unsigned char *ram;
	struct boot_config config;
	struct boot_entry entry;
	struct err e;
};

static inline void fixture_init(struct fixture *f)
{
	*f = (struct fixture){.config = {.kernel_fd = -1, .initrd_fd = -1, .cmdline = "quiet"}};
	f->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(f->ram != MAP_FAILED);
	gmem_init_borrowed(&f->m, GPA(0), f->ram, RAM_SIZE);
}

static inline void fixture_fini(struct fixture *f)
{
	fd_close(&f->config.kernel_fd);
	fd_close(&f->config.initrd_fd);
	(void)munmap(f->ram, RAM_SIZE);
}

#define FIXTURE __attribute__((cleanup(fixture_fini))) struct fixture

static inline int file_of(const void *bytes, size_t len)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	return fd;
}

/* Loads a kernel of these bytes into the fixture's memory. */
static inline int fixture_load(struct fixture *f, const void *kernel, size_t len)
{
	fd_close(&f->config.kernel_fd);
	f->config.kernel_fd = file_of(kernel, len);
	f->e = (struct err){0};
	return boot_load(&f->m, &f->config, &f->entry, &f->e);
}

/* The kernel must be refused with a message that has all of `words` in it. */
static inline void fixture_refuse(
	struct fixture *f, const void *kernel, size_t len, const char *word1, const char *word2)
{
	int rc = fixture_load(f, kernel, len);

	if (rc >= 0)
		fail_msg("accepted, but expected: %s, %s", word1, word2);
	assert_int_equal(rc, f->e.code);
	if (!strstr(f->e.msg, word1) || !strstr(f->e.msg, word2))
		fail_msg("\"%s\" lacks \"%s\" or \"%s\"", f->e.msg, word1, word2);
}

#define ELF_TEXT_AT (2 * MIB)
#define ELF_DATA_AT (3 * MIB)

struct elf_note {
	Elf64_Nhdr hdr;
	char name[4];
	uint32_t entry;
};

struct elf_kernel {
	Elf64_Ehdr hdr;
	Elf64_Phdr text_load, data_load, notes;
	struct elf_note other, pvh;
	unsigned char text[64];
	unsigned char data[32];
};

static inline struct elf_kernel elf_kernel(void)
{
	struct elf_kernel k = {
		.hdr = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
			.e_type = ET_EXEC,
			.e_machine = EM_X86_64,
			.e_version = EV_CURRENT,
			.e_entry = ELF_TEXT_AT + 16,
			.e_phoff = offsetof(struct elf_kernel, text_load),
			.e_ehsize = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 3},
		.text_load = {.p_type = PT_LOAD,
			.p_offset = offsetof(struct elf_kernel, text),
			.p_paddr = ELF_TEXT_AT,
			.p_vaddr = 0xffffffff80000000 + ELF_TEXT_AT,
			.p_filesz = sizeof(k.text),
			.p_memsz = sizeof(k.text),
			.p_align = 4096},
		.data_load = {.p_type = PT_LOAD,
			.p_offset = offsetof(struct elf_kernel, data),
			.p_paddr = ELF_DATA_AT,
			.p_filesz = sizeof(k.data),
			.p_memsz = 0x10000},
		.notes = {.p_type = PT_NOTE,
			.p_offset = offsetof(struct elf_kernel, other),
			.p_filesz = 2 * sizeof(struct elf_note),
			.p_align = 4},
		.other = {{4, 4, 18}, "GNU", 0xdead},
		.pvh = {{4, 4, 18}, "Xen", ELF_TEXT_AT + 32},
	};

	for (size_t i = 0; i < sizeof(k.text); i++)
		k.text[i] = (unsigned char)(0x40 + i);
	for (size_t i = 0; i < sizeof(k.data); i++)
		k.data[i] = (unsigned char)(0x80 + i);
	return k;
}

static inline struct elf_kernel elf_kernel_without_note(void)
{
	struct elf_kernel k = elf_kernel();

	k.hdr.e_phnum = 2;
	return k;
}
