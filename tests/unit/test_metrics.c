/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics file: a closed list of keys, growth since the last whole line, and bad targets. */
#include "vmm/core/metrics.h"

#include "vmm/base/latency.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Written down apart from metrics_keys.c, from what clients check; a * is min_us max_us sum_us. */
static const char *const expected_groups[][2] = {
	{"api_server", "process_startup_time_us process_startup_time_cpu_us"},
	{"balloon", "activate_fails inflate_count stats_updates_count stats_update_fails "
		    "deflate_count event_fails free_page_report_count free_page_report_freed "
		    "free_page_report_fails free_page_hint_count free_page_hint_freed "
		    "free_page_hint_fails"},
	{"block", "activate_fails cfg_fails no_avail_buffer event_fails execute_fails "
		  "invalid_reqs_count flush_count queue_event_count rate_limiter_event_count "
		  "update_count update_fails read_bytes write_bytes read_count write_count "
		  "rate_limiter_throttled_events io_engine_throttled_events "
		  "remaining_reqs_count read_agg* write_agg*"},
	{"deprecated_api", "deprecated_http_api_calls"},
	{"entropy", "activate_fails entropy_event_fails entropy_event_count entropy_bytes "
		    "host_rng_fails entropy_rate_limiter_throttled rate_limiter_event_count"},
	{"get_api_requests", "instance_info_count machine_cfg_count mmds_count "
			     "vmm_version_count hotplug_memory_count"},
	{"i8042", "error_count missed_read_count missed_write_count read_count reset_count "
		  "write_count"},
	{"interrupts", "triggers config_updates"},
	{"latencies_us", "full_create_snapshot diff_create_snapshot load_snapshot pause_vm "
			 "resume_vm vmm_full_create_snapshot vmm_diff_create_snapshot "
			 "vmm_load_snapshot vmm_pause_vm vmm_resume_vm"},
	{"logger", "missed_metrics_count metrics_fails missed_log_count rate_limited_log_count"},
	{"memory_hotplug", "activate_fails queue_event_fails queue_event_count plug_count "
			   "plug_bytes plug_fails plug_agg* unplug_count unplug_bytes unplug_fails "
			   "unplug_discard_fails unplug_agg* state_count state_fails state_agg* "
			   "unplug_all_count unplug_all_fails unplug_all_agg*"},
	{"mmds", "rx_accepted rx_accepted_err rx_accepted_unusual rx_bad_eth rx_invalid_token "
		 "rx_no_token rx_count tx_bytes tx_count tx_errors tx_frames connections_created "
		 "connections_destroyed"},
	{"net", "activate_fails cfg_fails no_rx_avail_buffer no_tx_avail_buffer event_fails "
		"rx_queue_event_count rx_event_rate_limiter_count rx_rate_limiter_throttled "
		"rx_tap_event_count rx_bytes_count rx_packets_count rx_fails rx_count "
		"tap_read_fails tap_write_fails tx_bytes_count tx_malformed_frames tx_fails "
		"tx_count tx_packets_count tx_queue_event_count tx_rate_limiter_event_count "
		"tx_rate_limiter_throttled tx_spoofed_mac_count tx_remaining_reqs_count "
		"tap_write_agg*"},
	{"patch_api_requests",
		"drive_count drive_fails network_count network_fails machine_cfg_count "
		"machine_cfg_fails mmds_count mmds_fails hotplug_memory_count "
		"hotplug_memory_fails pmem_count pmem_fails"},
	{"put_api_requests",
		"actions_count actions_fails boot_source_count boot_source_fails drive_count "
		"drive_fails logger_count logger_fails machine_cfg_count machine_cfg_fails "
		"cpu_cfg_count cpu_cfg_fails metrics_count metrics_fails network_count "
		"network_fails mmds_count mmds_fails vsock_count vsock_fails pmem_count pmem_fails "
		"serial_count serial_fails hotplug_memory_count hotplug_memory_fails"},
	{"pmem", "activate_fails cfg_fails event_fails queue_event_count "
		 "rate_limiter_throttled_events rate_limiter_event_count"},
	{"seccomp", "num_faults"},
	{"signals", "sigbus sigsegv sigxfsz sigxcpu sigpipe sighup sigill"},
	{"uart", "error_count flush_count missed_read_count missed_write_count read_count "
		 "write_count rate_limiter_dropped_bytes"},
	{"vcpu", "exit_io_in exit_io_out exit_mmio_read exit_mmio_write failures "
		 "kvmclock_ctrl_fails exit_io_in_agg* exit_io_out_agg* exit_mmio_read_agg* "
		 "exit_mmio_write_agg*"},
	{"vmm", "panic_count"},
	{"vsock", "activate_fails cfg_fails rx_queue_event_fails tx_queue_event_fails "
		  "ev_queue_event_fails muxer_event_fails conn_event_fails rx_queue_event_count "
		  "tx_queue_event_count rx_bytes_count tx_bytes_count rx_packets_count "
		  "tx_packets_count conns_added conns_killed conns_removed killq_resync "
		  "tx_flush_fails tx_write_fails rx_read_fails"},
};

