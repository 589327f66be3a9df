/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration file, key by key: each row of the tables below is one value at or beyond a
 * boundary, and what the message must say about it (NULL: accepted).
 */
#include "api/config_file.h"
#include "api/vm_schema.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define BOOT  "\"boot-source\":{\"kernel_image_path\":\"k\"}"
#define DRIVE "\"drive_id\":\"a\",\"path_on_host\":\"p\",\"is_root_device\":false"
#define A16   "aaaaaaaaaaaaaaaa"
#define A256  A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16
#define FULL                                                                                       \
	"{\"boot-source\":{\"kernel_image_path\":\"k\",\"initrd_path\":\"i\",\"boot_args\":\"b\"}" \
	","                                                                                        \
	"\"machine-config\":{\"vcpu_count\":4,\"mem_size_mib\":256,\"smt\":true,"                  \
	"\"cpu_template\":\"None\",\"track_dirty_pages\":true,\"huge_pages\":\"2M\"},"             \
	"\"drives\":[{\"drive_id\":\"a\",\"path_on_host\":\"p\",\"is_root_device\":true,"          \
	"\"partuuid\":\"u\",\"is_read_only\":true,\"cache_type\":\"Writeback\","                   \
	"\"io_engine\":\"Async\",\"rate_limiter\":null,\"socket\":null}],"                         \
	"\"entropy\":{\"rate_limiter\":null},\"logger\":{\"log_path\":\"l\",\"level\":\"DEBUG\","  \
	"\"show_level\":true,\"show_log_origin\":true,\"module\":\"m\"},"                          \
	"\"metrics\":{\"metrics_path\":\"x\",\"emit_id\":false},\"vsock\":null,\"pmem\":[]}"

struct value_case {
	const char *value;
	const char *says; /* part of the message, or NULL: accepted */
};

static int parse(const char *text, struct vm_config *c, struct err *e)
{
	e->msg[0] = '\0';
	vm_config_init(c);
	return config_file_parse(text, strlen(text), c, e);
}

/* Parses format with each value in place of %s. */
static void check_values(const char *format, const struct value_case *cases, size_t count)
{
	static char text[32768];

	for (size_t i = 0; i < count; i++) {
		struct vm_config c;
		struct err e;
		char *at = strstr(format, "%s");
		int rc;

		assert_non_null(at);
		(void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - format), format,
			cases[i].value, at + 2);
		rc = parse(text, &c, &e);
		vm_config_fini(&c);
		if (rc != (cases[i].says ? -EINVAL : 0) ||
			(cases[i].says && !strstr(e.msg, cases[i].says)))
			fail_msg("%s\n  gave %d \"%s\"\n  not \"%s\"", text, rc, rc ? e.msg : "",
				cases[i].says ? cases[i].says : "accepted");
	}
}

#define CHECK_VALUES(format, ...)                                                                  \
	do {                                                                                       \
		static const struct value_case cases_[] = {__VA_ARGS__};                           \
		check_values((format), cases_, NELEM(cases_));                                     \
	} while (0)

static void minimal_file_gives_firecrackers_defaults(void **state)
{
	struct vm_config c;
	struct err e;

	(void)state;
	assert_int_equal(parse("{" BOOT "}", &c, &e), 0);

	assert_string_equal(c.kernel_image_path, "k");
	assert_null(c.initrd_path);
	assert_null(c.boot_args);
	assert_int_equal(c.vcpu_count, 1);
	assert_int_equal(c.mem_size_mib, 128);
	assert_int_equal(c.log_level, LOG_INFO);
	assert_int_equal(c.drive_count, 0);
	assert_false(c.has_entropy || c.has_logger || c.smt || c.track_dirty_pages);
	vm_config_fini(&c);
}

