/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The kernel runs a new filter once for each system-call number there is, to learn which calls
 * need no look at their arguments, and translates it into machine code: so a filter costs by the length of the
 * path that an average number takes, most of which are of calls that nobody makes, and by its length.
 *
 * libseccomp balances its tree by rules. Here the numbers become intervals with one answer each: allowed, denied, or
 * "look at the arguments", which is libseccomp's own code from there on. Over them stands the tree in which the
 * average number takes the fewest steps (dynamic programming over all ways to split). From libseccomp's code the
 * checks that cannot fail are left out, of upper halves that a rule does not care about.
 *
 * A program is held as a graph: each node knows its next, or both of its next. The unit tests run what comes out
 * of this against the rules.
 */
#include "seccomp/tree.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define INTERVALS_MAX 512
#define NUMBERS       480 /* numbers below this are run by the kernel; about, later kernels have more */
#define JUMP_MAX      255
#define NONE          UINT32_MAX

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

struct tree {
	struct node nodes[TREE_LEN_MAX];
	uint32_t count;
	struct interval intervals[INTERVALS_MAX];
	uint32_t interval_count;
	uint32_t edges[TREE_LEN_MAX + 1];
	uint64_t weight_before[INTERVALS_MAX + 1];
	uint64_t cost[INTERVALS_MAX][INTERVALS_MAX];
	uint16_t split[INTERVALS_MAX][INTERVALS_MAX]; /* the first interval of the right half */
	uint32_t old_count; /* nodes of the program given; those of the tree come behind them */
	uint32_t root, denied_arch;
};

static bool is_jump(uint16_t code)
{
	return BPF_CLASS(code) == BPF_JMP && code != JA;
}

/* Past jumps that always go one way, and checks that cannot fail. */
static uint32_t node_skip(const struct tree *t, uint32_t i)
{
	for (;;) {
		const struct node *n = &t->nodes[i], *masked, *compared;

		if (n->code == JA) {
			i = n->yes;
			continue;
		}
		if (n->code != LD)
			return i;
		masked = &t->nodes[n->yes];
		if (masked->code != AND || masked->k != 0)
			return i;
		compared = &t->nodes[masked->yes];
		/* What comes then must not want to know what was loaded. */
		if (compared->code != JEQ || compared->k != 0 ||
			(t->nodes[compared->yes].code != LD && t->nodes[compared->yes].code != RET))
			return i;
		i = compared->yes;
	}
}

static bool graph_make(struct tree *t, const struct sock_filter *in, size_t len)
{
	if (len == 0 || len > TREE_LEN_MAX / 2)
		return false;
	t->count = (uint32_t)len;
	for (uint32_t i = 0; i < len; i++) {
		struct node *n = &t->nodes[i];

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
		struct node *n = &t->nodes[i];

		if (n->code != RET) {
			n->yes = node_skip(t, n->yes);
			n->no = node_skip(t, n->no);
		}
	}
	return true;
}

