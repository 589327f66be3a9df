/* SPDX-License-Identifier: Apache-2.0 */
/* AML byte code. See aml.h. Numbers in comments are sections of ACPI 6.4. */
#include "vmm/boot/aml.h"

#include "vmm/base/check.h"

#include <string.h>

/* 20.3 */
#define AML_OP_ZERO    0x00
#define AML_OP_ONE     0x01
#define AML_OP_NAME    0x08
#define AML_OP_BYTE    0x0a
#define AML_OP_WORD    0x0b
#define AML_OP_DWORD   0x0c
#define AML_OP_STRING  0x0d
#define AML_OP_QWORD   0x0e
#define AML_OP_SCOPE   0x10
#define AML_OP_BUFFER  0x11
#define AML_OP_PACKAGE 0x12
#define AML_OP_METHOD  0x14
#define AML_OP_EXT     0x5b
#define AML_OP_DEVICE  0x82 /* behind AML_OP_EXT */
#define AML_OP_ARG0    0x68
#define AML_OP_NOTIFY  0x86
#define AML_OP_LEQUAL  0x93
#define AML_OP_IF      0xa0

#define AML_NAME_SIZE 4u
#define AML_PKG_MAX   0x0fffffffu

static void aml_bytes(struct aml *a, const void *bytes, uint32_t len)
{
	if (len > a->size - a->used) {
		a->overflow = true;
		return;
	}
	memcpy(a->buf + a->used, bytes, len);
	a->used += len;
}

static void aml_byte(struct aml *a, uint8_t byte)
{
	aml_bytes(a, &byte, 1);
}

static void aml_name_segment(struct aml *a, const char *name)
{
	CHECK(strlen(name) == AML_NAME_SIZE);
	aml_bytes(a, name, AML_NAME_SIZE);
}

void aml_init(struct aml *a, void *buf, uint32_t size)
{
	*a = (struct aml){.buf = buf, .size = size};
}

/*
 * 20.2.4: the package length counts itself and has one to four bytes, the shortest that will do.
 * It is only known at the end, so the content is moved up to make room for it.
 */
void aml_close(struct aml *a, uint32_t open)
{
	unsigned char lead[4];
	uint32_t content, len, extra = 0;

	if (a->overflow)
		return;
	CHECK(open <= a->used);
	content = a->used - open;
	if (content + 1 >= 1u << 6)
		extra = content + 2 < 1u << 12 ? 1 : content + 3 < 1u << 20 ? 2 : 3;
	len = content + 1 + extra;
	CHECK(len <= AML_PKG_MAX);
	if (extra == 0) {
		lead[0] = (unsigned char)len;
	} else {
		lead[0] = (unsigned char)(extra << 6 | (len & 0xf));
		for (uint32_t i = 0; i < extra; i++)
			lead[i + 1] = (unsigned char)(len >> (4 + 8 * i));
	}
	if (extra + 1 > a->size - a->used) {
		a->overflow = true;
		return;
	}
	memmove(a->buf + open + extra + 1, a->buf + open, content);
	memcpy(a->buf + open, lead, extra + 1);
	a->used += extra + 1;
}

uint32_t aml_scope_open(struct aml *a, const char *name)
{
	uint32_t open;

	aml_byte(a, AML_OP_SCOPE);
	open = a->used;
	aml_name_segment(a, name);
	return open;
}

uint32_t aml_device_open(struct aml *a, const char *name)
{
	uint32_t open;

	aml_byte(a, AML_OP_EXT);
	aml_byte(a, AML_OP_DEVICE);
	open = a->used;
	aml_name_segment(a, name);
	return open;
}

uint32_t aml_method_open(struct aml *a, const char *name, uint32_t arg_count)
{
	uint32_t open;

	CHECK(arg_count <= 7);
	aml_byte(a, AML_OP_METHOD);
	open = a->used;
	aml_name_segment(a, name);
	aml_byte(a, (uint8_t)(arg_count | 1u << 3)); /* bit 3: one caller at a time */
	return open;
}

uint32_t aml_name_package_open(struct aml *a, const char *name, uint32_t element_count)
{
	uint32_t open;

	CHECK(element_count <= 255);
	aml_byte(a, AML_OP_NAME);
	aml_name_segment(a, name);
	aml_byte(a, AML_OP_PACKAGE);
	open = a->used;
	aml_byte(a, (uint8_t)element_count);
	return open;
}

uint32_t aml_if_arg0_equals_open(struct aml *a, uint64_t value)
{
	uint32_t open;

	aml_byte(a, AML_OP_IF);
	open = a->used;
	aml_byte(a, AML_OP_LEQUAL);
	aml_byte(a, AML_OP_ARG0);
	aml_integer(a, value);
	return open;
}