struct disk {
	uint64_t read_bytes, write_bytes;
	struct latency read_agg;
};
static const struct metrics_field disk_fields[] = {
	METRICS_FIELD(struct disk, read_bytes),
	METRICS_FIELD(struct disk, write_bytes),
	METRICS_FIELD(struct disk, read_agg),
};
static const struct metrics_field fault_fields[] = {{.key = "num_faults", .offset = 0}};

static struct metrics metrics;
static int pipe_fds[2];

/* Metrics into a pipe that does not block. */
static int setup(void **state)
{
	(void)state;
	metrics_init(&metrics);
	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	metrics.fd = pipe_fds[1];
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	metrics_fini(&metrics);
	return close(pipe_fds[0]);
}

/* The next text in the pipe, which must be exactly one line, parsed. */
static json_t *next_line(void)
{
	static char text[METRICS_LINE_SIZE];
	ssize_t n = read(pipe_fds[0], text, sizeof(text));
	json_t *line;

	assert_true(n > 0 && text[n - 1] == '\n');
	assert_ptr_equal(memchr(text, '\n', (size_t)n), text + n - 1);
	line = json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(line);
	return line;
}

static json_int_t value(json_t *line, const char *group, const char *key)
{
	json_t *v = json_object_get(json_object_get(line, group), key);

	assert_true(json_is_integer(v));
	return json_integer_value(v);
}

static void check_group(json_t *group, const char *keys)
{
	char *copy = strdup(keys), *rest = copy, *key;
	size_t count = 0;

	while ((key = strtok_r(rest, " ", &rest))) {
		size_t len = strlen(key);
		bool agg = key[len - 1] == '*';
		json_t *v;

		key[agg ? len - 1 : len] = '\0';
		v = json_object_get(group, key);
		if (agg) {
			assert_int_equal(json_object_size(v), 3);
			assert_int_equal(json_integer_value(json_object_get(v, "min_us")), 0);
			assert_int_equal(json_integer_value(json_object_get(v, "max_us")), 0);
			v = json_object_get(v, "sum_us");
		}
		if (!json_is_integer(v) || json_integer_value(v) != 0)
			fail_msg("key %s is missing or not 0", key);
		count++;
	}
	assert_int_equal(json_object_size(group), count);
	free(copy);
}

static void line_without_devices_has_exactly_the_known_keys_all_zero(void **state)
{
	json_t *line;

	(void)state;
	assert_int_equal(metrics_flush(&metrics), 0);
	line = next_line();
	for (size_t i = 0; i < NELEM(expected_groups); i++)
		check_group(json_object_get(line, expected_groups[i][0]), expected_groups[i][1]);
	assert_int_equal(json_object_size(line), NELEM(expected_groups) + 1);
	json_decref(line);
}

static void line_is_stamped_with_the_time_in_ms(void **state)
{
	json_int_t now = (json_int_t)(clock_real_ns() / CLOCK_NS_PER_MS);
	json_t *line;
	json_int_t stamp;

	(void)state;
	assert_int_equal(metrics_flush(&metrics), 0);
	line = next_line();
	stamp = json_integer_value(json_object_get(line, "utc_timestamp_ms"));
	assert_in_range(stamp - now, 0, 1000);
	json_decref(line);
}

