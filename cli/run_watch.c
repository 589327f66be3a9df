/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. One loop waits for the monitor's messages, its log, signals, and one
 * deadline, and ends when the monitor has been reaped.
 *
 *	phase		what was done			deadline	then
 *	RUNNING		nothing				none		-
 *	POWER_BUTTON	the button was pressed		--stop-timeout	STOP
 *	STOP		`stop` was sent			1 s		KILL
 *	LINGER		the VM has ended		2 s		KILL
 *	KILL		SIGKILL was sent		none		-
 *
 * The first signal presses the button, or sends `stop` if no guest code runs yet, since nobody
 * would hear the button. A later one goes on to STOP at once. Two signals in quick succession are
 * one request: `timeout` and terminals with a forwarding parent send it twice.
 */
#include "cli/run.h"

#include "cli/cli.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/clock.h"
#include "vmm/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define REPEAT_NS (300 * CLOCK_NS_PER_MS)
#define STOP_NS   (1 * CLOCK_NS_PER_S)
#define LINGER_NS (2 * CLOCK_NS_PER_S)

#define LOG_COPY_SIZE_MAX (1 * MIB)

enum phase { PHASE_RUNNING, PHASE_POWER_BUTTON, PHASE_STOP, PHASE_LINGER, PHASE_KILL };

struct watch {
	struct run_child *child;   /* borrowed */
	struct run_result *result; /* borrowed */
	uint64_t stop_timeout_ns;
	uint64_t signal_at_ns;
	uint64_t deadline_ns; /* 0: none */
	enum phase phase;
	bool reaped;
};

static const int end_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

