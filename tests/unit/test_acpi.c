/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI tables as a guest sees them: structure and checksums by hand, and the DSDT by iasl, an
 * independent reader, where it is installed: what it disassembles must compile to the same bytes.
 */
#include "vmm/boot/acpi.h"
#include "vmm/boot/aml.h"

#include "vmm/base/cleanup.h"
#include "vmm/base/io.h"
#include "vmm/base/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#define RAM_SIZE    MIB
#define HEADER_SIZE 36u

static unsigned char ram[RAM_SIZE];
static struct gmem mem;

static uint64_t le(const unsigned char *at, size_t len)
{
	uint64_t v = 0;

	memcpy(&v, at, len);
	return v;
}

static uint8_t sum(const unsigned char *at, uint64_t len)
{
	uint8_t s = 0;

	for (uint64_t i = 0; i < len; i++)
		s = (uint8_t)(s + at[i]);
	return s;
}

static void build(uint32_t vcpu_count, uint32_t first_apic_id, uint32_t virtio_count)
{
	uint32_t ids[LAYOUT_VCPUS_MAX];
	struct acpi_config c = {vcpu_count, ids, virtio_count};
	struct err e = {0};
	gpa_t rsdp = {0};

	for (uint32_t i = 0; i < LAYOUT_VCPUS_MAX; i++)
		ids[i] = first_apic_id + i;
	memset(ram, 0, sizeof(ram));
	gmem_init_borrowed(&mem, GPA(0), ram, sizeof(ram));
	assert_int_equal(acpi_build(&mem, &c, &rsdp, &e), 0);
	assert_int_equal(rsdp.v, LAYOUT_ACPI);
}

/* The table at a guest address, checked for signature, length, checksum and place. */
static const unsigned char *table(uint64_t at, const char *signature)
{
	const unsigned char *t = ram + at;

	assert_in_range(at, LAYOUT_ACPI, LAYOUT_ACPI + LAYOUT_ACPI_SIZE);
	assert_memory_equal(t, signature, 4);
	assert_true(at + le(t + 4, 4) <= LAYOUT_ACPI + LAYOUT_ACPI_SIZE);
	assert_int_equal(sum(t, le(t + 4, 4)), 0);
	return t;
}

static const unsigned char *xsdt_entry(uint32_t n, const char *signature)
{
	const unsigned char *xsdt = table(le(ram + LAYOUT_ACPI + 24, 8), "XSDT");

	assert_true(HEADER_SIZE + 8 * (n + 1) <= le(xsdt + 4, 4));
	return table(le(xsdt + HEADER_SIZE + (size_t)8 * n, 8), signature);
}

static const unsigned char *dsdt(void)
{
	return table(le(xsdt_entry(0, "FACP") + 140, 8), "DSDT");
}

static void rsdp_is_sound(void **state)
{
	(void)state;
	const unsigned char *rsdp = ram + LAYOUT_ACPI;

	build(1, 0, 0);
	assert_memory_equal(rsdp, "RSD PTR ", 8);
	assert_int_equal(sum(rsdp, 20), 0);
	assert_int_equal(le(rsdp + 20, 4), 36);
	assert_int_equal(sum(rsdp, 36), 0);
	assert_int_equal(rsdp[15], 2);
}

static void assert_port(const unsigned char *address, uint16_t port)
{
	static const unsigned char byte_port[] = {1, 8, 0, 1};

	assert_memory_equal(address, byte_port, sizeof(byte_port));
	assert_int_equal(le(address + 4, 8), port);
}

static void fadt_is_hardware_reduced_with_sleep_and_reset_ports(void **state)
{
	(void)state;
	const unsigned char *fadt;

	build(1, 0, 0);
	fadt = xsdt_entry(0, "FACP");
	assert_int_equal(le(fadt + 4, 4), 276);
	assert_int_equal(fadt[8], 6);
	assert_int_equal(le(fadt + 40, 4), le(fadt + 140, 8)); /* DSDT, twice */
	assert_int_equal(le(fadt + 109, 2), 0x36);
	assert_int_equal(le(fadt + 112, 4) & (1 << 20 | 1 << 10), 1 << 20 | 1 << 10);
	assert_port(fadt + 116, LAYOUT_PORT_ACPI_RESET);
	assert_int_equal(fadt[128], 1);
	assert_port(fadt + 244, LAYOUT_PORT_ACPI_SLEEP);
	assert_port(fadt + 256, LAYOUT_PORT_ACPI_STATUS);
	assert_memory_equal(fadt + 268, "MAYFLY\0", 8);
}