static void counters_are_deltas_and_stores_are_not(void **state)
{
	struct disk d = {.read_bytes = 10};
	uint64_t faults = 1;
	json_t *line;

	(void)state;
	assert_int_equal(metrics_register(&metrics, "block", NULL, disk_fields, 3, &d, NULL), 0);
	assert_int_equal(
		metrics_register(&metrics, "seccomp", NULL, fault_fields, 1, &faults, NULL), 0);
	assert_int_equal(metrics_flush(&metrics), 0);
	json_decref(next_line());
	d.read_bytes += 7;
	assert_int_equal(metrics_flush(&metrics), 0);

	line = next_line();
	assert_int_equal(value(line, "block", "read_bytes"), 7);
	assert_int_equal(value(line, "block", "write_bytes"), 0);
	assert_int_equal(value(line, "seccomp", "num_faults"), 1);
	json_decref(line);
}

static void device_groups_sum_up_to_their_aggregate(void **state)
{
	struct disk a = {1, 2, {.min_us = 3, .max_us = 4, .sum_us = 5}};
	struct disk b = {10, 20, {.min_us = 30, .max_us = 40, .sum_us = 50}};
	json_t *line, *agg;

	(void)state;
	assert_int_equal(metrics_register(&metrics, "block", "a", disk_fields, 3, &a, NULL), 0);
	assert_int_equal(metrics_register(&metrics, "block", "b_2", disk_fields, 3, &b, NULL), 0);
	assert_int_equal(metrics_flush(&metrics), 0);

	line = next_line();
	assert_int_equal(value(line, "block", "read_bytes"), 11);
	assert_int_equal(value(line, "block_a", "write_bytes"), 2);
	assert_int_equal(value(line, "block_b_2", "write_bytes"), 20);
	agg = json_object_get(line, "block");
	assert_int_equal(value(agg, "read_agg", "sum_us"), 55);
	assert_int_equal(value(agg, "read_agg", "min_us"), 0);
	assert_int_equal(value(agg, "read_agg", "max_us"), 0);
	agg = json_object_get(line, "block_b_2");
	assert_int_equal(value(agg, "read_agg", "min_us"), 30);
	assert_int_equal(value(agg, "read_agg", "max_us"), 40);
	assert_int_equal(json_object_size(agg), 20);
	json_decref(line);
}

static void sources_without_id_share_their_group(void **state)
{
	struct disk a = {1, 0, {.min_us = 7, .max_us = 9, .sum_us = 10}}, idle = {0};
	struct disk b = {2, 0, {.min_us = 3, .max_us = 4, .sum_us = 5}};
	json_t *line, *agg;

	(void)state;
	assert_int_equal(metrics_register(&metrics, "block", NULL, disk_fields, 3, &a, NULL), 0);
	assert_int_equal(metrics_register(&metrics, "block", NULL, disk_fields, 3, &b, NULL), 0);
	assert_int_equal(metrics_register(&metrics, "block", NULL, disk_fields, 3, &idle, NULL), 0);
	assert_int_equal(metrics_flush(&metrics), 0);

	line = next_line();
	assert_int_equal(value(line, "block", "read_bytes"), 3);
	agg = json_object_get(line, "block");
	assert_int_equal(value(agg, "read_agg", "min_us"), 3);
	assert_int_equal(value(agg, "read_agg", "max_us"), 9);
	assert_int_equal(value(agg, "read_agg", "sum_us"), 15);
	json_decref(line);
}

static void full_pipe_loses_no_growth(void **state)
{
	static char junk[65536];
	struct disk d = {.write_bytes = 5};
	json_t *line;

	(void)state;
	assert_int_equal(metrics_register(&metrics, "block", NULL, disk_fields, 3, &d, NULL), 0);
	while (write(pipe_fds[1], junk, sizeof(junk)) > 0)
		;
	assert_int_equal(metrics_flush(&metrics), -EAGAIN);
	while (read(pipe_fds[0], junk, sizeof(junk)) > 0)
		;
	assert_int_equal(metrics_flush(&metrics), 0);

	line = next_line();
	assert_int_equal(value(line, "block", "write_bytes"), 5);
	assert_int_equal(value(line, "logger", "missed_metrics_count"), 1);
	json_decref(line);
}

