/* SPDX-License-Identifier: Apache-2.0 */
/* The table of vsock connections. See vsock_table.h. */
#include "virtio/vsock_table.h"

#include "vmm/base/check.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define BUFFERS_SIZE ((size_t)VSOCK_CONNS_MAX * VSOCK_BUFFER_SIZE)

static uint16_t slot_number(const struct vsock_slot *s)
{
	return (uint16_t)(s - s->table->slots);
}

int vsock_table_init(struct vsock_table *t, uint32_t hash_key, struct err *e)
{
	/* Not committed: a buffer takes memory from its first use until its connection ends. */
	void *buffers = mmap(NULL, BUFFERS_SIZE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (buffers == MAP_FAILED)
		return err_set_os(e, -errno, "vsock: cannot reserve its buffers");
	memset(t, 0, sizeof(*t));
	t->buffers = buffers;
	t->hash_key = hash_key;
	memset(t->hash, 0xff, sizeof(t->hash));
	t->queue = t->timers = (struct vsock_list){VSOCK_NONE, VSOCK_NONE};
	for (uint16_t i = 0; i < VSOCK_CONNS_MAX; i++) {
		t->slots[i].table = t;
		t->slots[i].source.fd = -1;
		t->slots[i].next = (uint16_t)(i + 1);
	}
	t->slots[VSOCK_CONNS_MAX - 1].next = VSOCK_NONE;
	return 0;
}

void vsock_table_fini(struct vsock_table *t)
{
	if (t->buffers)
		(void)munmap(t->buffers, BUFFERS_SIZE);
	t->buffers = NULL;
}

struct vsock_slot *vsock_table_take(struct vsock_table *t)
{
	struct vsock_slot *s;

	if (t->free == VSOCK_NONE)
		return NULL;
	s = &t->slots[t->free];
	t->free = s->next;
	t->count++;
	*s = (struct vsock_slot){
		.table = t,
		.source = {.fd = -1, .ctx = s},
		.burst = 1,
		.next = VSOCK_NONE,
		.hash_next = VSOCK_NONE,
	};
	return s;
}

/* A driver that picks its ports to collide must guess the key. */
static uint16_t *table_bucket(struct vsock_table *t, uint32_t local_port, uint32_t peer_port)
{
	uint64_t x = ((uint64_t)local_port << 32 | peer_port) ^ t->hash_key;

	x *= 0x9e3779b97f4a7c15ull;
	x ^= x >> 29;
	x *= 0xbf58476d1ce4e5b9ull;
	return &t->hash[(x >> 40) % VSOCK_HASH_SIZE];
}

void vsock_table_insert(struct vsock_slot *s)
{
	uint16_t *at = table_bucket(s->table, s->conn.local_port, s->conn.peer_port);

	s->hash_next = *at;
	*at = slot_number(s);
}

struct vsock_slot *vsock_table_find(struct vsock_table *t, uint32_t local_port, uint32_t peer_port)
{
	uint16_t i = *table_bucket(t, local_port, peer_port);

	while (i != VSOCK_NONE) {
		struct vsock_slot *s = &t->slots[i];

		if (s->conn.local_port == local_port && s->conn.peer_port == peer_port)
			return s;
		i = s->hash_next;
	}
	return NULL;
}

static void table_remove(struct vsock_slot *s)
{
	uint16_t *at = table_bucket(s->table, s->conn.local_port, s->conn.peer_port);

	while (*at != VSOCK_NONE && *at != slot_number(s))
		at = &s->table->slots[*at].hash_next;
	if (*at != VSOCK_NONE) /* a client that has not named a port yet is in no bucket */
		*at = s->hash_next;
}

static void queue_remove(struct vsock_slot *s)
{
	struct vsock_table *t = s->table;
	uint16_t *at = &t->queue.first, before = VSOCK_NONE;

	while (*at != slot_number(s)) {
		CHECK(*at != VSOCK_NONE);
		before = *at;
		at = &t->slots[*at].next;
	}
	*at = s->next;
	if (t->queue.last == slot_number(s))
		t->queue.last = before;
	s->queued = false;
}

void vsock_table_give(struct vsock_slot *s)
{
	struct vsock_table *t = s->table;

	CHECK(s->source.fd < 0 && s->conn.state != VSOCK_FREE);
	table_remove(s);
	if (s->queued)
		queue_remove(s);
	vsock_timer_disarm(s);
	s->conn.state = VSOCK_FREE;
	s->next = t->free;
	t->free = slot_number(s);
	t->count--;
}

void vsock_queue_push(struct vsock_slot *s)
{
	struct vsock_list *l = &s->table->queue;

	if (s->queued)
		return;
	s->queued = true;
	s->next = VSOCK_NONE;
	*(l->last == VSOCK_NONE ? &l->first : &s->table->slots[l->last].next) = slot_number(s);
	l->last = slot_number(s);
}

struct vsock_slot *vsock_queue_first(struct vsock_table *t)
{
	return t->queue.first == VSOCK_NONE ? NULL : &t->slots[t->queue.first];
}

struct vsock_slot *vsock_queue_pop(struct vsock_table *t)
{
	struct vsock_slot *s = vsock_queue_first(t);

	if (s)
		queue_remove(s);
	return s;
}

void vsock_timer_arm(struct vsock_slot *s, uint64_t now_ns)
{
	struct vsock_table *t = s->table;
	struct vsock_list *l = &t->timers;

	vsock_timer_disarm(s);
	s->timed = true;
	s->deadline_ns = now_ns + VSOCK_TIMEOUT_NS;
	s->timer_prev = l->last;
	s->timer_next = VSOCK_NONE;
	*(l->last == VSOCK_NONE ? &l->first : &t->slots[l->last].timer_next) = slot_number(s);
	l->last = slot_number(s);
}

void vsock_timer_disarm(struct vsock_slot *s)
{
	struct vsock_table *t = s->table;

	if (!s->timed)
		return;
	s->timed = false;
	*(s->timer_prev == VSOCK_NONE ? &t->timers.first : &t->slots[s->timer_prev].timer_next) =
		s->timer_next;
	*(s->timer_next == VSOCK_NONE ? &t->timers.last : &t->slots[s->timer_next].timer_prev) =
		s->timer_prev;
}

struct vsock_slot *vsock_timer_first(struct vsock_table *t)
{
	return t->timers.first == VSOCK_NONE ? NULL : &t->slots[t->timers.first];
}

unsigned char *vsock_slot_buffer(struct vsock_slot *s)
{
	return s->table->buffers + (size_t)slot_number(s) * VSOCK_BUFFER_SIZE;
}

void vsock_slot_put(struct vsock_slot *s, const struct chain *c, uint64_t off, uint32_t len)
{
	unsigned char *buffer = vsock_slot_buffer(s);

	CHECK(len <= VSOCK_BUFFER_SIZE - s->buf_len);
	while (len > 0) {
		uint32_t at = (s->buf_start + s->buf_len) % VSOCK_BUFFER_SIZE;
		uint32_t n = MIN(len, VSOCK_BUFFER_SIZE - at);
		int rc = chain_read(c, off, buffer + at, n);

		CHECK(rc == 0); /* the length was checked against the chain */
		s->buf_len += n;
		off += n;
		len -= n;
	}
}

int vsock_slot_peek(struct vsock_slot *s, struct iovec iov[2])
{
	unsigned char *buffer = vsock_slot_buffer(s);
	uint32_t n = MIN(s->buf_len, VSOCK_BUFFER_SIZE - s->buf_start);

	iov[0] = (struct iovec){buffer + s->buf_start, n};
	iov[1] = (struct iovec){buffer, s->buf_len - n};
	return s->buf_len == 0 ? 0 : s->buf_len == n ? 1 : 2;
}

void vsock_slot_drop(struct vsock_slot *s, uint32_t len)
{
	CHECK(len <= s->buf_len);
	s->buf_start = (s->buf_start + len) % VSOCK_BUFFER_SIZE;
	s->buf_len -= len;
}
