/* SPDX-License-Identifier: Apache-2.0 */
/* The Prometheus page: its grammar line by line, and that it says what the sources count. */
#include "vmm/base/latency.h"
#include "vmm/core/metrics_sources.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FAMILIES_MAX 512

static struct metrics metrics;
static struct metrics_process process;
static struct metrics_api api;
static struct metrics_latencies latencies;
static struct metrics_mmds mmds;
static struct blk_counters drives[2];
static struct net_counters net;
static struct vcpu_counters vcpus[2];
static char *page;

static int setup(void **state)
{
	size_t len;
	int rc = 0;

	(void)state;
	metrics_init(&metrics);
	memset(drives, 0, sizeof(drives));
	memset(vcpus, 0, sizeof(vcpus));
	drives[0].read_bytes = 4096;
	drives[1].read_bytes = 512;
	latency_add(&drives[1].read_agg, 128);
	latency_add(&drives[1].read_agg, 129);
	latency_add(&drives[1].read_agg, 3000000000);
	latency_add(&drives[1].read_agg, UINT64_MAX / 2);
	latency_add(&vcpus[0].exit_io_out_agg, 100);
	latency_add(&vcpus[1].exit_io_out_agg, 200);
	vcpus[0].exit_io_out = 3;
	vcpus[1].exit_io_out = 4;
	latencies.pause_vm = 77;
	api.put.actions_count = 5;
	rc |= metrics_add_process(&metrics, &process, NULL);
	rc |= metrics_add_api(&metrics, &api, NULL);
	rc |= metrics_add_latencies(&metrics, &latencies, NULL);
	rc |= metrics_add_mmds(&metrics, &mmds, NULL);
	rc |= metrics_add_blk(&metrics, "rootfs", &drives[0], NULL);
	rc |= metrics_add_blk(&metrics, "d_2", &drives[1], NULL);
	rc |= metrics_add_net(&metrics, "eth0", &net, NULL);
	rc |= metrics_add_vcpu(&metrics, &vcpus[0], NULL);
	rc |= metrics_add_vcpu(&metrics, &vcpus[1], NULL);
	return rc ? rc : metrics_print_prometheus(&metrics, &page, &len);
}

static int teardown(void **state)
{
	(void)state;
	free(page);
	metrics_fini(&metrics);
	return 0;
}

static void has_line(const char *line)
{
	const char *at = page;
	size_t len = strlen(line);

	while ((at = strstr(at, line)) && !((at == page || at[-1] == '\n') && at[len] == '\n'))
		at++;
	if (!at)
		fail_msg("no line '%s'", line);
}

static void counters_gauges_and_histograms_have_their_forms(void **state)
{
	(void)state;
	has_line("# TYPE mayfly_block_read_bytes_total counter");
	has_line("mayfly_block_read_bytes_total{id=\"rootfs\"} 4096");
	has_line("mayfly_block_read_bytes_total{id=\"d_2\"} 512");
	has_line("# TYPE mayfly_latencies_us_pause_vm gauge");
	has_line("mayfly_latencies_us_pause_vm 77");
	has_line("mayfly_put_api_requests_actions_count_total 5");
	has_line("# TYPE mayfly_block_read_seconds histogram");
	has_line("mayfly_block_read_seconds_bucket{id=\"d_2\",le=\"0.000000128\"} 1");
	has_line("mayfly_block_read_seconds_bucket{id=\"d_2\",le=\"0.000000256\"} 2");
	has_line("mayfly_block_read_seconds_bucket{id=\"d_2\",le=\"2.147483648\"} 2");
	has_line("mayfly_block_read_seconds_bucket{id=\"d_2\",le=\"4.294967296\"} 3");
	has_line("mayfly_block_read_seconds_bucket{id=\"d_2\",le=\"17.179869184\"} 3");
	has_line("mayfly_block_read_seconds_bucket{id=\"d_2\",le=\"+Inf\"} 4");
	has_line("mayfly_block_read_seconds_count{id=\"d_2\"} 4");
}

static void vcpus_are_summed(void **state)
{
	(void)state;
	has_line("mayfly_vcpu_exit_io_out_total 7");
	has_line("mayfly_vcpu_exit_io_out_seconds_bucket{le=\"0.000000128\"} 1");
	has_line("mayfly_vcpu_exit_io_out_seconds_bucket{le=\"+Inf\"} 2");
	has_line("mayfly_vcpu_exit_io_out_seconds_sum 0.000000300");
	has_line("mayfly_vcpu_exit_io_out_seconds_count 2");
}

static void what_nobody_feeds_is_not_there(void **state)
{
	(void)state;
	assert_null(strstr(page, "balloon"));
	assert_null(strstr(page, "kvmclock"));
}

