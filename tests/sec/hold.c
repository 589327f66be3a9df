/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes connections and gives nothing: hold SOCKET COUNT. Connects so often, without waiting for anybody, prints how
 * many connections it has got, and holds them until standard input ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct rlimit files;
	unsigned long wanted, held = 0;
	char c;

	if (argc != 3 || strlen(argv[1]) >= sizeof(at.sun_path) ||
		(wanted = strtoul(argv[2], NULL, 10)) == 0) {
		(void)fprintf(stderr, "usage: hold SOCKET COUNT\n");
		return 2;
	}
	memcpy(at.sun_path, argv[1], strlen(argv[1]) + 1);
	files.rlim_cur = files.rlim_max = wanted + 100;
	(void)setrlimit(RLIMIT_NOFILE, &files);
	for (unsigned long i = 0; i < wanted; i++) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

		if (fd < 0)
			break;
		for (int tries = 0; tries < 100; tries++) {
			if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0) {
				held++;
				break;
			}
			if (errno != EAGAIN)
				break;
			(void)usleep(1000); /* its queue is full */
		}
	}
	(void)printf("%lu\n", held);
	(void)fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	return 0;
}