static void full_file_sets_every_member(void **state)
{
	struct vm_config c;
	struct err e;

	(void)state;
	assert_int_equal(parse(FULL, &c, &e), 0);

	assert_string_equal(c.initrd_path, "i");
	assert_string_equal(c.boot_args, "b");
	assert_int_equal(c.vcpu_count, 4);
	assert_int_equal(c.mem_size_mib, 256);
	assert_true(c.smt && c.track_dirty_pages && c.has_entropy && c.has_logger);
	assert_int_equal(c.huge_pages, GMEM_PAGES_2M);
	assert_int_equal(c.drive_count, 1);
	assert_string_equal(c.drives[0].drive_id, "a");
	assert_string_equal(c.drives[0].path_on_host, "p");
	assert_string_equal(c.drives[0].partuuid, "u");
	assert_true(c.drives[0].is_root_device && c.drives[0].is_read_only);
	assert_true(c.drives[0].writeback && c.drives[0].async);
	assert_string_equal(c.log_path, "l");
	assert_int_equal(c.log_level, LOG_DEBUG);
	assert_true(c.show_level && c.show_log_origin);
	assert_string_equal(c.log_module, "m");
	assert_string_equal(c.metrics_path, "x");
	vm_config_fini(&c);
}

static void boot_source_is_required_and_bounded(void **state)
{
	(void)state;
	CHECK_VALUES("%s", {"{}", "missing field `boot-source`"},
		{"{\"boot-source\":null}", "boot-source: invalid type: null, expected an object"},
		{"{\"boot-source\":[]}", "boot-source: invalid type: array"},
		{"{\"boot-source\":{}}", "boot-source: missing field `kernel_image_path`"});
	CHECK_VALUES("{\"boot-source\":{\"kernel_image_path\":%s}}", {"\"\"", "is too short"},
		{"null", "boot-source.kernel_image_path: invalid type: null, expected a string"},
		{"7", "invalid type: integer 7, expected a string"},
		{"\"a\\u0000b\"", "\\u0000 is not allowed"}, {"\"" A256 "\"", NULL});
	CHECK_VALUES("{\"boot-source\":{\"kernel_image_path\":\"k\",\"boot_args\":%s}}",
		{"null", NULL}, {"\"\"", NULL},
		{"[]", "boot-source.boot_args: invalid type: array"});
	CHECK_VALUES("{\"boot-source\":{\"kernel_image_path\":\"k\",\"initrd_path\":%s}}",
		{"null", NULL}, {"\"i\"", NULL},
		{"\"\"", "boot-source.initrd_path: \"\" is too short"},
		{"false", "boot-source.initrd_path: invalid type: boolean false"});
}

/* The longest string of a key is accepted, one byte more is not. */
static void check_length(const char *format, size_t max, const char *says)
{
	char *value = calloc(1, max + 4);
	struct value_case c = {value, NULL};

	assert_non_null(value);
	memset(value, 'a', max + 2);
	value[0] = value[max + 1] = '"';
	check_values(format, &c, 1);
	value[max + 1] = 'a';
	value[max + 2] = '"';
	c.says = says;
	check_values(format, &c, 1);
	free(value);
}

static void strings_have_a_longest_length(void **state)
{
	(void)state;
	check_length("{\"boot-source\":{\"kernel_image_path\":%s}}", 4095,
		"boot-source.kernel_image_path: 4096 bytes is too long; at most 4095 fit");
	check_length("{\"boot-source\":{\"kernel_image_path\":\"k\",\"initrd_path\":%s}}", 4095,
		"initrd_path: 4096 bytes");
	check_length("{\"boot-source\":{\"kernel_image_path\":\"k\",\"boot_args\":%s}}", 2047,
		"boot-source.boot_args: 2048 bytes is too long; at most 2047 fit");
	check_length("{" BOOT ",\"logger\":{\"log_path\":%s}}", 4095, "logger.log_path: 4096");
	check_length("{" BOOT ",\"logger\":{\"module\":%s}}", 4095, "logger.module: 4096");
	check_length("{" BOOT ",\"metrics\":{\"metrics_path\":%s}}", 4095, "metrics_path: 4096");
	check_length("{" BOOT ",\"drives\":[{\"drive_id\":%s,\"path_on_host\":\"p\","
		     "\"is_root_device\":false}]}",
		255, "drives[0].drive_id: 256 bytes");
	check_length("{" BOOT ",\"drives\":[{\"drive_id\":\"a\",\"path_on_host\":%s,"
		     "\"is_root_device\":false}]}",
		4095, "drives[0].path_on_host: 4096 bytes");
	check_length("{" BOOT ",\"drives\":[{\"drive_id\":\"a\",\"path_on_host\":\"p\","
		     "\"is_root_device\":true,\"partuuid\":%s}]}",
		64, "drives[0].partuuid: 65 bytes");
}

