/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host side: prints SIZE bytes of the pattern that blk_pattern() in tests/payload/rt/blk.c
 * expects on a drive, or with a second argument M, bytes counting modulo M.
 */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	unsigned long size = argc > 1 ? strtoul(argv[1], NULL, 0) : 0;
	unsigned long modulo = argc > 2 ? strtoul(argv[2], NULL, 0) : 0;

	if (size == 0) {
		fprintf(stderr, "usage: pattern SIZE [MODULO]\n");
		return 2;
	}
	for (unsigned long i = 0; i < size; i++)
		if (putchar((int)((modulo ? i % modulo : i ^ i >> 9 ^ i >> 17) & 0xff)) == EOF)
			return 1;
	return fflush(stdout) == 0 ? 0 : 1;
}