static void madt_lists_every_cpu_and_one_ioapic(void **state)
{
	(void)state;
	static const unsigned char ioapic[] = {1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0};
	const unsigned char *madt;

	build(3, 4, 0);
	madt = xsdt_entry(1, "APIC");
	assert_int_equal(le(madt + 4, 4), 44 + 3 * 8 + 12);
	assert_int_equal(le(madt + 36, 4), LAYOUT_LAPIC);
	assert_int_equal(le(madt + 40, 4), 0); /* no PICs */
	for (unsigned char i = 0; i < 3; i++) {
		const unsigned char lapic[] = {0, 8, i, (unsigned char)(4 + i), 1, 0, 0, 0};

		assert_memory_equal(madt + 44 + (size_t)8 * i, lapic, sizeof(lapic));
	}
	assert_memory_equal(madt + 44 + 24, ioapic, sizeof(ioapic));
}

static void madt_uses_x2apic_entries_from_id_255_on(void **state)
{
	(void)state;
	static const unsigned char lapic[] = {0, 8, 0, 254, 1, 0, 0, 0};
	static const unsigned char x2apic[] = {9, 16, 0, 0, 255, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0};
	const unsigned char *madt;

	build(2, 254, 0);
	madt = xsdt_entry(1, "APIC");
	assert_memory_equal(madt + 44, lapic, sizeof(lapic));
	assert_memory_equal(madt + 52, x2apic, sizeof(x2apic));
}

static void the_largest_machine_fits(void **state)
{
	(void)state;
	build(LAYOUT_VCPUS_MAX, 1000, LAYOUT_VIRTIO_COUNT_MAX);
	(void)dsdt();
	assert_int_equal(le(xsdt_entry(1, "APIC") + 4, 4), 44 + 16 * LAYOUT_VCPUS_MAX + 12);
	assert_int_equal(ram[LAYOUT_VMGENID], 0); /* somebody else's */
}

static void a_virtio_device_has_its_address_and_interrupt(void **state)
{
	(void)state;
	const unsigned char *t, *dev;
	unsigned char crs[] = {0x86, 9, 0, 1, 0, 0x30, 0, 0xc0, 0, 0x10, 0, 0, 0x89, 6, 0, 3, 1,
		LAYOUT_GSI_VIRTIO + 2, 0, 0, 0, 0x79, 0};

	build(1, 0, 3);
	t = dsdt();
	dev = memmem(t, le(t + 4, 4), "VR02", 4);
	assert_non_null(dev);
	assert_memory_equal(dev + 4, "\x08_HID\x0dLNRO0005", 15);
	assert_non_null(memmem(dev, 100, crs, sizeof(crs)));
	assert_null(memmem(t, le(t + 4, 4), "VR03", 4));
}

static void vmclock_has_its_page_and_its_event(void **state)
{
	(void)state;
	const unsigned char *t, *dev;
	static const unsigned char crs[] = {
		0x86, 9, 0, 1, 0x00, 0xe0, 0x0f, 0, 0x00, 0x10, 0, 0, 0x79, 0};
	static const unsigned char ged[] = {0x89, 6, 0, 3, 1, LAYOUT_GSI_VMCLOCK, 0, 0, 0};

	build(1, 0, 0);
	t = dsdt();
	dev = memmem(t, le(t + 4, 4), "VCLK", 4);
	assert_non_null(dev);
	assert_memory_equal(dev + 4,
		"\x08_HID\x0d"
		"AMZNC10C",
		15);
	assert_non_null(memmem(dev, 80, "VMCLOCK", 8));
	assert_non_null(memmem(dev, 80, crs, sizeof(crs)));
	assert_non_null(memmem(t, le(t + 4, 4), ged, sizeof(ged)));
}

