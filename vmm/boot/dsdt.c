/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DSDT: the devices of the machine as ACPI names them. Names are what the drivers of Linux
 * match; every interrupt is said to be edge-triggered and active high, because every pin is.
 */
#include "vmm/boot/dsdt.h"

#include "vmm/base/layout.h"

#include <stdio.h>

#define DSDT_STA_HIDDEN 0x0b /* present, enabled, working, not for a user interface */
#define DSDT_NOTIFY     0x80

static void dsdt_com1(struct aml *a)
{
	uint32_t dev = aml_device_open(a, "COM1");
	struct aml_resources r = {.used = 0};

	aml_name_eisa_id(a, "_HID", "PNP0501");
	aml_name_integer(a, "_UID", 0);
	aml_resource_port(&r, LAYOUT_PORT_COM1, 8);
	aml_resource_interrupt(&r, LAYOUT_GSI_COM1);
	aml_name_resources(a, "_CRS", &r);
	aml_close(a, dev);
}

static void dsdt_keyboard(struct aml *a)
{
	uint32_t dev = aml_device_open(a, "KBD_");
	struct aml_resources r = {.used = 0};

	aml_name_eisa_id(a, "_HID", "PNP0303");
	aml_name_integer(a, "_STA", DSDT_STA_HIDDEN);
	aml_resource_port(&r, LAYOUT_PORT_I8042_DATA, 1);
	aml_resource_port(&r, LAYOUT_PORT_I8042_CMD, 1);
	aml_resource_interrupt(&r, LAYOUT_GSI_I8042);
	aml_name_resources(a, "_CRS", &r);
	aml_close(a, dev);
}

static void dsdt_virtio(struct aml *a, uint32_t n)
{
	struct aml_resources r = {.used = 0};
	char name[8];
	uint32_t dev;

	(void)snprintf(name, sizeof(name), "VR%02X", n & 0xff);
	dev = aml_device_open(a, name);
	aml_name_string(a, "_HID", "LNRO0005");
	aml_name_integer(a, "_UID", n);
	aml_name_integer(a, "_CCA", 1);
	aml_resource_memory32(&r, (uint32_t)(LAYOUT_VIRTIO_MMIO + n * LAYOUT_VIRTIO_MMIO_SIZE),
		(uint32_t)LAYOUT_VIRTIO_MMIO_SIZE);
	aml_resource_interrupt(&r, LAYOUT_GSI_VIRTIO + n);
	aml_name_resources(a, "_CRS", &r);
	aml_close(a, dev);
}

/* Linux's pvpanic driver reads from the port which events it may report. */
static void dsdt_pvpanic(struct aml *a)
{
	uint32_t dev = aml_device_open(a, "PEVT");
	struct aml_resources r = {.used = 0};

	aml_name_string(a, "_HID", "QEMU0001");
	aml_name_integer(a, "_STA", DSDT_STA_HIDDEN);
	aml_resource_port(&r, LAYOUT_PORT_PVPANIC, 1);
	aml_name_resources(a, "_CRS", &r);
	aml_close(a, dev);
}

static void dsdt_power_button(struct aml *a)
{
	uint32_t dev = aml_device_open(a, "PWRB");

	aml_name_eisa_id(a, "_HID", "PNP0C0C");
	aml_name_integer(a, "_UID", 0);
	aml_close(a, dev);
}

/* Microsoft's "Virtual Machine Generation ID": drivers match _CID and read the address at ADDR. */
static void dsdt_vmgenid(struct aml *a)
{
	uint32_t dev = aml_device_open(a, "VGEN"), package;

	aml_name_string(a, "_HID", "MFLY0001");
	aml_name_string(a, "_CID", "VM_Gen_Counter");
	aml_name_string(a, "_DDN", "VM_Gen_Counter");
	package = aml_name_package_open(a, "ADDR", 2);
	aml_integer(a, LAYOUT_VMGENID & UINT32_MAX);
	aml_integer(a, LAYOUT_VMGENID >> 32);
	aml_close(a, package);
	aml_close(a, dev);
}

/* The names are those of the specification; drivers match _HID or _CID. */
static void dsdt_vmclock(struct aml *a)
{
	uint32_t dev = aml_device_open(a, "VCLK");
	struct aml_resources r = {.used = 0};

	aml_name_string(a, "_HID", "AMZNC10C");
	aml_name_string(a, "_CID", "VMCLOCK");
	aml_name_string(a, "_DDN", "VMCLOCK");
	aml_resource_memory32(&r, LAYOUT_VMCLOCK, LAYOUT_VMCLOCK_SIZE);
	aml_name_resources(a, "_CRS", &r);
	aml_close(a, dev);
}

static void dsdt_notify_if(struct aml *a, uint32_t gsi, const char *object)
{
	uint32_t branch = aml_if_arg0_equals_open(a, gsi);

	aml_notify(a, object, DSDT_NOTIFY);
	aml_close(a, branch);
}

/* ACPI 6.4 §5.6.9: without ACPI hardware, events arrive through this device. */
static void dsdt_generic_events(struct aml *a)
{
	uint32_t dev = aml_device_open(a, "GED_"), method;
	struct aml_resources r = {.used = 0};

	aml_name_string(a, "_HID", "ACPI0013");
	aml_name_integer(a, "_UID", 0);
	aml_resource_interrupt(&r, LAYOUT_GSI_POWER_BUTTON);
	aml_resource_interrupt(&r, LAYOUT_GSI_VMGENID);
	aml_resource_interrupt(&r, LAYOUT_GSI_VMCLOCK);
	aml_name_resources(a, "_CRS", &r);
	method = aml_method_open(a, "_EVT", 1);
	dsdt_notify_if(a, LAYOUT_GSI_POWER_BUTTON, "PWRB");
	dsdt_notify_if(a, LAYOUT_GSI_VMGENID, "VGEN");
	dsdt_notify_if(a, LAYOUT_GSI_VMCLOCK, "VCLK");
	aml_close(a, method);
	aml_close(a, dev);
}

static void dsdt_sleep_state(struct aml *a, const char *name, uint32_t type)
{
	uint32_t package = aml_name_package_open(a, name, 4);

	aml_integer(a, type);
	aml_integer(a, type);
	aml_integer(a, 0);
	aml_integer(a, 0);
	aml_close(a, package);
}

void dsdt_write(struct aml *a, uint32_t virtio_count)
{
	uint32_t scope = aml_scope_open(a, "_SB_");

	dsdt_com1(a);
	dsdt_keyboard(a);
	dsdt_pvpanic(a);
	dsdt_power_button(a);
	dsdt_vmgenid(a);
	dsdt_vmclock(a);
	dsdt_generic_events(a);
	for (uint32_t n = 0; n < virtio_count; n++)
		dsdt_virtio(a, n);
	aml_close(a, scope);
	dsdt_sleep_state(a, "_S0_", 0);
	dsdt_sleep_state(a, "_S5_", LAYOUT_ACPI_SLEEP_S5);
}