static void machine_config_has_boundaries(void **state)
{
	(void)state;
	CHECK_VALUES("{" BOOT ",\"machine-config\":%s}", {"null", NULL},
		{"{}", "machine-config: missing field `vcpu_count`"},
		{"{\"vcpu_count\":1}", "machine-config: missing field `mem_size_mib`"},
		{"3", "machine-config: invalid type: integer 3, expected an object"});
	CHECK_VALUES("{" BOOT ",\"machine-config\":{\"mem_size_mib\":2,\"vcpu_count\":%s}}",
		{"1", NULL}, {"32", NULL},
		{"33", "machine-config.vcpu_count: 33 is out of range; it must be 1 to 32"},
		{"0", "0 is out of range"}, {"-1", "-1 is out of range"},
		{"4294967297", "4294967297 is out of range"},
		{"9223372036854775808", "invalid type: too big integer near '9223372036854775808'"},
		{"1.0", "invalid type: floating point 1, expected an integer"},
		{"\"2\"", "invalid type: string \"2\", expected an integer"},
		{"null", "invalid type: null"}, {"true", "boolean true"}, {"{}", "object"});
	CHECK_VALUES("{" BOOT ",\"machine-config\":{\"vcpu_count\":1,\"mem_size_mib\":%s}}",
		{"1", NULL}, {"262144", NULL},
		{"262145", "machine-config.mem_size_mib: 262145 is out of range; it must be 1 to"},
		{"0", "machine-config.mem_size_mib: 0 is out of range"},
		{"9223372036854775807", "9223372036854775807 is out of range"},
		{"18446744073709551616", "invalid type: too big integer"});
}

static void machine_config_keys_hold_together(void **state)
{
	(void)state;
	CHECK_VALUES("{" BOOT ",\"machine-config\":{\"mem_size_mib\":2,\"smt\":true,"
		     "\"vcpu_count\":%s}}",
		{"1", NULL}, {"2", NULL}, {"32", NULL},
		{"3", "machine-config.vcpu_count: 3 is odd; with smt it must be 1 or even"},
		{"31", "31 is odd"});
	CHECK_VALUES("{" BOOT ",\"machine-config\":{\"vcpu_count\":1,%s}}",
		{"\"mem_size_mib\":3", NULL}, {"\"mem_size_mib\":3,\"huge_pages\":\"None\"", NULL},
		{"\"mem_size_mib\":3,\"huge_pages\":\"2M\"", "mem_size_mib: 3 is odd"},
		{"\"mem_size_mib\":3,\"huge_pages\":\"Transparent\"", "mem_size_mib: 3 is odd"},
		{"\"mem_size_mib\":4,\"huge_pages\":\"Transparent\"", NULL},
		{"\"mem_size_mib\":4,\"huge_pages\":\"1G\"",
			"machine-config.huge_pages: unknown variant `1G`, "
			"expected one of `None`, `Transparent`, `2M`"},
		{"\"mem_size_mib\":4,\"huge_pages\":\"2m\"", "unknown variant `2m`"},
		{"\"mem_size_mib\":4,\"huge_pages\":2", "machine-config.huge_pages: invalid type"},
		{"\"mem_size_mib\":4,\"smt\":1", "machine-config.smt: invalid type: integer 1"},
		{"\"mem_size_mib\":4,\"track_dirty_pages\":null",
			"track_dirty_pages: invalid type"},
		{"\"mem_size_mib\":4,\"cpu_template\":null", NULL},
		{"\"mem_size_mib\":4,\"cpu_template\":\"T2CL\"", NULL},
		{"\"mem_size_mib\":4,\"cpu_template\":\"Z80\"", "unknown variant `Z80`"});
}

