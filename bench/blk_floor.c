/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor of the block benchmark: the loads of tests/payload/bench_blk.c as plain system calls on
 * the same file, without a VM. Prints rows (README.md).
 *
 *   blk_floor sync|uring MILLISECONDS FILE
 *
 * sync reads and writes one request after the other, whatever the depth; uring hands as many over by
 * one io_uring_enter as a guest would by one kick, and waits for at least one.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FLOOR_DEPTH   32u
#define FLOOR_LEN_MAX 0x20000u /* 128 KiB */
#define FLOOR_NS      1000000000ull

struct floor_load {
	const char *name;
	bool write, random;
	unsigned depth;
	unsigned len;
};

static const struct floor_load floor_loads[] = {
	{"randread_qd1", false, true, 1, 4096},
	{"randread_qd32", false, true, FLOOR_DEPTH, 4096},
	{"randwrite_qd1", true, true, 1, 4096},
	{"randwrite_qd32", true, true, FLOOR_DEPTH, 4096},
	{"seqread", false, false, 8, FLOOR_LEN_MAX},
	{"seqwrite", true, false, 8, FLOOR_LEN_MAX},
};

static _Alignas(4096) unsigned char floor_bufs[FLOOR_DEPTH][FLOOR_LEN_MAX];
static int floor_fd;
static uint64_t floor_size, floor_random = 88172645463325252ull, floor_next;

static _Noreturn void floor_die(const char *what, int err)
{
	(void)fprintf(stderr, "blk_floor: %s: %s\n", what, strerror(err));
	exit(1);
}

static uint64_t floor_now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * FLOOR_NS + (uint64_t)ts.tv_nsec;
}

static uint64_t floor_cpu_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * FLOOR_NS + (uint64_t)ts.tv_nsec;
}

static uint64_t floor_offset(const struct floor_load *l)
{
	uint64_t blocks = floor_size / l->len;

	floor_random ^= floor_random << 13;
	floor_random ^= floor_random >> 7;
	floor_random ^= floor_random << 17;
	return (l->random ? floor_random : floor_next++) % blocks * l->len;
}

static uint64_t floor_sync(const struct floor_load *l, uint64_t until)
{
	uint64_t ops = 0;

	for (; floor_now_ns() < until; ops++) {
		off_t at = (off_t)floor_offset(l);
		ssize_t n = l->write ? pwrite(floor_fd, floor_bufs[0], l->len, at)
				     : pread(floor_fd, floor_bufs[0], l->len, at);

		if (n != (ssize_t)l->len)
			floor_die(l->name, n < 0 ? errno : EIO);
	}
	return ops;
}

static void floor_queue(struct io_uring *ring, const struct floor_load *l, unsigned slot)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	uint64_t at = floor_offset(l);

	if (!sqe)
		floor_die("io_uring", EBUSY);
	if (l->write)
		io_uring_prep_write(sqe, 0, floor_bufs[slot], l->len, at);
	else
		io_uring_prep_read(sqe, 0, floor_bufs[slot], l->len, at);
	io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
	sqe->user_data = slot;
}

static uint64_t floor_uring(struct io_uring *ring, const struct floor_load *l, uint64_t until)
{
	uint64_t ops = 0;
	unsigned flying = l->depth;

	for (unsigned slot = 0; slot < l->depth; slot++)
		floor_queue(ring, l, slot);
	while (flying > 0) {
		bool more = floor_now_ns() < until;
		struct io_uring_cqe *cqe;
		int rc = io_uring_submit_and_wait(ring, 1);

		if (rc < 0 && rc != -EINTR)
			floor_die("io_uring_enter", -rc);
		while (io_uring_peek_cqe(ring, &cqe) == 0) {
			unsigned slot = (unsigned)cqe->user_data;

			if (cqe->res != (int)l->len)
				floor_die(l->name, cqe->res < 0 ? -cqe->res : EIO);
			io_uring_cqe_seen(ring, cqe);
			ops++;
			if (more)
				floor_queue(ring, l, slot);
			else
				flying--;
		}
	}
	return ops;
}

static void floor_report(
	const struct floor_load *l, const char *how, uint64_t ops, uint64_t ns, uint64_t cpu_ns)
{
	double seconds = (double)ns / 1e9;

	printf("{\"bench\":\"blk_%s\",\"program\":\"floor %s\",\"value\":%.1f,\"unit\":\"%s\","
	       "\"cpu_us_per_op\":%.3f}\n",
		l->name, how,
		l->random ? (double)ops / seconds : (double)ops * l->len / 1e6 / seconds,
		l->random ? "IOPS" : "MB/s", (double)cpu_ns / 1e3 / (double)ops);
}

int main(int argc, char **argv)
{
	bool uring = argc == 4 && strcmp(argv[1], "uring") == 0;
	struct io_uring ring;
	struct stat st;
	int rc;

	if (argc != 4 || (!uring && strcmp(argv[1], "sync") != 0)) {
		(void)fprintf(stderr, "usage: blk_floor sync|uring MILLISECONDS FILE\n");
		return 2;
	}
	floor_fd = open(argv[3], O_RDWR | O_CLOEXEC);
	if (floor_fd < 0 || fstat(floor_fd, &st) < 0)
		floor_die(argv[3], errno);
	floor_size = (uint64_t)st.st_size;
	if (floor_size < FLOOR_LEN_MAX)
		floor_die(argv[3], EINVAL);
	memset(floor_bufs, 1, sizeof(floor_bufs));
	rc = uring ? io_uring_queue_init(FLOOR_DEPTH, &ring, 0) : 0;
	if (rc == 0 && uring)
		rc = io_uring_register_files(&ring, &floor_fd, 1);
	if (rc < 0)
		floor_die("io_uring", -rc);
	for (size_t i = 0; i < sizeof(floor_loads) / sizeof(floor_loads[0]); i++) {
		const struct floor_load *l = &floor_loads[i];
		uint64_t start = floor_now_ns(), cpu = floor_cpu_ns();
		uint64_t until = start + strtoull(argv[2], NULL, 10) * 1000000, ops;

		ops = uring ? floor_uring(&ring, l, until) : floor_sync(l, until);
		floor_report(l, argv[1], ops, floor_now_ns() - start, floor_cpu_ns() - cpu);
	}
	return 0;
}
