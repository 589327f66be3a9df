/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ELF64 kernels. A file with the PVH note (Xen public/elfnote.h: XEN_ELFNOTE_PHYS32_ENTRY) is
 * entered there in 32-bit mode; any other is entered at e_entry by the Linux 64-bit protocol.
 * Segments go to their physical addresses straight from the file. What a segment has beyond its
 * file bytes is fresh guest memory and so already zero.
 */
#include "vmm/boot/loader.h"

#include "vmm/base/layout.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define ELF_PHDRS_MAX 64u
#define ELF_NOTES_MAX 16384u /* bytes of one PT_NOTE */
#define ELF_NOTE_PVH  18u    /* XEN_ELFNOTE_PHYS32_ENTRY */

struct elf {
	const struct boot_image *img;
	Elf64_Ehdr ehdr;
	Elf64_Phdr phdrs[ELF_PHDRS_MAX];
	uint64_t pvh_entry;
	bool pvh_found;
};

static int elf_check_ident(const struct elf *f, struct err *e)
{
	const unsigned char *ident = f->ehdr.e_ident;

	if (ident[EI_CLASS] != ELFCLASS64)
		return err_set(e, -ENOEXEC,
			"kernel: ELF e_ident[EI_CLASS] is %u; give a 64-bit x86 kernel (2)",
			ident[EI_CLASS]);
	if (ident[EI_DATA] != ELFDATA2LSB)
		return err_set(e, -ENOEXEC,
			"kernel: ELF e_ident[EI_DATA] is %u; give a little-endian x86-64 kernel "
			"(1)",
			ident[EI_DATA]);
	if (f->ehdr.e_machine != EM_X86_64)
		return err_set(e, -ENOEXEC,
			"kernel: ELF e_machine is %u; give a kernel built for x86-64 (62)",
			f->ehdr.e_machine);
	if (f->ehdr.e_type != ET_EXEC && f->ehdr.e_type != ET_DYN)
		return err_set(e, -ENOEXEC,
			"kernel: ELF e_type is %u; give a linked kernel (2, ET_EXEC), not an "
			"object or core file",
			f->ehdr.e_type);
	return 0;
}

static int elf_read_headers(struct elf *f, struct err *e)
{
	const Elf64_Ehdr *h = &f->ehdr;
	uint64_t bytes;
	int rc;

	if (f->img->size < sizeof(f->ehdr))
		return err_set(e, -ENOEXEC,
			"kernel: ELF header: the file ends within it (%" PRIu64 " bytes)",
			f->img->size);
	rc = image_read(f->img, 0, &f->ehdr, sizeof(f->ehdr), e);
	if (rc == 0)
		rc = elf_check_ident(f, e);
	if (rc < 0)
		return rc;
	if (h->e_phentsize != sizeof(Elf64_Phdr))
		return err_set(e, -ENOEXEC, "kernel: ELF e_phentsize is %u; it must be %zu",
			h->e_phentsize, sizeof(Elf64_Phdr));
	if (h->e_phnum == 0 || h->e_phnum > ELF_PHDRS_MAX)
		return err_set(e, -ENOEXEC, "kernel: ELF e_phnum is %u; 1 to %u are allowed",
			h->e_phnum, ELF_PHDRS_MAX);
	bytes = (uint64_t)h->e_phnum * sizeof(Elf64_Phdr);
	if (!in_range(h->e_phoff, bytes, f->img->size))
		return err_set(e, -ENOEXEC,
			"kernel: ELF e_phoff 0x%" PRIx64
			": %u program headers end past the file (%" PRIu64 " bytes)",
			h->e_phoff, h->e_phnum, f->img->size);
	return image_read(f->img, h->e_phoff, f->phdrs, bytes, e);
}