static void drives_have_boundaries(void **state)
{
	(void)state;
	CHECK_VALUES("{" BOOT ",\"drives\":%s}", {"null", NULL}, {"[]", NULL},
		{"{}", "drives: invalid type: object, expected an array"},
		{"[[]]", "drives[0]: invalid type: array, expected an object"},
		{"[{" DRIVE "},{}]", "drives[1]: missing field `drive_id`"},
		{"[{\"drive_id\":\"a\"}]", "drives[0]: missing field `path_on_host`"},
		{"[{\"drive_id\":\"a\",\"path_on_host\":\"p\"}]",
			"missing field `is_root_device`"});
	CHECK_VALUES("{" BOOT ",\"drives\":[{\"path_on_host\":\"p\",\"is_root_device\":false,"
		     "\"drive_id\":%s}]}",
		{"\"_aZ09\"", NULL}, {"\"\"", "drives[0].drive_id: \"\" is too short"},
		{"\"a-b\"", "\"a-b\" is not an id; only letters, digits and _ are allowed"},
		{"\"a\\u001bb\"", "\"a?b\" is not an id"}, {"\"\\u00e9\"", "is not an id"});
	CHECK_VALUES("{" BOOT ",\"drives\":[{" DRIVE ",%s}]}", {"\"is_read_only\":null", NULL},
		{"\"is_read_only\":0", "drives[0].is_read_only: invalid type: integer 0"},
		{"\"cache_type\":\"Unsafe\"", NULL},
		{"\"cache_type\":null", "cache_type: invalid type"},
		{"\"cache_type\":\"Writethrough\"", "expected one of `Unsafe`, `Writeback`"},
		{"\"io_engine\":null", NULL}, {"\"io_engine\":\"Async\"", NULL},
		{"\"io_engine\":\"async\"",
			"unknown variant `async`, expected one of `Sync`, `Async`"},
		{"\"rate_limiter\":null", NULL}, {"\"socket\":null", NULL},
		{"\"rate_limiter\":{}", NULL}, {"\"direct\":true", NULL},
		{"\"io_thread\":true", NULL}, {"\"queues\":8", NULL},
		{"\"queues\":9", "drives[0].queues: 9 is out of range"},
		{"\"rate_limiter\":{\"ops\":{\"size\":1,\"refill_time\":0,\"x\":1}}", NULL},
		{"\"rate_limiter\":{\"ops\":{\"size\":1}}", "missing field `refill_time`"},
		{"\"rate_limiter\":{\"size\":1}", "drives[0].rate_limiter"},
		{"\"socket\":\"s\"", "drives[0].socket: not supported by this version"},
		{"\"partuuid\":7", "drives[0].partuuid: invalid type"},
		{"\"foo\":1",
			"drives[0]: unknown field `foo`, expected one of `drive_id`, `socket`,"});
}

static void drives_hold_together(void **state)
{
	(void)state;
	CHECK_VALUES("{" BOOT ",\"drives\":[{" DRIVE "},{%s}]}",
		{"\"drive_id\":\"b\",\"path_on_host\":\"p\",\"is_root_device\":true", NULL},
		{DRIVE, "drives[1].drive_id: \"a\" is already the id of drives[0]"});
	CHECK_VALUES("{" BOOT ",\"drives\":[{\"drive_id\":\"a\",\"path_on_host\":\"p\","
		     "\"is_root_device\":true},{\"drive_id\":\"b\",\"path_on_host\":\"p\","
		     "\"is_root_device\":%s}]}",
		{"false", NULL},
		{"true", "drives[1].is_root_device: A root block device already exists!"});
	CHECK_VALUES("{" BOOT ",\"drives\":[{\"drive_id\":\"a\",\"socket\":\"s\","
		     "\"is_root_device\":%s}]}",
		{"true", "drives[0].socket: not supported by this version"});
}

static void partuuid_of_a_drive_that_is_not_root_is_dropped(void **state)
{
	struct vm_config c;
	struct err e;

	(void)state;
	assert_int_equal(
		parse("{" BOOT ",\"drives\":[{" DRIVE ",\"partuuid\":\"u\"}]}", &c, &e), 0);
	assert_null(c.drives[0].partuuid);
	vm_config_fini(&c);
}

/* A file with count drives and entropy, in text. */
static void make_drives(char *text, size_t size, unsigned count)
{
	int len = snprintf(text, size, "{" BOOT ",\"entropy\":{},\"drives\":[");

	for (unsigned i = 0; i < count; i++)
		len += snprintf(text + len, size - (size_t)len,
			"%s{\"drive_id\":\"d%u\",\"path_on_host\":\"p\",\"is_root_device\":false}",
			i ? "," : "", i);
	(void)snprintf(text + len, size - (size_t)len, "]}");
}

