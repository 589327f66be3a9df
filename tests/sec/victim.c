/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands outside of the jail, to be attacked; and, by the name of suid, inside, to be run.
 *
 *	victim		listens on TCP and on an abstract Unix socket, has shared memory and a message
 *			queue; prints the orders for inside.h, "pid" among them, and waits to be killed
 *	victim -u UID	becomes that user; prints "same", and waits
 *	victim -k CMD...	CMD, with a session keyring that holds a key
 *	suid		exit status 0 if it is root or has a capability, otherwise 1
 *
 * Whoever connects makes it print "hit".
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static int victim_suid(void)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2] = {{0}};

	if (syscall(SYS_capget, &h, d) < 0)
		return 2;
	return geteuid() == 0 || d[0].permitted || d[1].permitted ? 0 : 1;
}

static int victim_keyring(char **argv)
{
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) >= 0)
		(void)syscall(SYS_add_key, "user", "mayfly-secret", "secret", 6,
			KEY_SPEC_SESSION_KEYRING);
	(void)execv(argv[0], argv);
	return 127;
}

static int victim_tcp(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, len) < 0 || listen(fd, 8) < 0 ||
		getsockname(fd, (struct sockaddr *)&at, &len) < 0)
		exit(2);
	(void)printf("port %d\n", ntohs(at.sin_port));
	return fd;
}

static int victim_abstract(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int n = snprintf(at.sun_path + 1, sizeof(at.sun_path) - 1, "mayfly-victim-%d", getpid());
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (fd < 0 ||
		bind(fd, (struct sockaddr *)&at,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) < 0 ||
		listen(fd, 8) < 0)
		exit(2);
	(void)printf("name %s\n", at.sun_path + 1);
	return fd;
}

/* A guard removes both when we end, however that is. */
static void victim_share(void)
{
	const key_t key = (key_t)(0x6d000000 + getpid());
	char queue[32], byte;
	int ends[2], id = shmget(key, 4096, IPC_CREAT | 0666);

	(void)snprintf(queue, sizeof(queue), "/mayfly-victim-%d", getpid());
	if (id < 0 || pipe(ends) < 0)
		exit(2);
	(void)printf("key %d\n", key);
	(void)fflush(stdout);
	(void)mq_open(queue, O_CREAT | O_RDWR, 0666, NULL);
	if (fork() == 0) {
		(void)setsid();
		(void)close(ends[1]);
		(void)!read(ends[0], &byte, 1);
		(void)shmctl(id, IPC_RMID, NULL);
		(void)mq_unlink(queue);
		_exit(0);
	}
}

int main(int argc, char **argv)
{
	struct pollfd p[2] = {{.events = POLLIN}, {.events = POLLIN}};
	const char *name = strrchr(argv[0], '/');

	if (strcmp(name ? name + 1 : argv[0], "suid") == 0)
		return victim_suid();
	if (argc > 2 && strcmp(argv[1], "-k") == 0)
		return victim_keyring(argv + 2);
	if (argc > 2 && strcmp(argv[1], "-u") == 0) {
		if (setgid(65534) < 0 || setuid((uid_t)strtoul(argv[2], NULL, 10)) < 0)
			return 2;
		(void)printf("same %d\n", getpid());
		(void)fflush(stdout);
		for (;;)
			pause();
	}
	(void)printf("pid %d\n", getpid());
	p[0].fd = victim_tcp();
	p[1].fd = victim_abstract();
	victim_share();
	(void)fflush(stdout);
	while (poll(p, 2, -1) > 0) {
		for (int i = 0; i < 2; i++)
			if (p[i].revents)
				(void)close(accept(p[i].fd, NULL, NULL));
		(void)printf("hit\n");
		(void)fflush(stdout);
	}
	return 2;
}
