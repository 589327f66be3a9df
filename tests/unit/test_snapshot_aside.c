/* SPDX-License-Identifier: Apache-2.0 */
/* Files that replace others, and those that go back. */
#include "snapshot/aside.h"
#include "tests/unit/lib/cm.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[32];

static void put(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (long)strlen(text));
	(void)close(fd);
}

static void is(const char *name, const char *text)
{
	char got[16] = "";
	int fd = open(name, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, got, sizeof(got) - 1), (long)strlen(text));
	assert_string_equal(got, text);
	(void)close(fd);
}

static int set_up(void **state)
{
	(void)state;
	(void)snprintf(folder, sizeof(folder), "/tmp/mayfly-aside-XXXXXX");
	return mkdtemp(folder) ? chdir(folder) : -1;
}

static int tear_down(void **state)
{
	(void)state;
	(void)unlink("file");
	return chdir("/") == 0 ? rmdir(folder) : -1;
}

static void written(struct aside *a)
{
	assert_int_equal(aside_open(a, "file", "field", NULL), 0);
	assert_int_equal(write(a->fd, "new", 3), 3);
	assert_int_equal(aside_sync(a, "field", NULL), 0);
}

static void old_file_stays_until_the_new_one_is_committed(void **state)
{
	struct aside a;

	(void)state;
	put("file", "old");
	written(&a);
	is("file", "old");
	aside_close(&a);
	is("file", "old");
	assert_int_equal(access("file.part", F_OK), -1);
}

static void committed_file_takes_the_place(void **state)
{
	struct aside a;

	(void)state;
	put("file", "old");
	written(&a);
	assert_int_equal(aside_commit(&a, "field", NULL), 0);
	is("file", "new");
	aside_close(&a);
	is("file", "new");
	assert_int_equal(access("file.part", F_OK), -1);
}

static void reverted_file_is_the_old_one(void **state)
{
	struct aside a;

	(void)state;
	put("file", "old");
	written(&a);
	assert_int_equal(aside_commit(&a, "field", NULL), 0);
	aside_revert(&a);
	is("file", "old");
	aside_close(&a);
	is("file", "old");
	assert_int_equal(access("file.part", F_OK), -1);
}

static void reverted_new_file_is_gone(void **state)
{
	struct aside a;

	(void)state;
	written(&a);
	assert_int_equal(aside_commit(&a, "field", NULL), 0);
	is("file", "new");
	aside_revert(&a);
	aside_close(&a);
	assert_int_equal(access("file", F_OK), -1);
	assert_int_equal(access("file.part", F_OK), -1);
}

static void names_that_collide(void **state)
{
	(void)state;
	assert_true(aside_names_collide("a", "a"));
	assert_true(aside_names_collide("a", "a.part"));
	assert_true(aside_names_collide("a.part", "a"));
	assert_false(aside_names_collide("a", "b"));
	assert_false(aside_names_collide("a", "a.parts"));
	assert_false(aside_names_collide("a", "ab"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(old_file_stays_until_the_new_one_is_committed),
		TEST(committed_file_takes_the_place),
		TEST(reverted_file_is_the_old_one),
		TEST(reverted_new_file_is_gone),
		TEST(names_that_collide),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("snapshot_aside", tests, NULL, NULL);
}
