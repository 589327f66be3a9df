/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `mayfly pool`: clones of a snapshot, restored and paused, that wait to be handed out. `serve` is one
 * process with one thread and one loop, which owns everything here; docs/pool.md has its protocol.
 *
 * Theory of operation. Every clone is a mayfly-vmm of its own, a child of this process. Its API
 * socket is made here, listens before the monitor runs and is handed down, so that the request to
 * load the snapshot can be sent at once and nothing is polled for.
 *
 *	state		the monitor				next
 *	STARTING	loads the snapshot, paused		READY at its 204, else ENDING
 *	READY		waits for a taker			RESUMING, or TAKEN (not resumed)
 *	RESUMING	was told to go on			TAKEN at its 204, else ENDING
 *	TAKEN		is its taker's				ENDING
 *	ENDING		was killed				FREE once it has been reaped
 *
 * Nothing is left behind: a clone dies with this process (PR_SET_PDEATHSIG), whatever that dies of.
 * Files of clones are in one directory beside the pool's socket, on which this process holds a lock;
 * whoever gets the lock later removes what it finds.
 *
 *	PATH		the pool's socket
 *	PATH.d/		locked; 0700
 *	PATH.d/c17/	of a clone: api, its API socket; log; what the overrides name with {dir}
 */
#pragma once

#include "api/http_parse.h"
#include "cli/cli.h"
#include "vmm/base/err.h"
#include "vmm/svc/loop.h"

#include <limits.h>
#include <sys/types.h>

#define POOL_CLONES_MAX    4096u
#define POOL_OVERRIDES_MAX 32u
#define POOL_WAIT_MS       10000u /* how long `take` waits unless told otherwise */
#define POOL_WAIT_MS_MAX   600000u
#define POOL_ID_SIZE       16 /* "c" and a number */
#define POOL_NEVER         UINT64_MAX

struct http_reply;

/* `drive=root={dir}/disk`: another name of the outside for each clone. Strings are borrowed from argv. */
struct pool_override {
	enum pool_override_kind { POOL_DRIVE, POOL_NET, POOL_VSOCK } kind;
	char device[65]; /* "" for POOL_VSOCK */
	const char *pattern;
};

/* Strings are borrowed from argv. */
struct pool_options {
	const char *socket; /* or NULL: the default */
	const char *state, *memory;
	const char *vmm;     /* or NULL */
	const char *console; /* a pattern, or NULL: nowhere */
	uint32_t size;       /* how many are to be ready */
	uint32_t max;        /* how many may be alive, those taken included */
	uint64_t memory_max; /* bytes that all clones may take; 0: any */
	bool clock_realtime;
	bool paused, json, drain; /* of the other actions */
	uint32_t wait_ms;
	uint32_t override_count;
	struct pool_override overrides[POOL_OVERRIDES_MAX];
};

/*
 * One HTTP request at a time over a connection that never makes this process wait. Owned by a clone.
 * done is called once for each request, from the loop: with the answer's status and body, or, if there
 * is none, with 0 and "".
 */
struct pool_call {
	struct loop *loop;
	int fd; /* owned; -1: closed */
	bool busy;
	bool complete;
	int status;
	size_t body_len;
	char body[1024]; /* what goes beyond is cut off */
	http_parser parser;
	struct loop_source source;
	void (*done)(void *ctx, int status, const char *body);
	void *ctx;
};

/* Connects to a socket that listens. -errno: *e. */
int pool_call_open(struct pool_call *c, struct loop *l, const char *path, struct err *e) MUST_USE;
/* -errno if the request cannot be sent as a whole and at once; then done is not called. */
int pool_call_send(
	struct pool_call *c, const char *method, const char *path, const char *body) MUST_USE;
void pool_call_close(struct pool_call *c);

enum pool_state {
	POOL_FREE,
	POOL_STARTING,
	POOL_READY,
	POOL_RESUMING,
	POOL_TAKEN,
	POOL_ENDING,
	POOL_STATE_COUNT
};

struct pool_clone {
	struct pool *pool;
	enum pool_state state;
	uint64_t number; /* never used again by this pool */
	char id[POOL_ID_SIZE];
	pid_t pid;
	int pid_fd; /* owned; readable once the monitor has ended */
	struct loop_source pid_source;
	struct pool_call call;  /* open until the clone is taken */
	struct pool_conn *conn; /* RESUMING: who waits for it; TAKEN: whose lease it is, or NULL */
	bool leased;
	uint64_t since_ns;    /* of the state */
	uint64_t deadline_ns; /* of the state, or POOL_NEVER */
	uint64_t memory;      /* bytes, when last looked at */
};

/* A client's connection. On the heap; owned by the pool's table. */
struct pool_conn {
	struct pool *pool;
	int fd; /* owned; -1: closed, to be freed */
	uint32_t events;
	struct loop_source source;
	struct http_parse parse;
	char in[4096];
	size_t in_pos, in_len;
	char *out; /* owned: what the socket did not take of an answer, or NULL */
	size_t out_pos, out_len;
	bool closing;
	bool waits;                 /* a take that has no clone yet */
	struct pool_clone *resumes; /* a take whose clone is RESUMING, or NULL */
	bool want_resume, want_lease;
	uint64_t order; /* who waits longest has the smallest */
	uint64_t deadline_ns;
	uint32_t lease_count;
};