/* Consumes a metric name of the data model; NULL if there is none. */
static const char *skip_name(const char *s)
{
	if (!isalpha((unsigned char)*s) && *s != '_' && *s != ':')
		return NULL;
	while (isalnum((unsigned char)*s) || *s == '_' || *s == ':')
		s++;
	return s;
}

/* {name="value",…}, without escapes: our values need none. */
static const char *skip_labels(const char *s)
{
	if (*s != '{')
		return s;
	do {
		s = skip_name(s + 1);
		if (!s || s[0] != '=' || s[1] != '"')
			return NULL;
		s += 2;
		while (*s && *s != '"' && *s != '\\' && *s != '\n')
			s++;
		if (*s++ != '"')
			return NULL;
	} while (*s == ',');
	return *s == '}' ? s + 1 : NULL;
}

static bool is_sample_of(const char *line, const char *family, bool histogram)
{
	size_t len = strlen(family);
	const char *rest = line + len;

	if (strncmp(line, family, len) != 0)
		return false;
	if (!histogram)
		return *rest == ' ' || *rest == '{';
	return strncmp(rest, "_bucket{", 8) == 0 || strncmp(rest, "_sum", 4) == 0 ||
	       strncmp(rest, "_count", 6) == 0;
}

static void check_sample(const char *line, const char *family, bool histogram)
{
	const char *s = skip_name(line);
	char *end;

	s = s ? skip_labels(s) : NULL;
	if (!s || *s != ' ' || !is_sample_of(line, family, histogram)) {
		fail_msg("bad sample of %s: %s", family, line);
		return;
	}
	(void)strtod(s + 1, &end);
	if (end == s + 1 || *end)
		fail_msg("bad value: %s", line);
}

/* HELP, TYPE, samples; each family once, its samples together. */
static void page_follows_the_grammar(void **state)
{
	static char families[FAMILIES_MAX][96];
	char *copy = strdup(page), *rest = copy, *line, type[16] = "";
	uint32_t count = 0, samples = 1;

	(void)state;
	assert_int_equal(page[strlen(page) - 1], '\n');
	while ((line = strsep(&rest, "\n")) && *line) {
		if (strncmp(line, "# HELP ", 7) == 0) {
			assert_true(samples > 0 && count < FAMILIES_MAX);
			assert_int_equal(sscanf(line, "# HELP %95s", families[count]), 1);
			assert_true(*skip_name(families[count]) == '\0');
			for (uint32_t i = 0; i < count; i++)
				assert_string_not_equal(families[i], families[count]);
			line = strsep(&rest, "\n");
			assert_int_equal(strncmp(line, "# TYPE ", 7), 0);
			assert_int_equal(
				strncmp(line + 7, families[count], strlen(families[count])), 0);
			assert_int_equal(sscanf(line, "# TYPE %*s %15s", type), 1);
			assert_non_null(strstr("counter gauge histogram", type));
			count++;
			samples = 0;
			continue;
		}
		assert_true(count > 0);
		check_sample(line, families[count - 1], strcmp(type, "histogram") == 0);
		samples++;
	}
	assert_true(count > 80);
	free(copy);
}

static void buckets_double_and_none_is_missed(void **state)
{
	(void)state;
	assert_int_equal(latency_bucket(0), 0);
	for (unsigned i = 0; i < LATENCY_BUCKETS - 1; i++) {
		uint64_t bound = (uint64_t)1 << (LATENCY_FIRST_SHIFT + i);

		assert_int_equal(latency_bucket(bound), i);
		assert_int_equal(latency_bucket(bound + 1), i + 1);
	}
	assert_int_equal(latency_bucket(UINT64_MAX), LATENCY_BUCKETS - 1);
}

static void short_times_add_up_to_microseconds(void **state)
{
	struct latency l = {0};

	(void)state;
	for (int i = 0; i < 10; i++)
		latency_add(&l, 300);
	latency_add(&l, 5999);
	assert_int_equal(l.sum_us, 8);
	assert_int_equal(l.sum_ns, 8999);
	assert_int_equal(l.min_us, 0);
	assert_int_equal(l.max_us, 5);
}

static void a_latency_is_never_stored_as_zero(void **state)
{
	uint64_t word = 0;

	(void)state;
	metrics_latency_set(&word, clock_mono_ns());
	assert_true(word >= 1);
	metrics_latency_set(&word, clock_mono_ns() - 5000000);
	assert_true(word >= 5000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(counters_gauges_and_histograms_have_their_forms),
		TEST(vcpus_are_summed),
		TEST(what_nobody_feeds_is_not_there),
		TEST(page_follows_the_grammar),
		cmocka_unit_test(buckets_double_and_none_is_missed),
		cmocka_unit_test(short_times_add_up_to_microseconds),
		cmocka_unit_test(a_latency_is_never_stored_as_zero),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
