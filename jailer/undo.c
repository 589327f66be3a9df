/* SPDX-License-Identifier: Apache-2.0 */
/* The process that takes back. See undo.h. */
#include "jailer/undo.h"

#include "vmm/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define UNDO_RUNS   'r'
#define UNDO_UNDONE 'u'

static int undo_life = -1, undo_verdict = -1; /* the jailer's ends */
static pid_t undo_owner;                      /* the process that was started as the jailer */

/* Of a pipe of which the others hold the writing ends; a byte, or 0 at its end. */
static char undo_read(int fd)
{
	char c = 0;

	while (read(fd, &c, 1) < 0 && errno == EINTR)
		continue;
	return c;
}

_Noreturn static void undo_main(
	struct jail *j, const struct jail_step *steps, size_t count, int life, int verdict)
{
	char answer = UNDO_RUNS;

	/* Nothing of the terminal, of the starter's files, or of its signals. */
	(void)prctl(PR_SET_NAME, "jailer-undo", 0, 0, 0);
	(void)setsid();
	for (int fd = 0; fd < 3; fd++)
		(void)dup2(j->null_fd, fd);
	for (int fd = 3; fd <= JAILER_PASS_FD_MAX; fd++)
		if (j->opt.pass_fd[fd])
			(void)close(fd);
	(void)undo_read(life);
	if (!j->exec_begun) {
		for (size_t i = count; i > 0; i--)
			if (steps[i - 1].undo)
				steps[i - 1].undo(j);
		answer = j->left_behind ? 0 : UNDO_UNDONE;
	}
	(void)!write(verdict, &answer, 1);
	_exit(0);
}

/* Twice forked, so that the monitor, which may be this very process, gets no child. */
static void undo_split(
	struct jail *j, const struct jail_step *steps, size_t count, int life[2], int verdict[2])
{
	pid_t pid = fork();

	if (pid != 0)
		_exit(pid < 0 ? errno : 0);
	(void)close(life[1]);
	(void)close(verdict[0]);
	undo_main(j, steps, count, life[0], verdict[1]);
}

int undo_start(struct jail *j, const struct jail_step *steps, size_t count, struct err *e)
{
	int life[2], verdict[2], status;
	pid_t pid;

	if (pipe2(life, O_CLOEXEC) < 0)
		return err_set_os(e, -errno, "Failed to make a pipe");
	if (pipe2(verdict, O_CLOEXEC) < 0)
		return err_set_os(e, -errno, "Failed to make a pipe");
	undo_owner = getpid();
	pid = fork();
	if (pid < 0)
		return err_set_os(e, -errno, "Failed to fork");
	if (pid == 0)
		undo_split(j, steps, count, life, verdict);
	(void)close(life[0]);
	(void)close(verdict[1]);
	undo_life = life[1];
	undo_verdict = verdict[0];
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_set_os(e, -errno, "Failed to wait for a process");
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return err_set_os(
			e, WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR, "Failed to fork");
	return 0;
}

_Noreturn void undo_watch(struct jail *j)
{
	char answer;

	fd_close(&undo_life);
	answer = undo_read(undo_verdict);
	if (answer == UNDO_RUNS)
		_exit(0);
	if (j->error.code == 0)
		(void)snprintf(j->error.msg, sizeof(j->error.msg),
			"a process of the jailer was killed before it could start the monitor");
	(void)fprintf(stderr, "mayfly-jailer: %s\n", j->error.msg);
	if (answer != UNDO_UNDONE)
		(void)fprintf(stderr,
			"mayfly-jailer: not everything was undone: run mayfly-jailer --cleanup "
			"%s --chroot-base-dir %s\n",
			j->opt.id, j->base);
	_exit(1);
}

_Noreturn void undo_fail(struct jail *j)
{
	if (getpid() != undo_owner)
		_exit(1); /* the first process says it */
	undo_watch(j);
}