struct pool {
	const struct pool_options *o; /* borrowed */
	struct loop loop;
	struct loop_source listen_source, timer_source, signal_source;
	int listen_fd, timer_fd, signal_fd, dir_fd; /* owned */
	char vmm[PATH_MAX];
	char socket[PATH_MAX]; /* absolute */
	char dir[PATH_MAX];    /* socket + ".d" */
	uint64_t next_number, next_order;
	uint64_t wake_ns;   /* when the timer goes off, or POOL_NEVER */
	uint64_t retry_ns;  /* no clone is started before; 0: at once */
	uint64_t refill_ns; /* no clone is started before while others are ready */
	uint64_t measure_ns;
	uint32_t measure_next;
	uint32_t failures; /* in a row */
	uint64_t failures_total, handed_out, deaths;
	uint64_t clone_cost; /* memory of a clone that has just become ready */
	char error[512];     /* why the last start failed; "" after a success */
	enum { POOL_SERVING, POOL_DRAINING, POOL_STOPPING } phase;
	uint32_t count[POOL_STATE_COUNT]; /* clones in each state */
	struct pool_clone *clones;        /* o->max of them */
	struct pool_conn **conns;         /* conn_max of them */
	uint32_t conn_max;
};

/* ---- pool_options.c ---- */

#define POOL_OPTION_COUNT 17
extern const struct cli_option pool_option_table[POOL_OPTION_COUNT];

/*
 * The options up to the first argument, at which optind is then. -1, or the exit status after help or
 * a message.
 */
int pool_options_read(struct pool_options *o, int argc, char **argv);
/* What serve needs beyond that: CLI_OK, or CLI_USAGE after a message. */
int pool_options_check(struct pool_options *o);
/* The socket asked for, or of the default pool, as an absolute path. -errno: *e. */
int pool_socket_path(const char *asked, char ret[PATH_MAX], struct err *e) MUST_USE;

/* ---- pool_template.c: what a clone is made of ---- */

/* {id}, {slot} and {dir} put in. -ENAMETOOLONG, or -EINVAL for another word in braces: *e. */
int pool_pattern_expand(const char *pattern, const struct pool_clone *c, char ret[PATH_MAX],
	struct err *e) MUST_USE;
/* Whether the pattern is another text for each clone that lives. */
bool pool_pattern_differs(const char *pattern);
/* The body of PUT /snapshot/load, which the caller frees. NULL: *e. */
char *pool_load_body(const struct pool_clone *c, struct err *e);
/* That the snapshot can be read, and that its clones would not share what cannot be shared. */
int pool_template_check(const struct pool_options *o, struct err *e) MUST_USE;

/* ---- pool_dir.c ---- */

/* Makes the pool's directory, locks it, and removes what an earlier pool left in it. */
int pool_dir_open(struct pool *p, struct err *e) MUST_USE;
/* Removes it and the socket. */
void pool_dir_close(struct pool *p);
int pool_dir_add(const struct pool *p, const char *id, struct err *e) MUST_USE;
void pool_dir_remove(const struct pool *p, const char *id);
/* PATH.d/ID/NAME, or with name NULL PATH.d/ID. */
void pool_dir_path(const struct pool *p, const char *id, const char *name, char ret[PATH_MAX]);

/* ---- pool_clone.c, pool_spawn.c ---- */

/* A new clone in a free slot. -errno: *e, and nothing is left of it. */
int pool_clone_start(struct pool *p, struct err *e) MUST_USE;
/* Forks and executes the monitor. The pid, or -errno with *e. */
pid_t pool_spawn(const struct pool_clone *c, int listen_fd, struct err *e);
/* Kills it. Whoever waits for it waits for another. */
void pool_clone_end(struct pool_clone *c);
/* Gives a READY clone to a connection that waits. */
void pool_clone_give(struct pool_clone *c, struct pool_conn *to);
struct pool_clone *pool_clone_find(struct pool *p, const char *id);
/* How much memory it takes, in bytes, shared pages by their share; 0 if that cannot be told. */
uint64_t pool_clone_memory(const struct pool_clone *c);
const char *pool_state_name(enum pool_state s);

/* ---- pool_conn.c ---- */

void pool_conn_open(struct pool *p, int fd);
/* Closes it and ends the clones that are its own. It is freed by pool_conns_sweep. */
void pool_conn_close(struct pool_conn *c);
/* The answer to a take. */
void pool_conn_answer_take(struct pool_conn *c, struct http_reply *r);
/* Frees what was closed, and ends what has taken too long. The next moment to look. */
uint64_t pool_conns_sweep(struct pool *p, uint64_t now);

/* ---- pool_request.c ---- */

/* False: the request is a take, and its answer comes later. */
bool pool_request(struct pool_conn *c, const struct http_request *r, struct http_reply *ret);
void pool_reply_clone(const struct pool_clone *c, bool lease, struct http_reply *ret);
void pool_reply_fault(struct http_reply *ret, int status, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* ---- pool_serve.c ---- */

int pool_serve_main(const struct pool_options *o, char **args, int count);
/* Something has changed: hands out and refills as far as that goes. */
void pool_advance(struct pool *p);
/* The loop's timer is to go off at that moment or before. */
void pool_wake_at(struct pool *p, uint64_t at_ns);
/* A clone could not be started; or one could, with NULL. */
void pool_note(struct pool *p, const char *failure);
/* A clone was handed out: puts off the refill a little. */
void pool_handed_out(struct pool *p);
/* Why nothing is ready, for people; NULL: nothing is in the way. */
const char *pool_hindrance(const struct pool *p);
void pool_stop(struct pool *p, bool drain);

/* ---- pool_client.c: the other actions ---- */

int pool_status_main(const struct pool_options *o, char **args, int count);
int pool_take_main(const struct pool_options *o, char **args, int count);
int pool_end_main(const struct pool_options *o, char **args, int count);
int pool_stop_main(const struct pool_options *o, char **args, int count);

/* ---- pool_memory.c ---- */

uint64_t pool_memory(const struct pool *p);
/* Whether one more clone would fit. */
bool pool_memory_fits(const struct pool *p);
/* Looks at some of the clones again. */
void pool_memory_look(struct pool *p);
