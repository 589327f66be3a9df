/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI tables, hardware-reduced (ACPI 6.4 §4.1): no PM registers, no FACS, no SCI. Sleep and
 * reset are single byte ports in FADT. Linux, told so, does without PIC, PIT and the ISA
 * interrupts' fixed numbers, so MADT needs no interrupt source overrides.
 *
 * All tables are put together in one local block, which is copied into the guest once: RSDP
 * first, where a kernel that scans for it looks first as well.
 */
#include "vmm/boot/acpi.h"

#include "vmm/base/check.h"
#include "vmm/base/layout.h"
#include "vmm/boot/dsdt.h"

#include <errno.h>
#include <string.h>

#define ACPI_BLOCK_MAX    8192u
#define ACPI_ALIGN        16u
#define ACPI_OEM_ID       "MAYFLY"
#define ACPI_LAPIC_ID_MAX 254u
#define ACPI_SPACE_IO     1
#define ACPI_ACCESS_BYTE  1

#define ACPI_FADT_WBINVD     (1u << 0)
#define ACPI_FADT_C1         (1u << 2)
#define ACPI_FADT_PWR_BUTTON (1u << 4) /* a device of the DSDT, no fixed register */
#define ACPI_FADT_SLP_BUTTON (1u << 5) /* likewise; there is none */
#define ACPI_FADT_FIX_RTC    (1u << 6)
#define ACPI_FADT_RESET_REG  (1u << 10)
#define ACPI_FADT_HW_REDUCED (1u << 20)

#define ACPI_BOOT_8042    (1u << 1)
#define ACPI_BOOT_NO_VGA  (1u << 2)
#define ACPI_BOOT_NO_ASPM (1u << 4)
#define ACPI_BOOT_NO_RTC  (1u << 5)

struct acpi_rsdp {
	char signature[8];
	uint8_t checksum; /* of the first 20 bytes */
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t checksum_all;
	uint8_t reserved[3];
} __attribute__((packed));

struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} __attribute__((packed));

struct acpi_address {
	uint8_t space;
	uint8_t bit_width;
	uint8_t bit_offset;
	uint8_t access_size;
	uint64_t address;
} __attribute__((packed));

struct acpi_xsdt {
	struct acpi_header header;
	uint64_t tables[2]; /* FADT, MADT */
} __attribute__((packed));

/* ACPI 6.4 §5.2.9; runs of fields that are all zero on such a machine are one array each. */
struct acpi_fadt {
	struct acpi_header header;
	uint32_t facs;
	uint32_t dsdt;
	uint8_t unused1[65]; /* model .. century */
	uint16_t boot_arch;
	uint8_t reserved;
	uint32_t flags;
	struct acpi_address reset_reg;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t minor_version;
	uint64_t x_facs;
	uint64_t x_dsdt;
	struct acpi_address unused2[8]; /* x_pm1a_evt_blk .. x_gpe1_blk */
	struct acpi_address sleep_control;
	struct acpi_address sleep_status;
	char hypervisor_id[8];
} __attribute__((packed));

struct acpi_madt {
	struct acpi_header header;
	uint32_t lapic;
	uint32_t flags; /* bit 0 would say that there are PICs */
} __attribute__((packed));

struct acpi_madt_lapic {
	uint8_t type; /* 0 */
	uint8_t length;
	uint8_t uid;
	uint8_t apic_id;
	uint32_t flags;
} __attribute__((packed));

struct acpi_madt_ioapic {
	uint8_t type; /* 1 */
	uint8_t length;
	uint8_t id;
	uint8_t reserved;
	uint32_t address;
	uint32_t gsi_base;
} __attribute__((packed));

struct acpi_madt_x2apic {
	uint8_t type; /* 9 */
	uint8_t length;
	uint16_t reserved;
	uint32_t apic_id;
	uint32_t flags;
	uint32_t uid;
} __attribute__((packed));