static int elf_check_segment(const struct elf *f, uint32_t n, uint64_t ram_end, struct err *e)
{
	const Elf64_Phdr *p = &f->phdrs[n];

	if (p->p_filesz > p->p_memsz)
		return err_set(e, -ENOEXEC,
			"kernel: ELF program header %u: p_filesz 0x%" PRIx64
			" exceeds p_memsz 0x%" PRIx64,
			n, p->p_filesz, p->p_memsz);
	if (!in_range(p->p_offset, p->p_filesz, f->img->size))
		return err_set(e, -ENOEXEC,
			"kernel: ELF program header %u: p_offset 0x%" PRIx64
			" with p_filesz 0x%" PRIx64 " ends past the file (%" PRIu64 " bytes)",
			n, p->p_offset, p->p_filesz, f->img->size);
	if (p->p_paddr < LAYOUT_HIGH_RAM)
		return err_set(e, -ENOEXEC,
			"kernel: ELF program header %u: p_paddr 0x%" PRIx64
			" is below 1 MiB, where the boot structures are",
			n, p->p_paddr);
	if (!in_range(p->p_paddr, p->p_memsz, ram_end))
		return err_set(e, -ENOEXEC,
			"kernel: ELF program header %u: p_paddr 0x%" PRIx64
			" with p_memsz 0x%" PRIx64
			" ends past the guest's memory below the 32-bit hole (0x%" PRIx64
			"); give the guest more memory",
			n, p->p_paddr, p->p_memsz, ram_end);
	for (uint32_t i = 0; i < n; i++) {
		const Elf64_Phdr *q = &f->phdrs[i];

		if (q->p_type == PT_LOAD && q->p_memsz > 0 &&
			q->p_paddr < p->p_paddr + p->p_memsz &&
			p->p_paddr < q->p_paddr + q->p_memsz)
			return err_set(e, -ENOEXEC,
				"kernel: ELF program headers %u and %u: p_paddr 0x%" PRIx64
				" and 0x%" PRIx64 ": the segments overlap",
				i, n, q->p_paddr, p->p_paddr);
	}
	return 0;
}

/* One note at buf[off]; advances *off past it. 1: the PVH note, 0: another, -errno. */
static int elf_parse_note(const unsigned char *buf, uint64_t size, uint64_t align, uint64_t *off,
	uint64_t *ret_entry, struct err *e)
{
	uint64_t at = *off, desc, next;
	Elf64_Nhdr h;

	memcpy(&h, buf + at, sizeof(h));
	/* Sizes are 32 bits and `at` is below ELF_NOTES_MAX: these sums cannot wrap. */
	desc = ALIGN_UP(at + sizeof(h) + h.n_namesz, align);
	next = ALIGN_UP(desc + h.n_descsz, align);
	if (desc + h.n_descsz > size)
		return err_set(e, -ENOEXEC,
			"kernel: ELF note at 0x%" PRIx64
			" of its PT_NOTE: n_namesz %u, n_descsz %u end "
			"past p_filesz 0x%" PRIx64,
			at, h.n_namesz, h.n_descsz, size);
	*off = next;
	if (h.n_type != ELF_NOTE_PVH || h.n_namesz != 4 ||
		memcmp(buf + at + sizeof(h), "Xen", 4) != 0)
		return 0;
	if (h.n_descsz != 4 && h.n_descsz != 8)
		return err_set(e, -ENOEXEC,
			"kernel: ELF PVH note: n_descsz is %u; an entry address has 4 or 8 bytes",
			h.n_descsz);
	*ret_entry = 0;
	memcpy(ret_entry, buf + desc, h.n_descsz);
	return 1;
}

static int elf_find_pvh(struct elf *f, uint32_t n, struct err *e)
{
	const Elf64_Phdr *p = &f->phdrs[n];
	uint64_t align = p->p_align == 8 ? 8 : 4, off = 0;
	unsigned char buf[ELF_NOTES_MAX];
	int rc;

	if (p->p_filesz > sizeof(buf) || !in_range(p->p_offset, p->p_filesz, f->img->size))
		return err_set(e, -ENOEXEC,
			"kernel: ELF program header %u: PT_NOTE p_offset 0x%" PRIx64
			" with p_filesz 0x%" PRIx64 " ends past the file (%" PRIu64
			" bytes) or is larger than %zu bytes",
			n, p->p_offset, p->p_filesz, f->img->size, sizeof(buf));
	rc = image_read(f->img, p->p_offset, buf, p->p_filesz, e);
	while (rc == 0 && in_range(off, sizeof(Elf64_Nhdr), p->p_filesz))
		rc = elf_parse_note(buf, p->p_filesz, align, &off, &f->pvh_entry, e);
	f->pvh_found = rc == 1;
	return rc < 0 ? rc : 0;
}

