/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Session tokens of the metadata service. A token is a place in a table and 256 random bits, which
 * the table holds too, with the time when they end: nothing to compute, so no cipher and no key,
 * and no token means anything in another process, be it of another VM or a restored one.
 *
 * The table is bounded. When a guest has more living tokens than it holds, the one that was used
 * least recently gives way, so that a program that floods it with requests hurts only those who
 * do not use theirs; a client whose token is refused asks for another one.
 */
#pragma once

#include "vmm/base/compiler.h"

#define TOKENS_MAX        4096u
#define TOKEN_SECRET_SIZE 32u
#define TOKEN_TEXT_LEN    68u /* two digits a byte; clients count on <= 70 */
#define TOKEN_TTL_MIN_S   1u
#define TOKEN_TTL_MAX_S   21600u

struct token_slot {
	uint8_t secret[TOKEN_SECRET_SIZE];
	uint64_t end_ns;
	uint64_t used_at; /* count of the table's uses when this one was last used */
};

/* 200 KiB, of which a page is touched only when the table has grown so far. Starts zeroed. */
struct tokens {
	uint32_t slot_count; /* slots that were ever in use */
	uint64_t use_count;
	uint64_t first_end_ns; /* no token ends before; UINT64_MAX: none is there */
	struct token_slot slots[TOKENS_MAX];
};

/* A new token for ttl_s seconds. ret is NUL-terminated. 0, or -errno of getrandom. */
int token_create(
	struct tokens *t, uint32_t ttl_s, uint64_t now_ns, char ret[TOKEN_TEXT_LEN + 1]) MUST_USE;

/* Whether text, any string, is a token that lives. */
bool token_check(struct tokens *t, const char *text, uint64_t now_ns);

/* Overwrites the tokens that have ended, as the two above do too. */
void tokens_sweep(struct tokens *t, uint64_t now_ns);
/* Overwrites all of them. */
void tokens_fini(struct tokens *t);
