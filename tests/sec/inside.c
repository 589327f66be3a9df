/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor that misbehaves: orders, children, and what they tell. See inside.h. */
#include "tests/sec/inside.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define INSIDE_SECONDS_MAX 20 /* for one child; more is a hang */
#define INSIDE_DENIED      77

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) the linker's --wrap wants these names */
int __real_seccomp_install(enum seccomp_role role, struct err *e);
int __wrap_seccomp_install(enum seccomp_role role, struct err *e);

struct inside_order inside_order;

/* The file /told: text, and at its end what a child tells its parent. */
static struct inside_page {
	char text[INSIDE_TOLD_SIZE - 64];
	volatile int denied, told, nr, result;
} * inside_page;

_Static_assert(sizeof(struct inside_page) <= INSIDE_TOLD_SIZE, "the file holds the page");

/* One thread at a time: they share the page. */
static pthread_mutex_t inside_lock = PTHREAD_MUTEX_INITIALIZER;
static size_t inside_text_len;
static atomic_bool inside_done[SECCOMP_ROLE_COUNT];

static void inside_order_sets(char *names)
{
	for (char *save, *n = strtok_r(names, " \n", &save); n; n = strtok_r(NULL, " \n", &save)) {
		inside_order.calls |= strcmp(n, "calls") == 0;
		inside_order.arguments |= strcmp(n, "arguments") == 0;
		inside_order.jail |= strcmp(n, "jail") == 0;
		inside_order.processes |= strcmp(n, "processes") == 0;
		inside_order.same_user |= strcmp(n, "same-user") == 0;
		inside_order.forks |= strcmp(n, "forks") == 0;
		inside_order.landlock |= strcmp(n, "landlock") == 0;
	}
}

static void inside_order_itself(const char *value)
{
	char role[8];

	if (sscanf(value, "%7s %15s", role, inside_order.itself) != 2)
		abort();
	for (int r = 0; r < SECCOMP_ROLE_COUNT; r++)
		if (strcmp(role, seccomp_role_name((enum seccomp_role)r)) == 0)
			inside_order.itself_role = r;
}

static void inside_order_line(char *line)
{
	const struct {
		const char *word;
		int *value;
	} numbers[] = {{"pid", &inside_order.pid}, {"same", &inside_order.same},
		{"port", &inside_order.port}, {"key", &inside_order.key}};
	char *value = strchr(line, ' ');

	line[strcspn(line, "\n")] = '\0';
	if (!value)
		abort();
	*value++ = '\0';
	for (size_t i = 0; i < NELEM(numbers); i++)
		if (strcmp(line, numbers[i].word) == 0)
			*numbers[i].value = (int)strtol(value, NULL, 10);
	if (strcmp(line, "sets") == 0)
		inside_order_sets(value);
	if (strcmp(line, "itself") == 0)
		inside_order_itself(value);
	if (strcmp(line, "only") == 0) {
		inside_order.no_bare_mode = strcmp(value, "filter") == 0;
		inside_order.no_filter_mode = !inside_order.no_bare_mode;
	}
	if (strcmp(line, "label") == 0)
		(void)snprintf(inside_order.label, sizeof(inside_order.label), " (%s)", value);
	if (strcmp(line, "name") == 0)
		(void)snprintf(inside_order.name, sizeof(inside_order.name), "%s", value);
}

