/* SPDX-License-Identifier: Apache-2.0 */
/* Landlock: each case restricts a child process, which says by its exit status which line went wrong. */
#include "vmm/core/landlock.h"

#include "tests/unit/lib/cm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_EXPECT(cond)                                                                         \
	do {                                                                                       \
		if (!(cond))                                                                       \
			_exit(__LINE__ % 250 + 1);                                                 \
	} while (0)

static char dir[] = "/tmp/mayfly-landlock-XXXXXX";
static char inside[64], outside[64];

static long abi_of_kernel(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, 1);
}

static void restrict_to(const char *dirs)
{
	const struct landlock_config c = {.on = true, .required = true, .dirs = dirs};
	struct landlock l;
	struct err e = {0};

	CHILD_EXPECT(landlock_open(&l, &c, &e) == 0);
	CHILD_EXPECT(landlock_restrict(&l, &e) == 0);
	landlock_close(&l);
}

/* The line of `child` that failed, 0 if none. */
static int in_child(void (*child)(void))
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		child();
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void child_without_dirs(void)
{
	int before = open(inside, O_RDWR | O_CLOEXEC);
	char c;

	CHILD_EXPECT(before >= 0);
	restrict_to(NULL);
	CHILD_EXPECT(open(inside, O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
	CHILD_EXPECT(open("/proc/self/mem", O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
	CHILD_EXPECT(open(outside, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0 && errno == EACCES);
	CHILD_EXPECT(unlink(inside) < 0 && errno == EACCES);
	CHILD_EXPECT(pread(before, &c, 1, 0) == 1); /* what is open stays open */
}

static void child_with_dirs(void)
{
	char dirs[128];
	int fd;

	(void)snprintf(dirs, sizeof(dirs), "/usr:%s", dir);
	restrict_to(dirs);
	fd = open(inside, O_RDWR | O_TRUNC | O_CLOEXEC);
	CHILD_EXPECT(fd >= 0);
	(void)snprintf(dirs, sizeof(dirs), "%s/new", dir);
	CHILD_EXPECT(open(dirs, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0);
	CHILD_EXPECT(rename(dirs, inside) == 0);
	CHILD_EXPECT(open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
	CHILD_EXPECT(mknod(dirs, S_IFCHR | 0600, 0x103) < 0);
	(void)execl("/usr/bin/true", "true", (char *)NULL);
	CHILD_EXPECT(errno == EACCES);
}

static void child_reaches_out(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_port = htons(9),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	long errata = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, 2);

	restrict_to(NULL);
	if (abi_of_kernel() >= 4) {
		CHILD_EXPECT(connect(s, (const struct sockaddr *)&a, sizeof(a)) < 0);
		CHILD_EXPECT(errno == EACCES);
	}
	if (abi_of_kernel() >= 6 && errata >= 0 && (errata & 2) != 0)
		CHILD_EXPECT(kill(getppid(), 0) < 0 && errno == EPERM);
	CHILD_EXPECT(kill(getpid(), 0) == 0);
}

static void nothing_is_opened_but_below_the_directories(void **state)
{
	(void)state;
	if (abi_of_kernel() < 0) {
		skip(); /* the kernel has none */
	}
	assert_int_equal(in_child(child_without_dirs), 0);
	assert_int_equal(in_child(child_with_dirs), 0);
	assert_int_equal(in_child(child_reaches_out), 0);
}

static void directories_that_are_none_are_refused(void **state)
{
	static const struct {
		const char *dirs, *message;
	} rows[] = {
		{"", "landlock: '' has a directory without a name, or too long"},
		{"/tmp:", "landlock: '/tmp:' has a directory without a name, or too long"},
		{"/tmp::/usr",
			"landlock: '/tmp::/usr' has a directory without a name, or too long"},
		{"/tmp:/nowhere/x", "landlock: cannot open the directory '/nowhere/x'"},
		{"/etc/passwd", "landlock: cannot open the directory '/etc/passwd'"},
	};
	struct landlock l;
	struct err e = {0};

	(void)state;
	assert_int_equal(landlock_open(&l, &(struct landlock_config){.dirs = "off"}, &e), 0);
	assert_int_equal(l.fd, -1);
	assert_int_equal(landlock_restrict(&l, &e), 0);
	assert_int_equal(landlock_restrict(NULL, &e), 0);
	if (abi_of_kernel() < 0)
		skip();
	for (size_t i = 0; i < NELEM(rows); i++) {
		const struct landlock_config c = {.on = true, .dirs = rows[i].dirs};

		assert_true(landlock_open(&l, &c, &e) < 0);
		assert_int_equal(l.fd, -1);
		if (strncmp(e.msg, rows[i].message, strlen(rows[i].message)) != 0)
			assert_string_equal(e.msg, rows[i].message);
	}
}

static int set_up(void **state)
{
	int fd;

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(inside, sizeof(inside), "%s/f", dir);
	(void)snprintf(outside, sizeof(outside), "%s-outside", dir);
	fd = open(inside, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return fd >= 0 && write(fd, "x", 1) == 1 ? close(fd) : -1;
}

static int tear_down(void **state)
{
	(void)state;
	(void)unlink(inside);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_opened_but_below_the_directories),
		cmocka_unit_test(directories_that_are_none_are_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("landlock", tests, set_up, tear_down);
}