_Static_assert(sizeof(struct acpi_rsdp) == 36, "RSDP 2.0 is 36 bytes");
_Static_assert(sizeof(struct acpi_fadt) == 276, "FADT 6.x is 276 bytes");
_Static_assert(sizeof(struct acpi_madt) == 44, "MADT begins with 44 bytes");
_Static_assert(ACPI_BLOCK_MAX <= LAYOUT_ACPI_SIZE, "the tables have their place");

struct acpi_block {
	unsigned char bytes[ACPI_BLOCK_MAX];
	uint32_t used;
};

static uint8_t acpi_checksum(const void *bytes, uint32_t len)
{
	const unsigned char *p = bytes;
	uint8_t sum = 0;

	for (uint32_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	return (uint8_t)-sum;
}

/* Appends and returns the guest address. The block is sized for the largest configuration. */
static uint64_t acpi_append(struct acpi_block *b, const void *bytes, uint32_t len)
{
	uint32_t at = b->used;

	CHECK(len <= ACPI_BLOCK_MAX - at);
	memcpy(b->bytes + at, bytes, len);
	b->used += len;
	return LAYOUT_ACPI + at;
}

static void acpi_align(struct acpi_block *b)
{
	b->used = ALIGN_UP(b->used, ACPI_ALIGN);
	CHECK(b->used <= ACPI_BLOCK_MAX);
}

static struct acpi_header acpi_header(const char *signature, uint8_t revision, uint32_t length)
{
	struct acpi_header h = {
		.length = length, .revision = revision, .oem_revision = 1, .creator_revision = 1};

	memcpy(h.signature, signature, sizeof(h.signature));
	memcpy(h.oem_id, ACPI_OEM_ID, sizeof(h.oem_id));
	memcpy(h.oem_table_id, "MAYFLYVM", sizeof(h.oem_table_id));
	memcpy(h.creator_id, "MFLY", sizeof(h.creator_id));
	return h;
}

/* Sets length and checksum of the table that begins at `at` and ends with the block. */
static void acpi_seal(struct acpi_block *b, uint64_t at)
{
	unsigned char *table = b->bytes + (at - LAYOUT_ACPI);
	uint32_t length = b->used - (uint32_t)(at - LAYOUT_ACPI);
	uint8_t sum;

	memcpy(table + offsetof(struct acpi_header, length), &length, sizeof(length));
	table[offsetof(struct acpi_header, checksum)] = 0;
	sum = acpi_checksum(table, length);
	table[offsetof(struct acpi_header, checksum)] = sum;
	acpi_align(b);
}

static uint64_t acpi_add_dsdt(struct acpi_block *b, uint32_t virtio_count)
{
	struct acpi_header h = acpi_header("DSDT", 2, 0); /* 2: integers have 64 bits */
	uint64_t at = acpi_append(b, &h, sizeof(h));
	struct aml a;

	aml_init(&a, b->bytes + b->used, ACPI_BLOCK_MAX - b->used);
	dsdt_write(&a, virtio_count);
	CHECK(!a.overflow);
	b->used += a.used;
	acpi_seal(b, at);
	return at;
}

static struct acpi_address acpi_port(uint16_t port)
{
	return (struct acpi_address){ACPI_SPACE_IO, 8, 0, ACPI_ACCESS_BYTE, port};
}

static uint64_t acpi_add_fadt(struct acpi_block *b, uint64_t dsdt)
{
	struct acpi_fadt f = {
		.header = acpi_header("FACP", 6, sizeof(f)),
		.dsdt = (uint32_t)dsdt,
		.boot_arch =
			ACPI_BOOT_8042 | ACPI_BOOT_NO_VGA | ACPI_BOOT_NO_ASPM | ACPI_BOOT_NO_RTC,
		.flags = ACPI_FADT_WBINVD | ACPI_FADT_C1 | ACPI_FADT_PWR_BUTTON |
			 ACPI_FADT_SLP_BUTTON | ACPI_FADT_FIX_RTC | ACPI_FADT_RESET_REG |
			 ACPI_FADT_HW_REDUCED,
		.reset_reg = acpi_port(LAYOUT_PORT_ACPI_RESET),
		.reset_value = LAYOUT_ACPI_RESET_VALUE,
		.minor_version = 4,
		.x_dsdt = dsdt,
		.sleep_control = acpi_port(LAYOUT_PORT_ACPI_SLEEP),
		.sleep_status = acpi_port(LAYOUT_PORT_ACPI_STATUS),
		.hypervisor_id = ACPI_OEM_ID,
	};
	uint64_t at = acpi_append(b, &f, sizeof(f));

	acpi_seal(b, at);
	return at;
}

/* Ids above 254 do not fit the old entry; 255 means "all" there. */
static void acpi_add_cpu(struct acpi_block *b, uint32_t uid, uint32_t apic_id)
{
	if (apic_id <= ACPI_LAPIC_ID_MAX) {
		struct acpi_madt_lapic lapic = {
			0, sizeof(lapic), (uint8_t)uid, (uint8_t)apic_id, 1};

		(void)acpi_append(b, &lapic, sizeof(lapic));
	} else {
		struct acpi_madt_x2apic x2apic = {9, sizeof(x2apic), 0, apic_id, 1, uid};

		(void)acpi_append(b, &x2apic, sizeof(x2apic));
	}
}

static uint64_t acpi_add_madt(struct acpi_block *b, const struct acpi_config *c)
{
	struct acpi_madt madt = {acpi_header("APIC", 5, 0), (uint32_t)LAYOUT_LAPIC, 0};
	/* Since x2APIC the I/O APIC's id shares no number space with those of the CPUs. */
	struct acpi_madt_ioapic ioapic = {1, sizeof(ioapic), 0, 0, (uint32_t)LAYOUT_IOAPIC, 0};
	uint64_t at = acpi_append(b, &madt, sizeof(madt));

	for (uint32_t i = 0; i < c->vcpu_count; i++)
		acpi_add_cpu(b, i, c->apic_ids[i]);
	(void)acpi_append(b, &ioapic, sizeof(ioapic));
	acpi_seal(b, at);
	return at;
}

static void acpi_fill_rsdp(struct acpi_block *b, uint64_t xsdt)
{
	struct acpi_rsdp r = {.revision = 2, .length = sizeof(r), .xsdt = xsdt};

	memcpy(r.signature, "RSD PTR ", sizeof(r.signature));
	memcpy(r.oem_id, ACPI_OEM_ID, sizeof(r.oem_id));
	r.checksum = acpi_checksum(&r, 20);
	r.checksum_all = acpi_checksum(&r, sizeof(r));
	memcpy(b->bytes, &r, sizeof(r));
}

int acpi_build(struct gmem *m, const struct acpi_config *c, gpa_t *ret_rsdp, struct err *e)
{
	struct acpi_block b = {.used = sizeof(struct acpi_rsdp)};
	struct acpi_xsdt xsdt = {.header = acpi_header("XSDT", 1, sizeof(xsdt))};
	uint64_t dsdt, at;

	CHECK(c->vcpu_count >= 1 && c->vcpu_count <= LAYOUT_VCPUS_MAX);
	CHECK(c->virtio_count <= LAYOUT_VIRTIO_COUNT_MAX);
	acpi_align(&b);
	dsdt = acpi_add_dsdt(&b, c->virtio_count);
	xsdt.tables[0] = acpi_add_fadt(&b, dsdt);
	xsdt.tables[1] = acpi_add_madt(&b, c);
	at = acpi_append(&b, &xsdt, sizeof(xsdt));
	acpi_seal(&b, at);
	acpi_fill_rsdp(&b, at);
	if (gmem_write(m, GPA(LAYOUT_ACPI), b.bytes, b.used) < 0)
		return err_set(
			e, -EFAULT, "memory: no RAM for the ACPI tables at 0x%llx", LAYOUT_ACPI);
	*ret_rsdp = GPA(LAYOUT_ACPI);
	return 0;
}