/* What the file is, before where it wants to go: that makes the better message. */
static int elf_check_kind(struct elf *f, struct err *e)
{
	for (uint32_t i = 0; i < f->ehdr.e_phnum; i++) {
		int rc = 0;

		if (f->phdrs[i].p_type == PT_INTERP)
			return err_set(e, -ENOEXEC,
				"kernel: ELF program header %u is PT_INTERP: this is a program for "
				"Linux; give a kernel (vmlinux or bzImage)",
				i);
		if (f->phdrs[i].p_type == PT_NOTE && !f->pvh_found)
			rc = elf_find_pvh(f, i, e);
		if (rc < 0)
			return rc;
	}
	if (!f->pvh_found && f->ehdr.e_type == ET_DYN)
		return err_set(e, -ENOEXEC,
			"kernel: ELF e_type is 3 (ET_DYN) and there is no PVH note; give a kernel "
			"with one (CONFIG_PVH), or one linked to a fixed address");
	return 0;
}

static int elf_check_segments(
	const struct elf *f, uint64_t ram_end, struct boot_kernel *k, struct err *e)
{
	k->start = UINT64_MAX;
	for (uint32_t i = 0; i < f->ehdr.e_phnum; i++) {
		const Elf64_Phdr *p = &f->phdrs[i];
		int rc;

		if (p->p_type != PT_LOAD || (p->p_filesz == 0 && p->p_memsz == 0))
			continue;
		rc = elf_check_segment(f, i, ram_end, e);
		if (rc < 0)
			return rc;
		k->start = MIN(k->start, p->p_paddr);
		k->end = MAX(k->end, p->p_paddr + p->p_memsz);
	}
	if (k->end == 0)
		return err_set(e, -ENOEXEC,
			"kernel: ELF program headers: none is PT_LOAD; there is nothing to load");
	return 0;
}

static int elf_check_entry(const struct elf *f, uint64_t entry, struct err *e)
{
	for (uint32_t i = 0; i < f->ehdr.e_phnum; i++) {
		const Elf64_Phdr *p = &f->phdrs[i];

		if (p->p_type == PT_LOAD && entry >= p->p_paddr && entry - p->p_paddr < p->p_filesz)
			return 0;
	}
	return err_set(e, -ENOEXEC,
		"kernel: ELF %s 0x%" PRIx64 ": the entry point is a physical address and must lie "
		"in the file bytes of a PT_LOAD segment",
		f->pvh_found ? "PVH note" : "e_entry", entry);
}

int elf_load(
	struct gmem *m, const struct boot_image *img, struct boot_kernel *ret_kernel, struct err *e)
{
	struct boot_kernel *k = ret_kernel;
	struct elf f = {.img = img};
	int rc = elf_read_headers(&f, e);

	if (rc == 0)
		rc = elf_check_kind(&f, e);
	if (rc == 0)
		rc = elf_check_segments(&f, boot_low_ram_end(m), k, e);
	if (rc < 0)
		return rc;
	k->protocol = f.pvh_found ? BOOT_PROTOCOL_PVH : BOOT_PROTOCOL_LINUX64;
	k->entry = f.pvh_found ? f.pvh_entry : f.ehdr.e_entry;
	k->initrd_addr_max = BOOT_INITRD_ADDR_MAX;
	rc = elf_check_entry(&f, k->entry, e);
	for (uint32_t i = 0; rc == 0 && i < f.ehdr.e_phnum; i++) {
		const Elf64_Phdr *p = &f.phdrs[i];

		if (p->p_type == PT_LOAD && p->p_filesz > 0)
			rc = image_load(img, p->p_offset, m, GPA(p->p_paddr), p->p_filesz, e);
	}
	return rc;
}
