/* SPDX-License-Identifier: Apache-2.0 */
/* Finds ACPI tables from the RSDP the monitor passed and refuses wrong checksums. */
#include "rt.h"

static uint32_t le32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint64_t le64(const uint8_t *p)
{
	return le32(p) | (uint64_t)le32(p + 4) << 32;
}

static uint8_t sum(const uint8_t *p, uint32_t len)
{
	uint8_t s = 0;

	for (uint32_t i = 0; i < len; i++)
		s = (uint8_t)(s + p[i]);
	return s;
}

const uint8_t *acpi_table(const char *signature)
{
	const uint8_t *rsdp = (const uint8_t *)rt_boot.rsdp;
	const uint8_t *xsdt;

	if (rsdp == NULL)
		return NULL;
	EXPECT(memcmp(rsdp, "RSD PTR ", 8) == 0, "RSDP has no signature");
	EXPECT_EQ(sum(rsdp, 20), 0, "sum of the RSDP's first 20 bytes");
	EXPECT(rsdp[15] >= 2, "RSDP revision %u has no XSDT", rsdp[15]);
	EXPECT_EQ(sum(rsdp, le32(rsdp + 20)), 0, "sum of the whole RSDP");
	xsdt = (const uint8_t *)le64(rsdp + 24);
	EXPECT(memcmp(xsdt, "XSDT", 4) == 0, "XSDT has no signature");
	EXPECT_EQ(sum(xsdt, le32(xsdt + 4)), 0, "sum of the XSDT");
	for (uint32_t off = 36; off + 8 <= le32(xsdt + 4); off += 8) {
		const uint8_t *t = (const uint8_t *)le64(xsdt + off);

		if (memcmp(t, signature, 4) != 0)
			continue;
		EXPECT(sum(t, le32(t + 4)) == 0, "checksum of %s", signature);
		return t;
	}
	return NULL;
}

unsigned acpi_cpus(uint32_t *ids, unsigned max)
{
	const uint8_t *madt = acpi_table("APIC");
	unsigned n = 0;

	if (madt == NULL)
		return 0;
	for (uint32_t off = 44; off + 2 <= le32(madt + 4) && madt[off + 1] >= 2;
		off += madt[off + 1]) {
		const uint8_t *e = madt + off;
		bool local = e[0] == 0 && (le32(e + 4) & 1) != 0;
		bool local_x2 = e[0] == 9 && (le32(e + 8) & 1) != 0;

		if ((local || local_x2) && n < max)
			ids[n++] = local ? e[3] : le32(e + 4);
	}
	return n;
}
