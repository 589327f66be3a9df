/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First C code of a payload, at CPL 3: collects what the monitor passed, whichever protocol was
 * used, into one struct, prepares interrupts, runs the payload, reports.
 */
#include "rt.h"

struct hvm_start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist, cmdline, rsdp, memmap;
	uint32_t memmap_entries, reserved;
};

struct hvm_modlist_entry {
	uint64_t paddr, size, cmdline, reserved;
};

struct hvm_memmap_entry {
	uint64_t addr, size;
	uint32_t type, reserved;
};

struct e820_entry {
	uint64_t addr, size;
	uint32_t type;
} __attribute__((packed));

struct payload_boot rt_boot;

void rt_start(uint64_t raw, uint32_t kind);

static void add_range(uint64_t start, uint64_t len, uint32_t type)
{
	struct payload_boot *b = &rt_boot;

	EXPECT(b->range_count < BOOT_RANGE_MAX, "more than %d memory ranges", BOOT_RANGE_MAX);
	b->range[b->range_count++] = (struct mem_range){start, len, type};
}

static void copy_cmdline(uint64_t addr)
{
	const char *s = (const char *)addr;

	for (size_t i = 0; addr != 0 && i < sizeof(rt_boot.cmdline) - 1 && s[i] != '\0'; i++)
		rt_boot.cmdline[i] = s[i];
}

static void parse_pvh(const struct hvm_start_info *si)
{
	const struct hvm_memmap_entry *m = (const void *)si->memmap;
	const struct hvm_modlist_entry *mod = (const void *)si->modlist;

	EXPECT_EQ(si->magic, 0x336ec578, "hvm_start_info.magic");
	for (uint32_t i = 0; si->version >= 1 && i < si->memmap_entries; i++)
		add_range(m[i].addr, m[i].size, m[i].type);
	rt_boot.rsdp = si->rsdp;
	if (si->nr_modules > 0) {
		rt_boot.initrd = mod[0].paddr;
		rt_boot.initrd_size = mod[0].size;
	}
	copy_cmdline(si->cmdline);
}

static uint64_t zp32(uint64_t zp, unsigned off)
{
	return *(const uint32_t *)(zp + off);
}

/* Offsets are those of the kernel's Documentation/arch/x86/zero-page.rst. */
static void parse_zero_page(uint64_t zp)
{
	const struct e820_entry *e = (const void *)(zp + 0x2d0);

	for (uint32_t i = 0; i < *(const uint8_t *)(zp + 0x1e8); i++)
		add_range(e[i].addr, e[i].size, e[i].type);
	rt_boot.rsdp = *(const uint64_t *)(zp + 0x70);
	rt_boot.initrd = zp32(zp, 0x218) | zp32(zp, 0xc0) << 32;
	rt_boot.initrd_size = zp32(zp, 0x21c) | zp32(zp, 0xc4) << 32;
	copy_cmdline(zp32(zp, 0x228) | zp32(zp, 0xc8) << 32);
}

const char *arg_find(const char *key, unsigned nth)
{
	size_t n = strlen(key);
	const char *s = rt_boot.cmdline;

	while (*s != '\0') {
		if (memcmp(s, key, n) == 0 && s[n] == '=' && nth-- == 0)
			return s + n + 1;
		while (*s != '\0' && *s != ' ')
			s++;
		while (*s == ' ')
			s++;
	}
	return NULL;
}

static unsigned digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 99;
}

uint64_t parse_u64(const char **s)
{
	uint64_t v = 0;
	unsigned base = 10;

	if ((*s)[0] == '0' && (*s)[1] == 'x') {
		base = 16;
		*s += 2;
	}
	for (; digit(**s) < base; ++*s)
		v = v * base + digit(**s);
	for (const char *unit = "KMG"; *unit != '\0'; unit++) {
		if (**s == *unit || **s == (*unit | 0x20)) {
			++*s;
			return v << (10 * (unit - "KMG" + 1));
		}
	}
	return v;
}

uint64_t arg_u64(const char *key, uint64_t otherwise)
{
	const char *s = arg_find(key, 0);

	return s == NULL ? otherwise : parse_u64(&s);
}

bool arg_is(const char *key, const char *value)
{
	const char *s = arg_find(key, 0);
	size_t n = strlen(value);

	return s != NULL && memcmp(s, value, n) == 0 && (s[n] == ' ' || s[n] == '\0');
}

uint64_t rt_patience = 1;

/* The payload, as often as payload.repeat=1 lets it: each time with the data and the heap of the first. */
static void run(void)
{
	extern char rt_data_start[], rt_data_end[], rt_bss_start[], rt_bss_end[];
	size_t len = (uint64_t)rt_data_end - (uint64_t)rt_data_start;
	bool again = arg_u64("payload.repeat", 0) != 0;
	void *data = alloc(len, 1);
	int rc;

	memcpy(data, rt_data_start, len);
	heap_keep();
	for (;;) {
		rc = payload_main(&rt_boot);
		EXPECT(rc == 0, "payload_main returned %d", rc);
		if (!again)
			return;
		print("PAYLOAD again\n");
		heap_reset();
		memcpy(rt_data_start, data, len);
		memset(rt_bss_start, 0, (uint64_t)rt_bss_end - (uint64_t)rt_bss_start);
	}
}

void rt_start(uint64_t raw, uint32_t kind)
{
	rt_boot.kind = kind;
	rt_boot.raw = raw;
	idt_init();
	tss_init(0);
	if (kind == BOOT_KIND_PVH)
		parse_pvh((const struct hvm_start_info *)raw);
	else
		parse_zero_page(raw);
	rt_patience = arg_u64("payload.patience", 1);
	apic_init(0);
	run();
	print("PAYLOAD ok\n");
	machine_reset();
}