/* Where a call gets to before it is asked for anything but its number. NONE: that is not to be said. */
static uint32_t leaf_find(const struct tree *t, uint32_t arch, uint32_t nr)
{
	uint32_t i = node_skip(t, 0), a = 0;

	for (;;) {
		const struct node *n = &t->nodes[i];
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

/* The answer can change only at a number that the program compares with, or right after it. */
static bool intervals_make(struct tree *t)
{
	uint32_t *edges = t->edges; /* the first is 0 */
	size_t count = 1;

	for (uint32_t i = 0; i < t->count; i++)
		if (is_jump(t->nodes[i].code)) {
			edges[count++] = t->nodes[i].k;
			if (t->nodes[i].k != UINT32_MAX)
				edges[count++] = t->nodes[i].k + 1;
		}
	qsort(edges, count, sizeof(*edges), u32_compare);
	for (size_t i = 0; i < count; i++) {
		uint32_t leaf = leaf_find(t, AUDIT_ARCH_X86_64, edges[i]);
		struct interval *last =
			&t->intervals[t->interval_count ? t->interval_count - 1 : 0];

		if (leaf == NONE || !leaf_stands_alone(&t->nodes[leaf]))
			return false;
		if (t->interval_count &&
			(last->leaf == leaf ||
				(t->nodes[leaf].code == RET && t->nodes[last->leaf].code == RET &&
					t->nodes[leaf].k == t->nodes[last->leaf].k)))
			continue;
		if (t->interval_count == INTERVALS_MAX)
			return false;
		t->intervals[t->interval_count++] = (struct interval){edges[i], leaf};
	}
	return true;
}

/* It begins with the answer to all other architectures, as those of libseccomp for one do. */
static bool arch_is_first(struct tree *t)
{
	const struct node *load = &t->nodes[0],
			  *compare = &t->nodes[load->yes < t->count ? load->yes : 0];

	if (load->code != LD || load->k != offsetof(struct seccomp_data, arch) ||
		compare->code != JEQ || compare->k != AUDIT_ARCH_X86_64)
		return false;
	t->denied_arch = compare->no;
	return t->nodes[t->denied_arch].code == RET;
}

/* The cheapest tree over each range of intervals, from the short ranges to the whole. */
static void tree_plan(struct tree *t)
{
	uint32_t n = t->interval_count;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t first = t->intervals[i].first;
		uint32_t end = i + 1 < n ? t->intervals[i + 1].first : UINT32_MAX;

		end = end < NUMBERS ? end : NUMBERS;
		t->weight_before[i + 1] = t->weight_before[i] + 1 + (end > first ? end - first : 0);
	}
	for (uint32_t width = 2; width <= n; width++)
		for (uint32_t i = 0; i + width <= n; i++) {
			uint32_t last = i + width - 1;
			uint64_t weight = t->weight_before[last + 1] - t->weight_before[i];

			t->cost[i][last] = UINT64_MAX;
			for (uint32_t right = i + 1; right <= last; right++) {
				uint64_t cost =
					weight + t->cost[i][right - 1] + t->cost[right][last];

				if (cost >= t->cost[i][last])
					continue;
				t->cost[i][last] = cost;
				t->split[i][last] = (uint16_t)right;
			}
		}
}

/* Nodes of the tree over intervals i to last; the root of it. They stand in the order in which they are made. */
static uint32_t tree_grow(struct tree *t, uint32_t i, uint32_t last)
{
	uint32_t right, self;
	struct node *n;

	if (i == last)
		return t->intervals[i].leaf;
	if (t->count == TREE_LEN_MAX)
		return NONE;
	right = t->split[i][last];
	self = t->count++;
	n = &t->nodes[self];
	*n = (struct node){.code = JGE, .k = t->intervals[right].first, .at = NONE};
	n->no = tree_grow(t, i, right - 1);
	n->yes = tree_grow(t, right, last);
	return n->no == NONE || n->yes == NONE ? NONE : self;
}

/* The order of the result: the tree, what it leads to in the old order, and one return of each kind. */
struct layout {
	uint32_t order[2 * TREE_LEN_MAX];
	uint32_t count;
	bool wanted[TREE_LEN_MAX];
};

static void layout_put(struct tree *t, struct layout *l, uint32_t i)
{
	t->nodes[i].at = l->count;
	l->order[l->count++] = i;
}

static void layout_tree(struct tree *t, struct layout *l, uint32_t i)
{
	const struct node *n = &t->nodes[i];

	if (i < t->old_count) {
		l->wanted[i] = true;
		return;
	}
	layout_put(t, l, i);
	if (n->code == JA) {
		l->wanted[n->yes] = true;
	} else if (n->code != RET) {
		layout_tree(t, l, n->no);
		layout_tree(t, l, n->yes);
	}
}

static void layout_return(struct tree *t, struct layout *l, uint32_t i, uint32_t first)
{
	for (uint32_t p = first; p < l->count; p++)
		if (t->nodes[l->order[p]].k == t->nodes[i].k) {
			t->nodes[i].at = p;
			return;
		}
	layout_put(t, l, i);
}

static void layout_make(struct tree *t, struct layout *l)
{
	uint32_t first;

	*l = (struct layout){0};
	layout_tree(t, l, t->root);
	for (uint32_t i = 0; i < t->old_count; i++)
		if (l->wanted[i] && t->nodes[i].code != RET) {
			layout_put(t, l, i);
			l->wanted[t->nodes[i].yes] = l->wanted[t->nodes[i].no] = true;
		}
	first = l->count;
	for (uint32_t i = 0; i < t->old_count; i++)
		if (l->wanted[i] && t->nodes[i].code == RET)
			layout_return(t, l, i, first);
}

/* How far a jump from place p to node i is. */
static uint32_t jump_distance(const struct tree *t, uint32_t p, uint32_t i)
{
	return t->nodes[i].at - p - 1; /* never backwards: that would be a great number */
}

/* In the place of what is too far for a jump of the tree: a return of its own, or a long jump. */
static bool jump_relay(struct tree *t, uint32_t *edge)
{
	const struct node *far = &t->nodes[*edge];

	if (*edge >= t->old_count || t->count == TREE_LEN_MAX)
		return false;
	t->nodes[t->count] =
		far->code == RET ? *far : (struct node){.code = JA, .yes = *edge, .no = *edge};
	*edge = t->count++;
	return true;
}

enum relay { RELAY_NONE, RELAY_MADE, RELAY_IMPOSSIBLE };

static enum relay relay_all(struct tree *t, const struct layout *l)
{
	enum relay result = RELAY_NONE;

	for (uint32_t p = 0; p < l->count; p++) {
		struct node *n = &t->nodes[l->order[p]];
		bool inner = l->order[p] < t->old_count;

		if (!is_jump(n->code))
			continue;
		if (jump_distance(t, p, n->no) > JUMP_MAX) {
			if (inner || !jump_relay(t, &n->no))
				return RELAY_IMPOSSIBLE;
			result = RELAY_MADE;
		}
		if (jump_distance(t, p, n->yes) > JUMP_MAX) {
			if (inner || !jump_relay(t, &n->yes))
				return RELAY_IMPOSSIBLE;
			result = RELAY_MADE;
		}
	}
	return result;
}

static bool emit(
	const struct tree *t, const struct layout *l, struct sock_filter *out, size_t *ret_len)
{
	size_t n = 0;

	if (l->count + 4 > TREE_LEN_MAX)
		return false;
	out[n++] = (struct sock_filter)BPF_STMT(LD, offsetof(struct seccomp_data, arch));
	out[n++] = (struct sock_filter)BPF_JUMP(JEQ, AUDIT_ARCH_X86_64, 1, 0);
	out[n++] = (struct sock_filter)BPF_STMT(RET, t->nodes[t->denied_arch].k);
	out[n++] = (struct sock_filter)BPF_STMT(LD, offsetof(struct seccomp_data, nr));
	for (uint32_t p = 0; p < l->count; p++) {
		const struct node *node = &t->nodes[l->order[p]];
		struct sock_filter *f = &out[n++];

		*f = (struct sock_filter){.code = node->code, .k = node->k};
		if (is_jump(node->code)) {
			f->jt = (uint8_t)jump_distance(t, p, node->yes);
			f->jf = (uint8_t)jump_distance(t, p, node->no);
		} else if (node->code == JA) {
			f->k = jump_distance(t, p, node->yes);
		} else if (node->code != RET && jump_distance(t, p, node->yes) != 0) {
			return false;
		}
	}
	*ret_len = n;
	return true;
}

static bool tree_lay_out(struct tree *t, struct layout *l, struct sock_filter *out, size_t *ret_len)
{
	enum relay r;

	do {
		layout_make(t, l);
		r = relay_all(t, l);
	} while (r == RELAY_MADE);
	return r == RELAY_NONE && emit(t, l, out, ret_len);
}

bool tree_make(const struct sock_filter *in, size_t len, struct sock_filter *out, size_t *ret_len)
{
	struct tree *t = calloc(1, sizeof(*t));
	struct layout *l = calloc(1, sizeof(*l));
	bool made = false;

	if (t && l && graph_make(t, in, len) && arch_is_first(t) && intervals_make(t)) {
		t->old_count = t->count;
		tree_plan(t);
		t->root = tree_grow(t, 0, t->interval_count - 1);
		made = t->root != NONE && tree_lay_out(t, l, out, ret_len);
	}
	free(t);
	free(l);
	return made;
}