static void more_devices_than_interrupt_lines_are_refused(void **state)
{
	char text[8192];
	struct vm_config c;
	struct err e;

	(void)state;
	make_drives(text, sizeof(text), 16);
	assert_int_equal(parse(text, &c, &e), 0);
	vm_config_fini(&c);
	make_drives(text, sizeof(text), 17);
	assert_int_equal(parse(text, &c, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "drives, entropy: 18 devices are too many; the most is 17"));
	assert_non_null(strstr(e.msg, VM_SCHEMA_NO_GSI_TEXT));
	vm_config_fini(&c);
	make_drives(text, sizeof(text), 65);
	assert_int_equal(parse(text, &c, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "drives: 65 is too many; the most is 64"));
	assert_non_null(strstr(e.msg, VM_SCHEMA_NO_GSI_TEXT));
	vm_config_fini(&c);
}

static void entropy_logger_and_metrics_have_boundaries(void **state)
{
	(void)state;
	CHECK_VALUES("{" BOOT ",%s}", {"\"entropy\":null", NULL}, {"\"entropy\":{}", NULL},
		{"\"entropy\":[]", "entropy: invalid type: array"},
		{"\"entropy\":{\"rate_limiter\":{\"ops\":null}}", NULL},
		{"\"entropy\":{\"rate_limiter\":{\"ops\":1}}",
			"entropy.rate_limiter.ops: invalid type"},
		{"\"logger\":null", NULL}, {"\"logger\":{}", NULL},
		{"\"logger\":{\"level\":null,\"show_level\":null,\"module\":null}", NULL},
		{"\"logger\":{\"show_level\":\"yes\"}", "logger.show_level: invalid type"},
		{"\"logger\":{\"show_log_origin\":1}", "logger.show_log_origin: invalid type"},
		{"\"logger\":{\"log_path\":\"\"}", "logger.log_path: \"\" is too short"},
		{"\"logger\":{\"log_fifo\":\"\"}",
			"logger: unknown field `log_fifo`, expected one of `l"},
		{"\"metrics\":null", NULL}, {"\"metrics\":{}", "missing field `metrics_path`"},
		{"\"metrics\":{\"metrics_path\":null}", "metrics.metrics_path: invalid type: null"},
		{"\"metrics\":{\"metrics_path\":\"m\",\"emit_id\":false}", NULL},
		{"\"metrics\":{\"metrics_path\":\"m\",\"emit_id\":1}",
			"metrics.emit_id: invalid type: integer 1, expected a boolean"},
		{"\"metrics\":{\"metrics_path\":\"m\",\"properties\":{}}", NULL},
		{"\"metrics\":{\"metrics_path\":\"m\",\"properties\":{\"a\":1}}",
			"metrics.properties.a: invalid type: expected a string"},
		{"\"metrics\":{\"metrics_path\":\"m\",\"properties\":[]}",
			"metrics.properties: invalid type: expected an object of strings"});
	CHECK_VALUES("{" BOOT ",\"logger\":{\"level\":%s}}", {"\"Error\"", NULL},
		{"\"WARNING\"", NULL}, {"\"warn\"", NULL}, {"\"Info\"", NULL}, {"\"debug\"", NULL},
		{"\"Trace\"", NULL}, {"\"off\"", NULL},
		{"\"loud\"",
			"logger.level: unknown variant `loud`, expected one of `Error`, `Warn"},
		{"3", "logger.level: invalid type: integer 3, expected a string"});
}

static void vsock_keys_have_their_types_and_ranges(void **state)
{
	(void)state;
	CHECK_VALUES("{" BOOT ",\"vsock\":%s}", {"null", NULL},
		{"{\"guest_cid\":3,\"uds_path\":\"v\"}", NULL},
		{"{\"guest_cid\":4294967294,\"uds_path\":\"v\",\"vsock_id\":\"old\"}", NULL},
		{"{\"guest_cid\":3,\"uds_path\":\"v\",\"vsock_id\":null}", NULL},
		{"{}", "vsock: missing field `guest_cid`"},
		{"{\"guest_cid\":3}", "vsock: missing field `uds_path`"},
		{"{\"guest_cid\":2,\"uds_path\":\"v\"}", "vsock.guest_cid: 2 is out of range"},
		{"{\"guest_cid\":4294967295,\"uds_path\":\"v\"}", "is out of range"},
		{"{\"guest_cid\":\"3\",\"uds_path\":\"v\"}", "vsock.guest_cid: invalid type"},
		{"{\"guest_cid\":3,\"uds_path\":\"\"}", "vsock.uds_path"},
		{"{\"guest_cid\":3,\"uds_path\":\"v\",\"x\":1}", "vsock: unknown field `x`"});
}