static void line_after_a_torn_one_starts_on_its_own(void **state)
{
	static char text[65536];
	struct disk d = {.write_bytes = 5};
	json_t *line;
	char *second;

	(void)state;
	assert_int_equal(metrics_register(&metrics, "block", NULL, disk_fields, 3, &d, NULL), 0);
	assert_int_equal(fcntl(pipe_fds[1], F_SETPIPE_SZ, 4096), 4096);
	assert_int_equal(metrics_flush(&metrics), -EAGAIN);
	assert_int_equal(read(pipe_fds[0], text, sizeof(text)), 4096);
	assert_null(memchr(text, '\n', 4096));
	assert_true(fcntl(pipe_fds[1], F_SETPIPE_SZ, 65536) > 0);
	assert_int_equal(metrics_flush(&metrics), 0);

	assert_true(read(pipe_fds[0], text, sizeof(text) - 1) > 4096);
	assert_int_equal(text[0], '\n');
	second = text + 1;
	line = json_loadb(second, (size_t)(strchr(second, '\n') - second), 0, NULL);
	assert_int_equal(value(line, "block", "write_bytes"), 5);
	json_decref(line);
}

static void flush_inside_a_flush_gives_way(void **state)
{
	json_t *line;

	(void)state;
	metrics.busy = &metrics;
	assert_int_equal(metrics_flush(&metrics), -EBUSY);
	metrics.busy = NULL;
	assert_int_equal(metrics_flush(&metrics), 0);

	line = next_line();
	assert_int_equal(value(line, "logger", "missed_metrics_count"), 1);
	json_decref(line);
}

static void line_has_id_and_properties_on_request(void **state)
{
	json_t *line, *properties;

	(void)state;
	assert_int_equal(metrics_set_extra(&metrics, "vm-1", "{\"a\":\"x\\\"y\"}", NULL), 0);
	assert_int_equal(metrics_flush(&metrics), 0);
	line = next_line();
	assert_string_equal(json_string_value(json_object_get(line, "id")), "vm-1");
	properties = json_object_get(line, "properties");
	assert_int_equal(json_object_size(properties), 1);
	assert_string_equal(json_string_value(json_object_get(properties, "a")), "x\"y");
	json_decref(line);

	assert_int_equal(metrics_set_extra(&metrics, NULL, NULL, NULL), 0);
	assert_int_equal(metrics_flush(&metrics), 0);
	line = next_line();
	assert_null(json_object_get(line, "id"));
	assert_null(json_object_get(line, "properties"));
	json_decref(line);
}

static void properties_that_fit_no_line_are_refused(void **state)
{
	static char text[METRICS_EXTRA_SIZE];
	struct err e;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	assert_int_equal(metrics_set_extra(&metrics, NULL, text, &e), -E2BIG);
	assert_string_equal(metrics.extra, "");
}

static void sources_of_a_failed_start_are_forgotten(void **state)
{
	struct disk a = {.read_bytes = 1}, b = {.read_bytes = 2};
	uint32_t mark;
	json_t *line;

	(void)state;
	assert_int_equal(metrics_register(&metrics, "block", "a", disk_fields, 3, &a, NULL), 0);
	mark = metrics.source_count;
	assert_int_equal(metrics_register(&metrics, "block", "b", disk_fields, 3, &b, NULL), 0);
	metrics_forget_since(&metrics, mark);
	assert_int_equal(metrics_flush(&metrics), 0);
	line = next_line();
	assert_int_equal(value(line, "block", "read_bytes"), 1);
	assert_null(json_object_get(line, "block_b"));
	json_decref(line);
}

static void last_line_comes_in_the_middle_of_another(void **state)
{
	(void)state;
	/* As if a signal had come in the middle of metrics_flush on this thread. */
	assert_int_equal(metrics_flush_last(&metrics), 0);
	json_decref(next_line());
	assert_non_null(metrics.busy);
	assert_int_equal(metrics_flush(&metrics), -EBUSY);
	assert_int_equal(metrics_flush_last(&metrics), 0);
	json_decref(next_line());
}

