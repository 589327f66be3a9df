/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The asynchronous block engine: an io_uring (declared in blk_file.h).
 *
 * The ring is made disabled, told its limits, and then switched on for good: it can touch one
 * registered file, the drive's, by six operations, and the only thing that may still be changed
 * is which file that is. Submissions are gathered and handed over once a batch. The ring's own
 * descriptor is what the event loop waits for; completions are read from memory.
 *
 * Iovecs need to live only until they are submitted (IORING_FEAT_SUBMIT_STABLE), so one array
 * serves a batch.
 */
#include "virtio/blk_file.h"

#include "vmm/base/check.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>

#define BLK_URING_ENTRIES 128u
#define BLK_URING_IOVS    (4 * CHAIN_SEGS_MAX)

struct blk_uring {
	struct blk_engine base; /* first */
	struct io_uring ring;
	unsigned iov_used; /* by what is not yet submitted */
	struct iovec iov[BLK_URING_IOVS];
};

static struct blk_uring *blk_uring_of(struct blk_engine *g)
{
	return (struct blk_uring *)g;
}

/*
 * Also sleeps until something is complete if wait is set. A vCPU waits when its reset finds
 * requests in flight.
 * #syscalls:main,io io_uring_enter:3=0,4=0
 * #syscalls:main,io,vcpu io_uring_enter:3=IORING_ENTER_GETEVENTS,4=0
 */
static void blk_uring_enter(struct blk_uring *u, bool wait)
{
	int rc = 0;

	do {
		rc = io_uring_submit_and_wait(&u->ring, wait ? 1 : 0);
		if (rc >= 0)
			wait = false;
	} while (rc == -EINTR || (rc > 0 && io_uring_sq_ready(&u->ring) > 0));
	if (io_uring_sq_ready(&u->ring) == 0)
		u->iov_used = 0;
	else /* out of memory: the next batch or the next completion tries again */
		log_guest(LOG_WARN, "io_uring did not take a request: %s", strerror(-rc));
}

static void blk_uring_submit(struct blk_engine *g)
{
	struct blk_uring *u = blk_uring_of(g);

	if (io_uring_sq_ready(&u->ring) > 0)
		blk_uring_enter(u, false);
}

static void blk_uring_wait(struct blk_engine *g)
{
	blk_uring_enter(blk_uring_of(g), true);
}

/* Iovecs of what is left of a transfer, kept until the next submission. Their number or -errno. */
static int blk_uring_iov(struct blk_uring *u, const struct blk_io *io, struct iovec **ret)
{
	bool writable = io->op == BLK_OP_READ;
	int n = -E2BIG;

	for (int tries = 0; n == -E2BIG && tries < 2; tries++) {
		if (tries > 0)
			blk_uring_submit(&u->base);
		*ret = &u->iov[u->iov_used];
		n = chain_iov(io->chain, writable, io->off + io->done, io->len - io->done, *ret,
			(int)(BLK_URING_IOVS - u->iov_used));
	}
	return n;
}

static void blk_uring_prep_transfer(
	struct io_uring_sqe *sqe, const struct blk_io *io, const struct iovec *iov, int count)
{
	uint64_t at = io->at + io->done;

	if (count == 1 && iov->iov_len <= INT32_MAX) {
		if (io->op == BLK_OP_READ)
			io_uring_prep_read(sqe, 0, iov->iov_base, (unsigned)iov->iov_len, at);
		else
			io_uring_prep_write(sqe, 0, iov->iov_base, (unsigned)iov->iov_len, at);
	} else if (io->op == BLK_OP_READ) {
		io_uring_prep_readv(sqe, 0, iov, (unsigned)count, at);
	} else {
		io_uring_prep_writev(sqe, 0, iov, (unsigned)count, at);
	}
}

static struct io_uring_sqe *blk_uring_sqe(struct blk_uring *u)
{
	if (io_uring_sq_space_left(&u->ring) == 0)
		blk_uring_submit(&u->base);
	return io_uring_get_sqe(&u->ring);
}

/* Puts io, or what is left of it, into the ring. False: do it otherwise. */
static bool blk_uring_queue(struct blk_uring *u, struct blk_io *io)
{
	bool transfer = io->op == BLK_OP_READ || io->op == BLK_OP_WRITE;
	struct io_uring_sqe *sqe;
	struct iovec *iov = NULL;
	int count = 0;

	/* First, because it may submit: the entry that follows must be whole by then. */
	if (transfer) {
		count = blk_uring_iov(u, io, &iov);
		if (count <= 0 ||
			(u->base.file->bounce && !blk_file_iov_aligned(u->base.file, iov, count)))
			return false;
	}
	sqe = blk_uring_sqe(u);
	if (!sqe)
		return false;
	if (transfer)
		blk_uring_prep_transfer(sqe, io, iov, count);
	else if (io->op == BLK_OP_FLUSH)
		io_uring_prep_fsync(sqe, 0, IORING_FSYNC_DATASYNC);
	else
		io_uring_prep_fallocate(
			sqe, 0, blk_file_fallocate_mode(io->op), (off_t)io->at, (off_t)io->len);
	/* Submitting for lack of entries has emptied the array, but not moved these. */
	if (count > 1)
		u->iov_used = (unsigned)(iov - u->iov) + (unsigned)count;
	io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
	io_uring_sqe_set_data(sqe, io);
	return true;
}

