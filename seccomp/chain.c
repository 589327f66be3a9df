/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. What a new filter costs: the kernel translates it into machine code, in proportion to its
 * length; and it runs it once for each system-call number there is, to learn which calls are admitted without a look
 * at their arguments. Both were most of the cost of a monitor's filters (README.md).
 *
 * So the program made here begins with a look at an argument, which ends each of these runs at once. The price:
 * calls without conditions then run the filter each time, as those with conditions always do. Therefore it is a
 * chain of comparisons, one for each number, those first that a loaded monitor makes most: a comparison that does
 * not hit is one instruction of machine code, where a node of a balanced tree is two.
 *
 * libseccomp's program becomes intervals of numbers with one answer each: allowed, denied, or "look at the
 * arguments", which is libseccomp's own code from there on. From that code the checks that cannot fail are left out,
 * of upper halves that a rule does not care about. The answer that most numbers get stands at the end of the chain.
 *
 * A program is held as a graph: each node knows its next, or both of its next. The unit tests run what comes out
 * of this against the rules.
 */
#include "seccomp/chain.h"

#include "vmm/base/compiler.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>

#define INTERVALS_MAX 1024
#define NUMBERS       480 /* calls have numbers below this; about, later kernels have more */
#define SINGLES_MAX   4   /* an interval of more numbers is compared with its ends */
#define JUMP_MAX      255
#define NONE          UINT32_MAX

/*
 * Before all others. With bench's block guests, strace(1) counts preadv, ioctl, write, epoll_wait, pwritev and
 * io_uring_enter as 99 in 100; the rest are those of network and vsock.
 */
static const uint32_t frequent[] = {SYS_ioctl, SYS_preadv, SYS_write, SYS_epoll_wait, SYS_pwritev,
	SYS_io_uring_enter, SYS_readv, SYS_writev, SYS_read, SYS_sendto, SYS_recvfrom, SYS_futex};

enum { LD = BPF_LD | BPF_W | BPF_ABS, AND = BPF_ALU | BPF_AND | BPF_K, RET = BPF_RET | BPF_K };
enum { JA = BPF_JMP | BPF_JA, JEQ = BPF_JMP | BPF_JEQ | BPF_K, JGE = BPF_JMP | BPF_JGE | BPF_K };
enum { JGT = BPF_JMP | BPF_JGT | BPF_K };

struct node {
	uint16_t code;
	uint32_t k;
	uint32_t yes,
		no; /* the next: both are the same but for conditional jumps; NONE after a return */
	uint32_t at; /* where it stands in the result, or NONE */
};

struct interval {
	uint32_t first; /* the number that it begins with */
	uint32_t leaf;  /* the node that these numbers get to */
};

struct chain {
	struct node nodes[CHAIN_LEN_MAX];
	uint32_t count;
	struct interval intervals[INTERVALS_MAX];
	uint32_t interval_count;
	uint32_t edges[CHAIN_LEN_MAX + 1];
	uint32_t old_count; /* nodes of the program given; those of the chain come behind them */
	uint32_t root, chain_end; /* first and last of the chain, as they stand in the result */
	uint32_t denied_arch;
};

static bool is_jump(uint16_t code)
{
	return BPF_CLASS(code) == BPF_JMP && code != JA;
}

/* Past jumps that always go one way, and checks that cannot fail. */
static uint32_t node_skip(const struct chain *c, uint32_t i)
{
	for (;;) {
		const struct node *n = &c->nodes[i], *masked, *compared;

		if (n->code == JA) {
			i = n->yes;
			continue;
		}
		if (n->code != LD)
			return i;
		masked = &c->nodes[n->yes];
		if (masked->code != AND || masked->k != 0)
			return i;
		compared = &c->nodes[masked->yes];
		/* What comes then must not want to know what was loaded. */
		if (compared->code != JEQ || compared->k != 0 ||
			(c->nodes[compared->yes].code != LD && c->nodes[compared->yes].code != RET))
			return i;
		i = compared->yes;
	}
}