/* A signal that our parent had us ignore (nohup, a shell's &) stays ignored. */
static void signal_set(sigset_t *set)
{
	struct sigaction old;

	sigemptyset(set);
	sigaddset(set, SIGCHLD);
	for (size_t i = 0; i < NELEM(end_signals); i++) {
		if (sigaction(end_signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaddset(set, end_signals[i]);
	}
}

void run_watch_block_signals(void)
{
	sigset_t set;

	(void)signal(SIGCHLD, SIG_DFL); /* if inherited as ignored, there is nothing to wait for */
	(void)signal(SIGPIPE, SIG_IGN); /* a closed standard error must not cost the terminal */
	signal_set(&set);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

void run_watch_unblock_for_child(void)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < NELEM(end_signals); i++)
		sigaddset(&set, end_signals[i]);
	(void)sigprocmask(SIG_SETMASK, &set, NULL);
}

static void phase_enter(struct watch *w, enum phase phase, uint64_t wait_ns)
{
	w->phase = phase;
	w->deadline_ns = wait_ns ? clock_mono_ns() + wait_ns : 0;
}

/* A monitor that does not take it is either gone or about to be killed. */
static void message_send(struct watch *w, const char *text)
{
	if (w->child->socket_fd >= 0)
		(void)send(w->child->socket_fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void stop_send(struct watch *w)
{
	message_send(w, "stop");
	phase_enter(w, PHASE_STOP, STOP_NS);
}

static void force(struct watch *w, const char *why)
{
	cli_say("run", "%s; stopping the VM", why);
	w->result->forced = true;
	stop_send(w);
}

static void on_end_signal(struct watch *w, int sig, bool now_by_force)
{
	uint64_t now = clock_mono_ns();

	if (now_by_force && w->phase == PHASE_POWER_BUTTON)
		force(w, "asked to stop the VM by force");
	else if (w->phase == PHASE_POWER_BUTTON && now - w->signal_at_ns >= REPEAT_NS)
		force(w, "asked again");
	if (w->phase != PHASE_RUNNING)
		return;
	w->result->signal = sig;
	w->signal_at_ns = now;
	if (now_by_force || (w->result->started && w->stop_timeout_ns == 0)) {
		w->result->forced = true;
		stop_send(w);
	} else if (!w->result->started) {
		stop_send(w);
	} else {
		cli_say("run", "asking the guest to power off, for at most %llu.%llu s",
			(unsigned long long)(w->stop_timeout_ns / CLOCK_NS_PER_S),
			(unsigned long long)(w->stop_timeout_ns % CLOCK_NS_PER_S /
					     (CLOCK_NS_PER_S / 10)));
		message_send(w, "power-button");
		phase_enter(w, PHASE_POWER_BUTTON, w->stop_timeout_ns);
	}
}

static void on_deadline(struct watch *w)
{
	if (w->phase == PHASE_POWER_BUTTON) {
		force(w, "the guest did not power off in time");
		return;
	}
	w->result->killed = true;
	(void)kill(w->child->pid, SIGKILL);
	phase_enter(w, PHASE_KILL, 0);
}

/*
 * The VM is gone, and its monitor has nothing left to do but exit. Killing one that only takes long
 * to free much memory changes nothing: it keeps its exit status.
 */
static void linger(struct watch *w)
{
	if (w->phase != PHASE_KILL)
		phase_enter(w, PHASE_LINGER, LINGER_NS);
}

static enum vm_end end_find(const char *name)
{
	for (int i = VM_END_NONE + 1; i < VM_END_COUNT; i++) {
		if (strcmp(vm_end_infos[i].name, name) == 0)
			return (enum vm_end)i;
	}
	return VM_END_NONE;
}

/* Words that are not known come from a newer monitor; `panicked` is part of the later `ended`. */
static void on_message(struct watch *w, const char *msg)
{
	struct run_result *r = w->result;

	if (strcmp(msg, "started") == 0) {
		r->started = true;
	} else if (strncmp(msg, "timeline ", 9) == 0) {
		(void)strncpy(r->timeline, msg + 9, sizeof(r->timeline) - 1);
	} else if (strncmp(msg, "ended ", 6) == 0) {
		r->end = end_find(msg + 6);
		linger(w);
	}
}

/* Takes what the socket holds now. */
static void socket_drain(struct watch *w)
{
	char msg[RUN_MESSAGE_SIZE_MAX + 1];

	while (w->child->socket_fd >= 0) {
		ssize_t n = recv(w->child->socket_fd, msg, sizeof(msg) - 1, MSG_DONTWAIT);

		if (n > 0) {
			msg[n] = '\0';
			on_message(w, msg);
		} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
			fd_close(&w->child->socket_fd);
			if (w->phase != PHASE_STOP)
				linger(w);
		} else if (errno == EAGAIN) {
			return;
		}
	}
}

/* For `mayfly logs`. The runtime directory is usually memory: the file is begun anew at its limit. */
static void log_copy(struct watch *w, const char *text, size_t len)
{
	int fd = w->child->log_copy_fd;

	if (fd < 0)
		return;
	if (lseek(fd, 0, SEEK_CUR) + (off_t)len > (off_t)LOG_COPY_SIZE_MAX && ftruncate(fd, 0) == 0)
		(void)lseek(fd, 0, SEEK_SET);
	(void)!io_write_full(fd, text, len);
}

static void log_drain(struct watch *w)
{
	char buf[4096];

	while (w->child->log_fd >= 0) {
		ssize_t n = read(w->child->log_fd, buf, sizeof(buf));

		if (n > 0) {
			(void)!io_write_full(STDERR_FILENO, buf, (size_t)n);
			log_copy(w, buf, (size_t)n);
		} else if (n < 0 && errno == EAGAIN) {
			return;
		} else if (n == 0 || errno != EINTR) {
			fd_close(&w->child->log_fd);
		}
	}
}

/* One signal may stand for several: what a jailer leaves as orphans ends, too. */
static void children_reap(struct watch *w)
{
	int status;
	pid_t pid;

	while (!w->reaped && (pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != w->child->pid)
			continue;
		w->result->wait_status = status;
		w->reaped = true;
	}
}

static void signals_drain(struct watch *w, int signal_fd)
{
	struct signalfd_siginfo si;

	while (read(signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (si.ssi_signo == SIGCHLD)
			children_reap(w);
		else
			on_end_signal(w, (int)si.ssi_signo,
				si.ssi_code == SI_QUEUE && si.ssi_int == RUN_SIGNAL_FORCE);
	}
}

static int deadline_left_ms(const struct watch *w)
{
	uint64_t now;

	if (w->deadline_ns == 0)
		return -1;
	now = clock_mono_ns();
	if (now >= w->deadline_ns)
		return 0;
	return (int)((w->deadline_ns - now) / CLOCK_NS_PER_MS) + 1;
}

static int watch_wait(struct watch *w, int signal_fd, struct err *e)
{
	struct pollfd p[] = {
		{.fd = signal_fd, .events = POLLIN},
		{.fd = w->child->socket_fd, .events = POLLIN},
		{.fd = w->child->log_fd, .events = POLLIN},
	};
	int n = poll(p, NELEM(p), deadline_left_ms(w));

	if (n < 0 && errno != EINTR)
		return err_set_os(e, -errno, "cannot wait for the monitor");
	/* Messages first: `started` decides what a signal means, and `ended` what a death means. */
	socket_drain(w);
	log_drain(w);
	signals_drain(w, signal_fd);
	if (deadline_left_ms(w) == 0 && !w->reaped)
		on_deadline(w);
	return 0;
}

int run_watch(struct run_child *c, uint64_t stop_timeout_ns, struct run_result *r, struct err *e)
{
	struct watch w = {.child = c, .result = r, .stop_timeout_ns = stop_timeout_ns};
	CLEANUP_FD
	int signal_fd = -1;
	sigset_t set;
	int err = 0;

	*r = (struct run_result){0};
	signal_set(&set);
	signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signal_fd < 0)
		err = err_set_os(e, -errno, "cannot wait for signals");
	if (c->log_fd >= 0)
		(void)fcntl(c->log_fd, F_SETFL, O_NONBLOCK);
	while (!err && !w.reaped)
		err = watch_wait(&w, signal_fd, e);
	if (!w.reaped) {
		(void)kill(c->pid, SIGKILL);
		(void)waitpid(c->pid, &r->wait_status, 0);
	}
	socket_drain(&w);
	log_drain(&w);
	return err;
}