/* Buffers that direct I/O does not take as they are go the slow way; nobody sends those often. */
static int blk_uring_start(struct blk_engine *g, struct blk_io *io)
{
	io->done = 0;
	return blk_uring_queue(blk_uring_of(g), io) ? BLK_IN_FLIGHT : blk_file_run(g->file, io);
}

/* What a completion means: 0, -errno, or BLK_IN_FLIGHT if the rest has been started. */
static int blk_uring_settle(struct blk_engine *g, struct blk_io *io, int res)
{
	struct blk_uring *u = blk_uring_of(g);
	bool transfer = io->op == BLK_OP_READ || io->op == BLK_OP_WRITE;

	if (res == -EINTR || res == -EAGAIN)
		return blk_uring_queue(u, io) ? BLK_IN_FLIGHT : blk_file_run(u->base.file, io);
	if (res == -EOPNOTSUPP && !transfer && io->op != BLK_OP_FLUSH)
		return blk_file_clear(u->base.file, io); /* there is another way */
	if (res < 0 || !transfer)
		return res < 0 ? res : 0;
	if (res == 0)
		return -EIO; /* the end of a file that has shrunk */
	io->done += (uint64_t)res;
	if (io->done >= io->len)
		return 0;
	return blk_uring_queue(u, io) ? BLK_IN_FLIGHT : blk_file_run(u->base.file, io);
}

static struct blk_io *blk_uring_reap(struct blk_engine *g, int *ret_res)
{
	struct blk_uring *u = blk_uring_of(g);
	struct io_uring_cqe *cqe;
	struct blk_io *io;

	if (io_uring_peek_cqe(&u->ring, &cqe) != 0)
		return NULL;
	io = io_uring_cqe_get_data(cqe);
	*ret_res = cqe->res;
	io_uring_cqe_seen(&u->ring, cqe);
	return io;
}

/* #syscalls:main io_uring_register:1=IORING_REGISTER_FILES_UPDATE */
static int blk_uring_set_file(struct blk_engine *g, struct blk_file *f)
{
	int rc = io_uring_register_files_update(&blk_uring_of(g)->ring, 0, &f->fd, 1);

	if (rc < 0)
		return rc;
	g->file = f;
	return 0;
}

static void blk_uring_destroy(struct blk_engine *g)
{
	io_uring_queue_exit(&blk_uring_of(g)->ring);
	free(g);
}

static const struct blk_engine_ops blk_uring_ops = {
	.name = "Async",
	.start = blk_uring_start,
	.submit = blk_uring_submit,
	.reap = blk_uring_reap,
	.settle = blk_uring_settle,
	.wait = blk_uring_wait,
	.set_file = blk_uring_set_file,
	.destroy = blk_uring_destroy,
};

static int blk_uring_restrict(struct io_uring *ring)
{
	static const uint8_t sqe_ops[] = {IORING_OP_READ, IORING_OP_WRITE, IORING_OP_READV,
		IORING_OP_WRITEV, IORING_OP_FSYNC, IORING_OP_FALLOCATE};
	struct io_uring_restriction r[NELEM(sqe_ops) + 3];
	unsigned n = 0;
	int rc;

	memset(r, 0, sizeof(r));
	for (; n < NELEM(sqe_ops); n++) {
		r[n].opcode = IORING_RESTRICTION_SQE_OP;
		r[n].sqe_op = sqe_ops[n];
	}
	r[n].opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED;
	r[n++].sqe_flags = IOSQE_FIXED_FILE;
	r[n].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
	r[n++].sqe_flags = IOSQE_FIXED_FILE;
	r[n].opcode = IORING_RESTRICTION_REGISTER_OP;
	r[n++].register_op = IORING_REGISTER_FILES_UPDATE;
	rc = io_uring_register_restrictions(ring, r, n);
	return rc < 0 ? rc : io_uring_enable_rings(ring);
}

/* Room for a completion of everything that can be in flight, so that none is ever lost or late. */
static int blk_uring_setup(struct io_uring *ring, const struct blk_file *f, uint32_t depth)
{
	const unsigned flags = IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
	struct io_uring_params p = {
		.flags = flags | IORING_SETUP_COOP_TASKRUN, .cq_entries = depth};
	int rc = io_uring_queue_init_params(BLK_URING_ENTRIES, ring, &p);

	if (rc == -EINVAL) { /* Linux before 5.19 */
		p = (struct io_uring_params){.flags = flags, .cq_entries = depth};
		rc = io_uring_queue_init_params(BLK_URING_ENTRIES, ring, &p);
	}
	if (rc < 0)
		return rc;
	rc = io_uring_register_files(ring, &f->fd, 1);
	if (rc == 0)
		rc = blk_uring_restrict(ring);
	if (rc < 0)
		io_uring_queue_exit(ring);
	return rc;
}

int blk_uring_create(struct blk_file *f, uint32_t depth, struct blk_engine **ret, struct err *e)
{
	CLEANUP_FREE
	struct blk_uring *u = calloc(1, sizeof(*u));
	int rc;

	if (!u)
		return err_set_os(e, -ENOMEM, "block engine");
	rc = blk_uring_setup(&u->ring, f, MAX(depth, 2 * BLK_URING_ENTRIES));
	if (rc < 0)
		return err_set_os(e, rc, "io_uring");
	u->base = (struct blk_engine){.ops = &blk_uring_ops, .file = f, .fd = u->ring.ring_fd};
	*ret = &u->base;
	u = NULL;
	return 0;
}

struct io_uring *blk_uring_ring(struct blk_engine *g)
{
	return &blk_uring_of(g)->ring;
}