static bool graph_make(struct chain *c, const struct sock_filter *in, size_t len)
{
	if (len == 0 || len > CHAIN_LEN_MAX / 2)
		return false;
	c->count = (uint32_t)len;
	for (uint32_t i = 0; i < len; i++) {
		struct node *n = &c->nodes[i];

		*n = (struct node){
			.code = in[i].code, .k = in[i].k, .yes = i + 1, .no = i + 1, .at = NONE};
		if (n->code == JA)
			n->yes = n->no = i + 1 + n->k;
		else if (is_jump(n->code)) {
			n->yes = i + 1 + in[i].jt;
			n->no = i + 1 + in[i].jf;
		} else if (n->code == RET)
			n->yes = n->no = NONE;
		else if (n->code != LD && n->code != AND)
			return false;
		if (n->code != RET && (n->yes >= len || n->no >= len))
			return false;
	}
	for (uint32_t i = 0; i < len; i++) {
		struct node *n = &c->nodes[i];

		if (n->code != RET) {
			n->yes = node_skip(c, n->yes);
			n->no = node_skip(c, n->no);
		}
	}
	return true;
}

/* Where a call gets to before it is asked for anything but its number. NONE: that is not to be said. */
static uint32_t leaf_find(const struct chain *c, uint32_t arch, uint32_t nr)
{
	uint32_t i = node_skip(c, 0), a = 0;

	for (;;) {
		const struct node *n = &c->nodes[i];
		bool yes;

		switch (n->code) {
		case LD:
			if (n->k == offsetof(struct seccomp_data, arch))
				a = arch;
			else if (n->k == offsetof(struct seccomp_data, nr))
				a = nr;
			else
				return i;
			yes = true;
			break;
		case JEQ:
			yes = a == n->k;
			break;
		case JGE:
			yes = a >= n->k;
			break;
		case JGT:
			yes = a > n->k;
			break;
		case RET:
			return i;
		default:
			return NONE;
		}
		i = yes ? n->yes : n->no;
	}
}

/* Whether no code from here on takes what was loaded before for granted: it loads, or returns. */
static bool leaf_stands_alone(const struct node *n)
{
	return n->code == LD || n->code == RET;
}

