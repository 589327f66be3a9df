/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writer of AML, the byte code of ACPI's DSDT (ACPI 6.4, chapter 20), into a bounded buffer.
 * Terms that hold others are opened and closed:
 *
 *	uint32_t dev = aml_device_open(&a, "COM1");
 *	aml_name_eisa_id(&a, "_HID", "PNP0501");
 *	aml_close(&a, dev);
 *
 * Names are one segment of exactly four characters. What does not fit is dropped and remembered:
 * check `overflow` once at the end. Sizes depend on our own configuration only, never on a guest.
 */
#pragma once

#include "vmm/base/compiler.h"

struct aml {
	unsigned char *buf; /* borrowed */
	uint32_t size;
	uint32_t used;
	bool overflow;
};

void aml_init(struct aml *a, void *buf, uint32_t size);

/* A term that has begun ends at aml_close with the position its open returned, inner ones first. */
uint32_t aml_scope_open(struct aml *a, const char *name);
uint32_t aml_device_open(struct aml *a, const char *name);
uint32_t aml_method_open(struct aml *a, const char *name, uint32_t arg_count);
uint32_t aml_name_package_open(struct aml *a, const char *name, uint32_t element_count);
uint32_t aml_if_arg0_equals_open(struct aml *a, uint64_t value);
void aml_close(struct aml *a, uint32_t open);

void aml_integer(struct aml *a, uint64_t value);
void aml_notify(struct aml *a, const char *object, uint64_t value);

/* Name (name, value) */
void aml_name_integer(struct aml *a, const char *name, uint64_t value);
void aml_name_string(struct aml *a, const char *name, const char *value);
void aml_name_eisa_id(struct aml *a, const char *name, const char *id); /* "PNP0501" */

/* A resource template, the value of a _CRS. Interrupts are edge-triggered, active high, exclusive. */
struct aml_resources {
	unsigned char bytes[64];
	uint32_t used;
	bool overflow;
};

void aml_resource_port(struct aml_resources *r, uint16_t port, uint8_t count);
void aml_resource_memory32(struct aml_resources *r, uint32_t base, uint32_t size);
void aml_resource_interrupt(struct aml_resources *r, uint32_t gsi);
void aml_name_resources(struct aml *a, const char *name, struct aml_resources *r);