static void a_deprecated_key_is_taken_and_never_shown(void **state)
{
	struct vm_config c;
	struct err e = {0};
	json_t *shown;
	const json_t *vsock;

	(void)state;
	assert_int_equal(
		parse("{" BOOT
		      ",\"vsock\":{\"guest_cid\":3,\"uds_path\":\"v\",\"vsock_id\":\"i\"}}",
			&c, &e),
		0);
	assert_true(c.has_vsock);
	assert_int_equal(c.vsock_guest_cid, 3);
	assert_string_equal(c.vsock_uds_path, "v");
	shown = schema_print(&vm_config_schema, &c);
	vsock = json_object_get(shown, "vsock");
	assert_non_null(json_object_get(vsock, "uds_path"));
	assert_null(json_object_get(vsock, "vsock_id"));
	json_decref(shown);
	vm_config_fini(&c);
}

static void sections_of_later_versions_are_refused_by_name(void **state)
{
	(void)state;
	CHECK_VALUES("{" BOOT ",%s}", {"\"balloon\":{}", "balloon: not supported by this version"},
		{"\"pmem\":[{}]", "pmem: not supported by this version"},
		{"\"memory-hotplug\":{}", "memory-hotplug: not supported by this version"},
		{"\"vsock\":null,\"balloon\":null,\"mmds-config\":null,\"cpu-config\":null", NULL},
		{"\"network-interfaces\":[],\"pmem\":[],\"memory-hotplug\":null", NULL});
}

static void unknown_sections_are_accepted_with_a_warning_each(void **state)
{
	const struct log_config *before = log_config_get();
	struct log_config to_pipe = *before, old = *before;
	char seen[1024] = "";
	struct vm_config c;
	struct err e;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	to_pipe.fd = fds[1];
	log_configure(&to_pipe);
	assert_int_equal(
		parse("{" BOOT ",\"vsock_device\":null,\"serial\":{\"a\":[1]}}", &c, &e), 0);
	log_configure(&old);
	assert_true(read(fds[0], seen, sizeof(seen) - 1) > 0);
	(void)close(fds[0]);
	(void)close(fds[1]);
	vm_config_fini(&c);

	assert_non_null(strstr(seen, "\"vsock_device\""));
	assert_non_null(strstr(seen, "\"serial\""));
}

static void load_names_the_file(void **state)
{
	char path[] = "/tmp/mayfly-config-XXXXXX";
	int fd = mkstemp(path);
	struct vm_config c;
	struct err e;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "{}", 2), 2);
	(void)close(fd);
	vm_config_init(&c);
	assert_int_equal(config_file_load(path, &c, &e), -EINVAL);
	assert_non_null(strstr(e.msg, path));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(config_file_load(path, &c, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "No such file or directory (os error 2)"));
	vm_config_fini(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(minimal_file_gives_firecrackers_defaults),
		cmocka_unit_test(full_file_sets_every_member),
		cmocka_unit_test(boot_source_is_required_and_bounded),
		cmocka_unit_test(strings_have_a_longest_length),
		cmocka_unit_test(machine_config_has_boundaries),
		cmocka_unit_test(machine_config_keys_hold_together),
		cmocka_unit_test(drives_have_boundaries),
		cmocka_unit_test(drives_hold_together),
		cmocka_unit_test(partuuid_of_a_drive_that_is_not_root_is_dropped),
		cmocka_unit_test(more_devices_than_interrupt_lines_are_refused),
		cmocka_unit_test(entropy_logger_and_metrics_have_boundaries),
		cmocka_unit_test(vsock_keys_have_their_types_and_ranges),
		cmocka_unit_test(a_deprecated_key_is_taken_and_never_shown),
		cmocka_unit_test(sections_of_later_versions_are_refused_by_name),
		cmocka_unit_test(unknown_sections_are_accepted_with_a_warning_each),
		cmocka_unit_test(load_names_the_file),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