static void iasl_compiles_its_disassembly_to_the_same_bytes(void **state)
{
	(void)state;
	char dir[] = "/tmp/mayfly-acpi-XXXXXX", cmd[512], path[64];
	const unsigned char *t;
	CLEANUP_FREE
	char *back = NULL;
	struct err e = {0};
	size_t len = 0;
	int fd, status, rc;

	if (system("command -v iasl >/dev/null") != 0) {
		print_message("iasl is not installed (acpica-tools)\n");
		skip();
	}
	build(4, 0, LAYOUT_VIRTIO_COUNT_MAX);
	t = dsdt();
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/d.dat", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(io_write_full(fd, t, le(t + 4, 4)), 0);
	(void)close(fd);
	(void)snprintf(cmd, sizeof(cmd),
		"cd %s && iasl -d d.dat >log 2>&1 && iasl -we -p r d.dsl >>log 2>&1 && "
		"! grep -iE '(error|warning)[^s]' log",
		dir);
	status = system(cmd);
	(void)snprintf(path, sizeof(path), "%s/r.aml", dir);
	rc = io_read_file(path, 65536, &back, &len, &e);
	(void)snprintf(cmd, sizeof(cmd), "test %d = 0 || cat %s/log; rm -r %s", status, dir, dir);
	(void)!system(cmd);
	assert_int_equal(status, 0);
	assert_int_equal(rc, 0);
	assert_int_equal(len, le(t + 4, 4));
	assert_memory_equal(back + HEADER_SIZE, t + HEADER_SIZE, len - HEADER_SIZE);
}

/* ACPI 6.4 §20.2.4: one byte up to 63, then a nibble and whole bytes. */
static void package_lengths_take_the_shortest_form(void **state)
{
	(void)state;
	static const struct {
		uint32_t content;
		uint32_t lead_size;
		unsigned char lead[3];
	} cases[] = {
		{62, 1, {63}},
		{63, 2, {0x41, 4}},
		{4093, 2, {0x4f, 0xff}},
		{4094, 3, {0x81, 0x00, 0x01}},
	};

	for (size_t i = 0; i < NELEM(cases); i++) {
		static unsigned char buf[8192];
		uint32_t open;
		struct aml a;

		aml_init(&a, buf, sizeof(buf));
		open = aml_scope_open(&a, "_SB_");
		while (a.used - open < cases[i].content)
			aml_integer(&a, 0);
		aml_close(&a, open);
		assert_false(a.overflow);
		assert_memory_equal(buf + 1, cases[i].lead, cases[i].lead_size);
		assert_memory_equal(buf + 1 + cases[i].lead_size, "_SB_", 4);
		assert_int_equal(a.used, 1 + cases[i].lead_size + cases[i].content);
	}
}

static void the_aml_writer_never_passes_its_buffer(void **state)
{
	(void)state;
	for (uint32_t size = 0; size < 64; size++) {
		CLEANUP_FREE
		unsigned char *buf = malloc(size ? size : 1);
		struct aml_resources r = {.used = 0};
		uint32_t open;
		struct aml a;

		aml_init(&a, buf, size);
		open = aml_device_open(&a, "COM1");
		aml_name_eisa_id(&a, "_HID", "PNP0501");
		aml_name_string(&a, "_DDN", "a string");
		aml_resource_interrupt(&r, 4);
		aml_name_resources(&a, "_CRS", &r);
		aml_close(&a, open);
		assert_true(a.used <= size);
		assert_int_equal(a.overflow, size < 52);
	}
}

static void eisa_ids_are_packed(void **state)
{
	(void)state;
	unsigned char buf[16];
	struct aml a;

	aml_init(&a, buf, sizeof(buf));
	aml_name_eisa_id(&a, "_HID", "PNP0C0F");
	assert_memory_equal(buf, "\x08_HID\x0c\x41\xd0\x0c\x0f", 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rsdp_is_sound),
		cmocka_unit_test(fadt_is_hardware_reduced_with_sleep_and_reset_ports),
		cmocka_unit_test(madt_lists_every_cpu_and_one_ioapic),
		cmocka_unit_test(madt_uses_x2apic_entries_from_id_255_on),
		cmocka_unit_test(the_largest_machine_fits),
		cmocka_unit_test(a_virtio_device_has_its_address_and_interrupt),
		cmocka_unit_test(vmclock_has_its_page_and_its_event),
		cmocka_unit_test(iasl_compiles_its_disassembly_to_the_same_bytes),
		cmocka_unit_test(package_lengths_take_the_shortest_form),
		cmocka_unit_test(the_aml_writer_never_passes_its_buffer),
		cmocka_unit_test(eisa_ids_are_packed),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
