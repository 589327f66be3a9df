/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mayfly-jailer: builds a jail and becomes the monitor in it. The table of steps is the whole
 * program; each step is in a file of its theme, undo.h says how they are taken back.
 */
#include "jailer/jail.h"
#include "jailer/undo.h"

#include "vmm/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define JAILER_COMPATIBLE_VERSION "1.17.0"

static const struct jail_step jail_steps[] = {
	{"claim", tree_claim, tree_unclaim},
	{"root", tree_make_root, tree_undo_root},
	{"copy", exec_copy, exec_undo_copy},
	{"network", ns_join_net, NULL},
	{"limits", creds_limit, NULL},
	{"cgroups", cgroup_enter, cgroup_leave},
	{"pivot", ns_pivot, NULL},
	{"folders", tree_fill, tree_undo_fill},
	{"devices", dev_make, dev_undo},
	{"process", proc_fork, proc_undo},
	{"owner", tree_give, NULL}, /* undone with the folders */
	{"credentials", creds_drop, NULL},
	{"exec", exec_run, NULL},
};

static int main_fail(const struct err *e)
{
	(void)fprintf(stderr, "mayfly-jailer: %s\n", e->msg);
	return 1;
}

/* All from 3 on but those of --pass-fd. */
static int main_close_files(const struct jailer_options *o, struct err *e)
{
	unsigned from = 3;

	for (unsigned fd = 3; fd <= JAILER_PASS_FD_MAX + 1; fd++) {
		bool last = fd > JAILER_PASS_FD_MAX;

		if (!last && !o->pass_fd[fd])
			continue;
		if ((last || from < fd) &&
			close_range(from, last ? ~0U : fd - 1, CLOSE_RANGE_UNSHARE) < 0)
			return err_set_os(e, -errno, "Failed to close file descriptors");
		from = fd + 1;
	}
	return 0;
}

/*
 * Whoever started us leaves nothing behind: no files but 0 to 2 (which are all there, lest one of
 * ours becomes one of them) and what is passed, no environment, no mask, no ignored signals.
 */
static int main_clean(const struct jailer_options *o, struct err *e)
{
	/* The kernel's struct sigaction: handler (SIG_DFL), flags, restorer, mask. */
	static const uint64_t by_default[4];
	sigset_t none;
	int fd;

	for (fd = 3; fd <= JAILER_PASS_FD_MAX; fd++)
		if (o->pass_fd[fd] && fcntl(fd, F_GETFD) < 0)
			return err_set_os(e, -errno, "--pass-fd: descriptor %d", fd);
	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
	while (fd >= 0 && fd < 3 && fcntl(fd, F_SETFD, 0) == 0);
	if (fd < 0)
		return err_set_os(e, -errno, "Failed to open /dev/null");
	if (main_close_files(o, e) < 0)
		return e->code;
	(void)clearenv();
	(void)umask(022);
	for (int s = 1; s < NSIG; s++) /* the C library lets nobody at its own two, 32 and 33 */
		(void)syscall(SYS_rt_sigaction, s, by_default, NULL, sizeof(uint64_t));
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	return 0;
}

static void main_version(const char *name)
{
	const char *slash = strrchr(name, '/');

	/* Installers link Firecracker's name to us. */
	if (strcmp(slash ? slash + 1 : name, "jailer") == 0)
		(void)printf("Jailer v%s\n", JAILER_COMPATIBLE_VERSION);
	(void)printf("mayfly-jailer v%s\n", MAYFLY_VERSION);
}

static int main_run(struct jail *j, struct err *e)
{
	int rc = jail_plan(j, e);

	if (rc == 0)
		rc = undo_start(j, jail_steps, NELEM(jail_steps), e);
	if (rc < 0)
		return main_fail(e);
	for (size_t i = 0; i < NELEM(jail_steps); i++) {
		if (jail_steps[i].make(j, e) < 0) {
			j->error = *e;
			undo_fail(j);
		}
	}
	return 1; /* not reached: the last step does not return well */
}

int main(int argc, char **argv)
{
	struct err e = {0};
	struct jail *j =
		mmap(NULL, sizeof(*j), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (j == MAP_FAILED) {
		(void)err_set_os(&e, -errno, "memory");
		return main_fail(&e);
	}
	j->start_us = clock_mono_ns() / CLOCK_NS_PER_US;
	j->start_cpu_us = clock_process_cpu_ns() / CLOCK_NS_PER_US;
	if (jailer_options_parse(&j->opt, argc, argv, &e) < 0 || main_clean(&j->opt, &e) < 0)
		return main_fail(&e);
	switch (j->opt.action) {
	case JAILER_HELP:
		jailer_options_help();
		return 0;
	case JAILER_VERSION:
		main_version(argv[0]);
		return 0;
	case JAILER_DESCRIBE_OPTIONS:
		jailer_options_describe();
		return 0;
	case JAILER_CLEANUP:
		return jail_cleanup(&j->opt, &e) < 0 ? main_fail(&e) : 0;
	case JAILER_RUN:
		break;
	}
	return main_run(j, &e);
}