static int u32_compare(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static bool leaf_same(const struct chain *c, uint32_t a, uint32_t b)
{
	const struct node *x = &c->nodes[a], *y = &c->nodes[b];

	return a == b || (x->code == RET && y->code == RET && x->k == y->k);
}

/* The answer can change only at a number that the program compares with, or right after it. */
static bool intervals_make(struct chain *c)
{
	uint32_t *edges = c->edges; /* the first is 0 */
	size_t count = 1;

	for (uint32_t i = 0; i < c->count; i++)
		if (is_jump(c->nodes[i].code)) {
			edges[count++] = c->nodes[i].k;
			if (c->nodes[i].k != UINT32_MAX)
				edges[count++] = c->nodes[i].k + 1;
		}
	qsort(edges, count, sizeof(*edges), u32_compare);
	for (size_t i = 0; i < count; i++) {
		uint32_t leaf = leaf_find(c, AUDIT_ARCH_X86_64, edges[i]);
		struct interval *last =
			&c->intervals[c->interval_count ? c->interval_count - 1 : 0];

		if (leaf == NONE || !leaf_stands_alone(&c->nodes[leaf]))
			return false;
		if (c->interval_count && leaf_same(c, last->leaf, leaf))
			continue;
		if (c->interval_count == INTERVALS_MAX)
			return false;
		c->intervals[c->interval_count++] = (struct interval){edges[i], leaf};
	}
	return true;
}

/* It begins with the answer to all other architectures, as those of libseccomp for one do. */
static bool arch_is_first(struct chain *c)
{
	const struct node *load = &c->nodes[0],
			  *compare = &c->nodes[load->yes < c->count ? load->yes : 0];

	if (load->code != LD || load->k != offsetof(struct seccomp_data, arch) ||
		compare->code != JEQ || compare->k != AUDIT_ARCH_X86_64)
		return false;
	c->denied_arch = compare->no;
	return c->nodes[c->denied_arch].code == RET;
}

static uint64_t interval_end(const struct chain *c, uint32_t i)
{
	return i + 1 < c->interval_count ? c->intervals[i + 1].first : UINT64_C(1) << 32;
}

/* How many calls get to this leaf. */
static uint64_t leaf_weight(const struct chain *c, uint32_t leaf)
{
	uint64_t weight = 0;

	for (uint32_t i = 0; i < c->interval_count && c->intervals[i].first < NUMBERS; i++)
		if (leaf_same(c, c->intervals[i].leaf, leaf))
			weight += MIN(interval_end(c, i), NUMBERS) - c->intervals[i].first;
	return weight;
}

/* The return that most calls get to. NONE: there is no return. */
static uint32_t rest_find(const struct chain *c)
{
	uint64_t best = 0;
	uint32_t rest = NONE;

	for (uint32_t i = 0; i < c->interval_count; i++) {
		uint32_t leaf = c->intervals[i].leaf;
		uint64_t weight = leaf_weight(c, leaf);

		if (c->nodes[leaf].code == RET && weight > best) {
			best = weight;
			rest = leaf;
		}
	}
	return rest;
}

/*
 * One more comparison, behind the last. If it holds the program goes on at `yes`, else at the node that is put next.
 * False: no room.
 */
static bool chain_put(struct chain *c, uint16_t code, uint32_t k, uint32_t yes)
{
	if (c->count == CHAIN_LEN_MAX)
		return false;
	c->nodes[c->count] =
		(struct node){.code = code, .k = k, .yes = yes, .no = c->count + 1, .at = NONE};
	c->count++;
	return true;
}

static bool chain_put_frequent(struct chain *c, uint32_t rest)
{
	for (size_t f = 0; f < NELEM(frequent); f++) {
		uint32_t i = c->interval_count - 1;

		while (c->intervals[i].first > frequent[f])
			i--;
		if (!leaf_same(c, c->intervals[i].leaf, rest) &&
			!chain_put(c, JEQ, frequent[f], c->intervals[i].leaf))
			return false;
	}
	return true;
}

static bool is_frequent(uint64_t nr)
{
	for (size_t f = 0; f < NELEM(frequent); f++)
		if (frequent[f] == nr)
			return true;
	return false;
}

static bool chain_put_interval(struct chain *c, uint64_t first, uint64_t end, uint32_t leaf)
{
	if (end - first > SINGLES_MAX)
		/* What lies beyond the end is led past the other comparison. */
		return (end >> 32 || chain_put(c, JGE, (uint32_t)end, c->count + 2)) &&
		       chain_put(c, JGE, (uint32_t)first, leaf);
	for (uint64_t nr = first; nr < end; nr++)
		if (!is_frequent(nr) && !chain_put(c, JEQ, (uint32_t)nr, leaf))
			return false;
	return true;
}

static bool chain_grow(struct chain *c)
{
	uint32_t rest = rest_find(c);

	c->old_count = c->root = c->count;
	if (rest == NONE || !chain_put_frequent(c, rest))
		return false;
	for (uint32_t i = 0; i < c->interval_count; i++) {
		const struct interval *v = &c->intervals[i];

		if (!leaf_same(c, v->leaf, rest) &&
			!chain_put_interval(c, v->first, interval_end(c, i), v->leaf))
			return false;
	}
	c->chain_end = c->count;
	return chain_put(c, RET, c->nodes[rest].k, NONE);
}

/* The order of the result: the chain, what it leads to in the old order, and one return of each kind. */
struct layout {
	uint32_t order[2 * CHAIN_LEN_MAX];
	uint32_t count;
	bool wanted[CHAIN_LEN_MAX];
};

static void layout_put(struct chain *c, struct layout *l, uint32_t i)
{
	c->nodes[i].at = l->count;
	l->order[l->count++] = i;
}

/* The chain, each relay right behind the comparison that needs it. */
static void layout_chain(struct chain *c, struct layout *l)
{
	for (uint32_t i = c->root; i <= c->chain_end; i++) {
		uint32_t yes = c->nodes[i].yes;

		layout_put(c, l, i);
		if (c->nodes[i].code == RET)
			continue;
		if (yes > c->chain_end) {
			layout_put(c, l, yes);
			yes = c->nodes[yes].yes;
		}
		if (yes < c->old_count)
			l->wanted[yes] = true;
	}
}

static void layout_return(struct chain *c, struct layout *l, uint32_t i, uint32_t first)
{
	for (uint32_t p = first; p < l->count; p++)
		if (c->nodes[l->order[p]].k == c->nodes[i].k) {
			c->nodes[i].at = p;
			return;
		}
	layout_put(c, l, i);
}

static void layout_make(struct chain *c, struct layout *l)
{
	uint32_t first;

	*l = (struct layout){0};
	layout_chain(c, l);
	for (uint32_t i = 0; i < c->old_count; i++)
		if (l->wanted[i] && c->nodes[i].code != RET) {
			layout_put(c, l, i);
			l->wanted[c->nodes[i].yes] = l->wanted[c->nodes[i].no] = true;
		}
	first = l->count;
	for (uint32_t i = 0; i < c->old_count; i++)
		if (l->wanted[i] && c->nodes[i].code == RET)
			layout_return(c, l, i, first);
}

/* How far a jump from place p to node i is. */
static uint32_t jump_distance(const struct chain *c, uint32_t p, uint32_t i)
{
	return c->nodes[i].at - p - 1; /* never backwards: that would be a great number */
}

/* In the place of what is too far for a jump of the chain: a return of its own, or a long jump. */
static bool jump_relay(struct chain *c, uint32_t *edge)
{
	const struct node *far = &c->nodes[*edge];

	if (*edge >= c->old_count || c->count == CHAIN_LEN_MAX)
		return false;
	c->nodes[c->count] =
		far->code == RET ? *far : (struct node){.code = JA, .yes = *edge, .no = *edge};
	*edge = c->count++;
	return true;
}

enum relay { RELAY_NONE, RELAY_MADE, RELAY_IMPOSSIBLE };

static enum relay relay_all(struct chain *c, const struct layout *l)
{
	enum relay result = RELAY_NONE;

	for (uint32_t p = 0; p < l->count; p++) {
		struct node *n = &c->nodes[l->order[p]];
		bool inner = l->order[p] < c->old_count;

		if (!is_jump(n->code))
			continue;
		if (inner && jump_distance(c, p, n->no) > JUMP_MAX)
			return RELAY_IMPOSSIBLE;
		if (jump_distance(c, p, n->yes) > JUMP_MAX) {
			if (inner || !jump_relay(c, &n->yes))
				return RELAY_IMPOSSIBLE;
			result = RELAY_MADE;
		}
	}
	return result;
}

static bool emit(
	const struct chain *c, const struct layout *l, struct sock_filter *out, size_t *ret_len)
{
	size_t n = 0;

	if (l->count + 5 > CHAIN_LEN_MAX)
		return false;
	/* Nobody looks at this argument: see above. */
	out[n++] = (struct sock_filter)BPF_STMT(LD, offsetof(struct seccomp_data, args));
	out[n++] = (struct sock_filter)BPF_STMT(LD, offsetof(struct seccomp_data, arch));
	out[n++] = (struct sock_filter)BPF_JUMP(JEQ, AUDIT_ARCH_X86_64, 1, 0);
	out[n++] = (struct sock_filter)BPF_STMT(RET, c->nodes[c->denied_arch].k);
	out[n++] = (struct sock_filter)BPF_STMT(LD, offsetof(struct seccomp_data, nr));
	for (uint32_t p = 0; p < l->count; p++) {
		const struct node *node = &c->nodes[l->order[p]];
		struct sock_filter *f = &out[n++];

		*f = (struct sock_filter){.code = node->code, .k = node->k};
		if (is_jump(node->code)) {
			f->jt = (uint8_t)jump_distance(c, p, node->yes);
			f->jf = (uint8_t)jump_distance(c, p, node->no);
		} else if (node->code == JA) {
			f->k = jump_distance(c, p, node->yes);
		} else if (node->code != RET && jump_distance(c, p, node->yes) != 0) {
			return false;
		}
	}
	*ret_len = n;
	return true;
}

static bool chain_lay_out(
	struct chain *c, struct layout *l, struct sock_filter *out, size_t *ret_len)
{
	enum relay r;

	do {
		layout_make(c, l);
		r = relay_all(c, l);
	} while (r == RELAY_MADE);
	return r == RELAY_NONE && emit(c, l, out, ret_len);
}

bool chain_make(const struct sock_filter *in, size_t len, struct sock_filter *out, size_t *ret_len)
{
	struct chain *c = calloc(1, sizeof(*c));
	struct layout *l = calloc(1, sizeof(*l));
	bool made = false;

	if (c && l && graph_make(c, in, len) && arch_is_first(c) && intervals_make(c) &&
		chain_grow(c))
		made = chain_lay_out(c, l, out, ret_len);
	free(c);
	free(l);
	return made;
}
