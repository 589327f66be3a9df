/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exchanges a file with others, one after the other, as fast as it can, until it is killed:
 *
 *   swap FILE OTHER...
 */
#include <fcntl.h>
#include <stdio.h>

static int exchange(const char *a, const char *b)
{
	return renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		(void)fprintf(stderr, "usage: swap FILE OTHER...\n");
		return 2;
	}
	for (int i = 2;; i = i + 1 < argc ? i + 1 : 2) {
		/* There and back, so that each stands in the place of the file alone. */
		for (int way = 0; way < 2; way++) {
			if (exchange(argv[1], argv[i]) < 0) {
				perror("swap");
				return 1;
			}
		}
	}
}
