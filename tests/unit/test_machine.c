/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a machine that need no guest: command line, timeline, table of ends, state list. */
#include "tests/unit/lib/cm.h"
#include "vmm/base/vm_end.h"
#include "vmm/core/cmdline.h"
#include "vmm/core/state_list.h"
#include "vmm/core/timeline.h"

#include <errno.h>
#include <string.h>

static char long_args[LAYOUT_CMDLINE_SIZE_MAX + 10];

static void default_arguments_come_first_then_what_the_machine_adds(void **state)
{
	struct vm_config c;
	struct cmdline l;

	(void)state;
	vm_config_init(&c);
	c.drive_count = 1;
	c.drives[0] = (struct vm_drive_config){.is_root_device = true};
	assert_int_equal(cmdline_build(&l, &c, 2, NULL), 0);
	assert_string_equal(l.text, VM_CONFIG_BOOT_ARGS_DEFAULT
		" pci=off root=/dev/vda rw virtio_mmio.device=4K@0xc0001000:5"
		" virtio_mmio.device=4K@0xc0002000:6");
	assert_int_equal(l.len, strlen(l.text));
}

static void root_partition_is_named_by_its_uuid(void **state)
{
	static char id[] = "0eaa91a0-01", args[] = "quiet pci=off";
	struct vm_config c;
	struct cmdline l;

	(void)state;
	vm_config_init(&c);
	c.boot_args = args;
	c.drive_count = 2;
	c.drives[1] = (struct vm_drive_config){
		.is_root_device = true, .is_read_only = true, .partuuid = id};
	assert_int_equal(cmdline_build(&l, &c, 0, NULL), 0);
	assert_string_equal(l.text, "quiet pci=off root=PARTUUID=0eaa91a0-01 ro");
}

static void pci_off_inside_a_word_does_not_count(void **state)
{
	static char args[] = "xpci=off pci=offx";
	struct vm_config c;
	struct cmdline l;

	(void)state;
	vm_config_init(&c);
	c.boot_args = args;
	assert_int_equal(cmdline_build(&l, &c, 0, NULL), 0);
	assert_string_equal(l.text, "xpci=off pci=offx pci=off");
}

static void command_line_fits_to_the_last_byte_and_not_one_more(void **state)
{
	size_t most = LAYOUT_CMDLINE_SIZE_MAX - 1 - strlen(" pci=off");
	struct vm_config c;
	struct cmdline l;
	struct err e;

	(void)state;
	vm_config_init(&c);
	memset(long_args, 'a', most);
	long_args[most] = '\0';
	c.boot_args = long_args;
	assert_int_equal(cmdline_build(&l, &c, 0, &e), 0);
	assert_int_equal(l.len, LAYOUT_CMDLINE_SIZE_MAX - 1);
	long_args[most] = 'a';
	assert_int_equal(cmdline_build(&l, &c, 0, &e), -E2BIG);
	assert_non_null(strstr(e.msg, "boot-source.boot_args"));
}

static void marks_are_set_once_and_count_from_the_start(void **state)
{
	struct timeline t = {{0}};
	char text[TIMELINE_TEXT_SIZE];
	uint64_t first;

	(void)state;
	t.at_ns[TIMELINE_PROCESS_START] = 5000000;
	t.at_ns[TIMELINE_VM_CREATED] = 6234567;
	timeline_format(&t, text);
	assert_string_equal(text,
		"process_start=0 vm_created=1234 first_instruction=- kernel_entry=- init=- exit=-");
	timeline_set(&t, TIMELINE_INIT);
	first = t.at_ns[TIMELINE_INIT];
	timeline_set(&t, TIMELINE_INIT);
	assert_true(t.at_ns[TIMELINE_INIT] == first && first > 0);
}

static void longest_timeline_fits(void **state)
{
	struct timeline t;
	char text[TIMELINE_TEXT_SIZE];

	(void)state;
	for (int i = 0; i < TIMELINE_MARK_COUNT; i++)
		t.at_ns[i] = UINT64_MAX - 1;
	t.at_ns[TIMELINE_PROCESS_START] = 1;
	timeline_format(&t, text);
	assert_true(strlen(text) < sizeof(text) - 1);
	assert_non_null(strstr(text, " exit=18446744073709551"));
}

/* Clients rely on 0 for these four; `mayfly run` must tell all ends apart. */
static void statuses_of_the_ends_are_what_is_promised(void **state)
{
	(void)state;
	for (int i = VM_END_POWEROFF; i <= VM_END_PANIC; i++)
		assert_int_equal(vm_end_infos[i].vmm_status, 0);
	assert_int_equal(vm_end_infos[VM_END_TRIPLE_FAULT].vmm_status, 3);
	assert_int_equal(vm_end_infos[VM_END_INTERNAL_ERROR].vmm_status, 4);
	for (int i = 0; i < VM_END_COUNT; i++) {
		assert_non_null(vm_end_infos[i].name);
		for (int k = 0; k < i; k++)
			assert_int_not_equal(
				vm_end_infos[i].run_status, vm_end_infos[k].run_status);
	}
}

static void every_state_table_is_sound(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < state_list_count; i++) {
		struct err e = {0};

		if (!field_table_sound(state_list[i], &e))
			fail_msg("%s", e.msg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(default_arguments_come_first_then_what_the_machine_adds),
		cmocka_unit_test(root_partition_is_named_by_its_uuid),
		cmocka_unit_test(pci_off_inside_a_word_does_not_count),
		cmocka_unit_test(command_line_fits_to_the_last_byte_and_not_one_more),
		cmocka_unit_test(marks_are_set_once_and_count_from_the_start),
		cmocka_unit_test(longest_timeline_fits),
		cmocka_unit_test(statuses_of_the_ends_are_what_is_promised),
		cmocka_unit_test(every_state_table_is_sound),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