void aml_integer(struct aml *a, uint64_t value)
{
	if (value <= 1) {
		aml_byte(a, value ? AML_OP_ONE : AML_OP_ZERO);
	} else if (value <= UINT8_MAX) {
		aml_byte(a, AML_OP_BYTE);
		aml_bytes(a, &value, 1);
	} else if (value <= UINT16_MAX) {
		aml_byte(a, AML_OP_WORD);
		aml_bytes(a, &value, 2);
	} else if (value <= UINT32_MAX) {
		aml_byte(a, AML_OP_DWORD);
		aml_bytes(a, &value, 4);
	} else {
		aml_byte(a, AML_OP_QWORD);
		aml_bytes(a, &value, 8);
	}
}

void aml_notify(struct aml *a, const char *object, uint64_t value)
{
	aml_byte(a, AML_OP_NOTIFY);
	aml_name_segment(a, object);
	aml_integer(a, value);
}

void aml_name_integer(struct aml *a, const char *name, uint64_t value)
{
	aml_byte(a, AML_OP_NAME);
	aml_name_segment(a, name);
	aml_integer(a, value);
}

void aml_name_string(struct aml *a, const char *name, const char *value)
{
	aml_byte(a, AML_OP_NAME);
	aml_name_segment(a, name);
	aml_byte(a, AML_OP_STRING);
	aml_bytes(a, value, (uint32_t)strlen(value) + 1);
}

static uint32_t aml_hex_digit(char c)
{
	CHECK((c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'));
	return (uint32_t)(c <= '9' ? c - '0' : c - 'A' + 10);
}

/* 19.3.4: three letters of five bits, four hex digits, big endian. */
void aml_name_eisa_id(struct aml *a, const char *name, const char *id)
{
	unsigned char packed[4];
	uint32_t v = 0;

	CHECK(strlen(id) == 7);
	for (uint32_t i = 0; i < 3; i++) {
		CHECK(id[i] >= 'A' && id[i] <= 'Z');
		v = v << 5 | (uint32_t)(id[i] - 0x40);
	}
	for (uint32_t i = 3; i < 7; i++)
		v = v << 4 | aml_hex_digit(id[i]);
	for (uint32_t i = 0; i < 4; i++)
		packed[i] = (unsigned char)(v >> (24 - 8 * i));
	aml_byte(a, AML_OP_NAME);
	aml_name_segment(a, name);
	aml_byte(a, AML_OP_DWORD);
	aml_bytes(a, packed, sizeof(packed));
}

static void aml_resource_bytes(struct aml_resources *r, const unsigned char *bytes, uint32_t len)
{
	if (len > sizeof(r->bytes) - r->used) {
		r->overflow = true;
		return;
	}
	memcpy(r->bytes + r->used, bytes, len);
	r->used += len;
}

/* 6.4.2.5, 16-bit decode, base and end the same: fixed. */
void aml_resource_port(struct aml_resources *r, uint16_t port, uint8_t count)
{
	unsigned char lo = (unsigned char)port, hi = (unsigned char)(port >> 8);
	const unsigned char d[] = {0x47, 0x01, lo, hi, lo, hi, 0x01, count};

	aml_resource_bytes(r, d, sizeof(d));
}

/* 6.4.3.4, writable */
void aml_resource_memory32(struct aml_resources *r, uint32_t base, uint32_t size)
{
	unsigned char d[12] = {0x86, 0x09, 0x00, 0x01};

	memcpy(d + 4, &base, sizeof(base));
	memcpy(d + 8, &size, sizeof(size));
	aml_resource_bytes(r, d, sizeof(d));
}

/* 6.4.3.6: bit 0 consumer, bit 1 edge; active high and exclusive are 0. */
void aml_resource_interrupt(struct aml_resources *r, uint32_t gsi)
{
	unsigned char d[9] = {0x89, 0x06, 0x00, 0x03, 0x01};

	memcpy(d + 5, &gsi, sizeof(gsi));
	aml_resource_bytes(r, d, sizeof(d));
}

/* 6.4.2.9: the end tag's checksum may be 0, which counts as correct. */
void aml_name_resources(struct aml *a, const char *name, struct aml_resources *r)
{
	static const unsigned char end_tag[] = {0x79, 0x00};
	uint32_t open;

	aml_resource_bytes(r, end_tag, sizeof(end_tag));
	a->overflow |= r->overflow;
	aml_byte(a, AML_OP_NAME);
	aml_name_segment(a, name);
	aml_byte(a, AML_OP_BUFFER);
	open = a->used;
	aml_integer(a, r->used);
	aml_bytes(a, r->bytes, r->used);
	aml_close(a, open);
}