/* Before main: the threads that attack shall need nothing of the C library, and leave no file open. */
__attribute__((constructor)) static void inside_init(void)
{
	FILE *f = fopen("/attack", "re");
	char line[256];
	int fd;

	inside_order.itself_role = -1;
	if (!f)
		return;
	while (fgets(line, sizeof(line), f))
		inside_order_line(line);
	(void)fclose(f);
	fd = open("/told", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		abort();
	inside_page = mmap(NULL, INSIDE_TOLD_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (inside_page == MAP_FAILED)
		abort();
	(void)close(fd);
}

static void inside_write(const char *line)
{
	const size_t len = strlen(line);

	if (len >= sizeof(inside_page->text) - inside_text_len)
		abort();
	memcpy(inside_page->text + inside_text_len, line, len);
	inside_text_len += len;
}

void inside_tell(enum seccomp_role role, bool filter, bool held, const char *walls,
	const char *tried, const char *outcome)
{
	char line[1024];

	(void)snprintf(line, sizeof(line), "%s\t%s\t%s\t%s\t%s%s\t%s\n", seccomp_role_thread(role),
		filter ? "filter" : "bare", held ? "held" : "BROKEN", walls, tried,
		inside_order.label, outcome);
	inside_write(line);
}

static volatile sig_atomic_t inside_goes_on;

static void inside_on_sigsys(int sig, siginfo_t *info, void *ctx)
{
	(void)sig;
	(void)ctx;
	inside_page->denied = 1;
	inside_page->nr = info->si_syscall;
	if (inside_goes_on)
		return;
	_exit(INSIDE_DENIED);
}

bool inside_denies(long nr, const unsigned long args[6])
{
	inside_goes_on = 1;
	inside_page->denied = 0;
	(void)syscall(nr, args[0], args[1], args[2], args[3], args[4], args[5]);
	inside_goes_on = 0;
	return inside_page->denied && inside_page->nr == (int)nr;
}

/* The handler of the monitor would log; a hang is an end, too. */
static void inside_be_child(enum seccomp_role role, bool filter)
{
	struct sigaction denied = {.sa_sigaction = inside_on_sigsys, .sa_flags = SA_SIGINFO};
	struct err e;
	sigset_t none;

	(void)sigaction(SIGSYS, &denied, NULL);
	for (int s = 1; s < SIGRTMIN; s++)
		if (s != SIGSYS)
			(void)signal(s, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)setrlimit(RLIMIT_CORE, &(struct rlimit){0});
	(void)alarm(INSIDE_SECONDS_MAX);
	if (filter && __real_seccomp_install(role, &e) < 0)
		_exit(1);
}

struct inside_end inside_make(
	enum seccomp_role role, bool filter, inside_child_fn fn, const void *ctx)
{
	struct inside_end end = {0};
	int status;
	pid_t pid;

	inside_page->denied = inside_page->told = 0;
	pid = fork();
	if (pid < 0)
		abort();
	if (pid == 0) {
		inside_be_child(role, filter);
		inside_page->result = fn(ctx);
		inside_page->told = 1;
		_exit(0);
	}
	while (waitpid(pid, &status, __WALL) != pid)
		if (errno != EINTR)
			abort();
	end.told = inside_page->told;
	end.result = inside_page->result;
	end.nr = inside_page->nr;
	end.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	end.denied = end.signal == SIGSYS || (inside_page->denied && WIFEXITED(status) &&
						     WEXITSTATUS(status) == INSIDE_DENIED);
	return end;
}

static int inside_attempt(const void *ctx)
{
	const struct attempt *a = ctx;

	return a->make();
}

static void inside_judge(
	enum seccomp_role role, bool filter, const struct attempt *a, const struct inside_end *end)
{
	const char *outcome;
	char text[64];
	bool held = false;

	if (end->denied) {
		held = filter;
		outcome = "SIGSYS";
	} else if (end->told && end->result == -INSIDE_NO_EFFECT) {
		held = a->no_effect != NULL;
		outcome = held ? a->no_effect : "in vain";
	} else if (end->told && end->result < 0) {
		for (size_t i = 0; i < NELEM(a->good); i++)
			held |= a->good[i] == -end->result;
		outcome = strerrorname_np(-end->result);
	} else if (end->told) {
		(void)snprintf(text, sizeof(text), "DONE: %d", end->result);
		outcome = text;
	} else {
		(void)snprintf(text, sizeof(text), "ended by signal %d", end->signal);
		outcome = text;
	}
	inside_tell(role, filter, held, a->walls ? a->walls : "-", a->tried,
		outcome ? outcome : "an unknown error");
}

static void inside_all(enum seccomp_role role, const struct attempt *a, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (int filter = 0; filter < 2; filter++) {
			struct inside_end end;

			if (filter ? inside_order.no_filter_mode
				   : inside_order.no_bare_mode || !a[i].walls)
				continue;
			end = inside_make(role, filter, inside_attempt, &a[i]);
			inside_judge(role, filter, &a[i], &end);
		}
}

static void inside_run(enum seccomp_role role)
{
	if (inside_order.calls)
		inside_calls(role);
	if (inside_order.arguments)
		inside_arguments(role);
	if (inside_order.jail) {
		inside_all(role, inside_files, inside_files_count);
		inside_all(role, inside_mounts, inside_mounts_count);
		inside_all(role, inside_kernel, inside_kernel_count);
		inside_all(role, inside_credentials, inside_credentials_count);
		inside_all(role, inside_network, inside_network_count);
	}
	if (inside_order.processes)
		inside_all(role, inside_processes, inside_processes_count);
	if (inside_order.same_user)
		inside_all(role, inside_same, inside_same_count);
	if (inside_order.forks)
		inside_all(role, inside_forks, inside_forks_count);
	if (inside_order.landlock)
		inside_all(role, inside_landlock, inside_landlock_count);
	inside_write("end\n");
	inside_page->denied = inside_page->told = inside_page->nr = inside_page->result = 0;
}

/* The thread itself, not a child: the whole monitor must end. */
static void inside_itself(void)
{
	if (strcmp(inside_order.itself, "i386") == 0) {
		long rc = 20; /* getpid there */

		__asm__ volatile("int $0x80" : "+a"(rc) : : "memory", "r8", "r9", "r10", "r11");
	} else {
		(void)syscall(SYS_mount, "/", "/run", NULL, 0UL, NULL);
	}
}

int __wrap_seccomp_install(enum seccomp_role role, struct err *e)
{
	int rc;

	/* Of several vCPUs, one. */
	if (!inside_page || atomic_exchange(&inside_done[role], true))
		return __real_seccomp_install(role, e);
	(void)pthread_mutex_lock(&inside_lock);
	inside_run(role);
	(void)pthread_mutex_unlock(&inside_lock);
	rc = __real_seccomp_install(role, e);
	if (rc == 0 && inside_order.itself_role == (int)role)
		inside_itself();
	return rc;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