static void last_line_does_not_wait_for_ever(void **state)
{
	(void)state;
	metrics.busy = &metrics;
	assert_int_equal(metrics_flush_last(&metrics), -EBUSY);
}

static void registration_has_bounds(void **state)
{
	char id[METRICS_ID_SIZE + 1] = "";
	struct disk d = {0};
	struct err e;

	(void)state;
	memset(id, 'x', METRICS_ID_SIZE);
	assert_int_equal(metrics_register(&metrics, "block", id, disk_fields, 3, &d, &e), -EINVAL);
	assert_int_equal(metrics_register(&metrics, "block", "", disk_fields, 3, &d, &e), -EINVAL);
	assert_int_equal(
		metrics_register(&metrics, "block", "a\"b", disk_fields, 3, &d, &e), -EINVAL);
	id[METRICS_ID_SIZE - 1] = '\0';
	while (metrics.source_count < METRICS_SOURCES_MAX)
		assert_int_equal(metrics_register(&metrics, "net", id, NULL, 0, &d, &e), 0);
	assert_int_equal(metrics_register(&metrics, "net", id, NULL, 0, &d, &e), -ENOSPC);
}

static void line_too_long_is_counted_and_not_written(void **state)
{
	char id[METRICS_ID_SIZE] = "";
	struct err e;
	char c;

	(void)state;
	memset(id, 'x', sizeof(id) - 1);
	while (metrics.source_count < METRICS_SOURCES_MAX)
		assert_int_equal(metrics_register(&metrics, "net", id, NULL, 0, &c, &e), 0);
	assert_int_equal(metrics_flush(&metrics), -ENOSPC);
	assert_int_equal(read(pipe_fds[0], &c, 1), -1);
	assert_int_equal(metrics.own.metrics_fails, 1);
}

static void file_is_made_and_written_from_its_start(void **state)
{
	char path[] = "/tmp/mayfly-metrics-XXXXXX";
	char text[64] = "";
	struct metrics *m = &metrics;
	struct err e;
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, "old text", 8), 8);
	assert_int_equal(metrics_open(m, path, &e), 0);
	pipe_fds[1] = -1;
	assert_int_equal(metrics_flush(m), 0);
	assert_int_equal(pread(fd, text, 20, 0), 20);
	assert_memory_equal(text, "{\"utc_timestamp_ms\":", 20);
	assert_int_equal(metrics_open(m, "/nonexistent/x", &e), -ENOENT);
	assert_non_null(strstr(e.msg, "metrics_path: cannot open /nonexistent/x"));
	assert_int_equal(metrics_flush(m), 0);
	(void)close(fd);
	(void)unlink(path);
}

static void nothing_is_written_without_a_target(void **state)
{
	static struct metrics m;

	(void)state;
	metrics_init(&m);
	assert_int_equal(metrics_flush(&m), 0);
	metrics_fini(&m);
	assert_int_equal(metrics_flush(&m), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(line_without_devices_has_exactly_the_known_keys_all_zero),
		TEST(line_is_stamped_with_the_time_in_ms),
		TEST(counters_are_deltas_and_stores_are_not),
		TEST(device_groups_sum_up_to_their_aggregate),
		TEST(sources_without_id_share_their_group),
		TEST(full_pipe_loses_no_growth),
		TEST(line_after_a_torn_one_starts_on_its_own),
		TEST(flush_inside_a_flush_gives_way),
		TEST(line_has_id_and_properties_on_request),
		TEST(properties_that_fit_no_line_are_refused),
		TEST(sources_of_a_failed_start_are_forgotten),
		TEST(last_line_comes_in_the_middle_of_another),
		TEST(last_line_does_not_wait_for_ever),
		TEST(registration_has_bounds),
		TEST(line_too_long_is_counted_and_not_written),
		TEST(file_is_made_and_written_from_its_start),
		cmocka_unit_test(nothing_is_written_without_a_target),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
