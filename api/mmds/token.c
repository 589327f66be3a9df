/* SPDX-License-Identifier: Apache-2.0 */
/* Session tokens. See token.h. */
#include "api/mmds/token.h"

#include "vmm/base/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define TOKEN_BYTES (2 + TOKEN_SECRET_SIZE) /* place and secret */

_Static_assert(TOKEN_TEXT_LEN == 2 * TOKEN_BYTES, "two digits a byte");

/* Few calls look at all slots: only the first one past an end does. */
void tokens_sweep(struct tokens *t, uint64_t now_ns)
{
	uint64_t first = UINT64_MAX;

	if (now_ns < t->first_end_ns)
		return;
	for (uint32_t i = 0; i < t->slot_count; i++) {
		struct token_slot *slot = &t->slots[i];

		if (slot->end_ns <= now_ns)
			explicit_bzero(slot, sizeof(*slot));
		else
			first = MIN(first, slot->end_ns);
	}
	t->first_end_ns = first;
}

void tokens_fini(struct tokens *t)
{
	explicit_bzero(t->slots, t->slot_count * sizeof(t->slots[0]));
	t->slot_count = 0;
	t->first_end_ns = UINT64_MAX;
}

/* A slot that was never used, one whose token has ended, or the least recently used. */
static uint32_t token_place(struct tokens *t, uint64_t now_ns)
{
	uint32_t oldest = 0;

	for (uint32_t i = 0; i < t->slot_count; i++) {
		if (t->slots[i].end_ns <= now_ns)
			return i;
		if (t->slots[i].used_at < t->slots[oldest].used_at)
			oldest = i;
	}
	return t->slot_count < TOKENS_MAX ? t->slot_count++ : oldest;
}

static void token_print(uint32_t place, const uint8_t *secret, char *ret)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t bytes[TOKEN_BYTES] = {(uint8_t)(place >> 8), (uint8_t)place};

	memcpy(bytes + 2, secret, TOKEN_SECRET_SIZE);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		*ret++ = digits[bytes[i] >> 4];
		*ret++ = digits[bytes[i] & 0xf];
	}
	*ret = '\0';
	explicit_bzero(bytes, sizeof(bytes));
}

/* #syscalls:main getrandom */
int token_create(struct tokens *t, uint32_t ttl_s, uint64_t now_ns, char ret[TOKEN_TEXT_LEN + 1])
{
	uint8_t secret[TOKEN_SECRET_SIZE];
	ssize_t n = getrandom(secret, sizeof(secret), 0);
	struct token_slot *slot;
	uint32_t place;

	if (n != (ssize_t)sizeof(secret)) {
		int rc = n < 0 ? -errno : -EIO;

		explicit_bzero(secret, sizeof(secret)); /* some bytes may have come */
		return rc;
	}
	tokens_sweep(t, now_ns);
	place = token_place(t, now_ns);
	slot = &t->slots[place];
	memcpy(slot->secret, secret, sizeof(secret));
	slot->end_ns = now_ns + ttl_s * CLOCK_NS_PER_S;
	slot->used_at = ++t->use_count;
	t->first_end_ns = MIN(t->first_end_ns, slot->end_ns);
	token_print(place, secret, ret);
	explicit_bzero(secret, sizeof(secret));
	return 0;
}

static int token_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The bytes that text spells. False: it is no token's. */
static bool token_parse(const char *text, uint8_t ret[TOKEN_BYTES])
{
	if (strlen(text) != TOKEN_TEXT_LEN)
		return false;
	for (size_t i = 0; i < TOKEN_BYTES; i++) {
		int high = token_digit(text[2 * i]), low = token_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* The slot of the token that bytes are, or NULL. */
static struct token_slot *token_find(struct tokens *t, const uint8_t bytes[TOKEN_BYTES])
{
	uint32_t place = (uint32_t)bytes[0] << 8 | bytes[1];
	uint8_t differs = 0;

	if (place >= t->slot_count)
		return NULL;
	/* All bytes in any case: how long it takes must not tell how many were right. */
	for (size_t i = 0; i < TOKEN_SECRET_SIZE; i++)
		differs |= t->slots[place].secret[i] ^ bytes[2 + i];
	return differs ? NULL : &t->slots[place];
}

bool token_check(struct tokens *t, const char *text, uint64_t now_ns)
{
	uint8_t bytes[TOKEN_BYTES];
	struct token_slot *slot = NULL;

	tokens_sweep(t, now_ns);
	if (token_parse(text, bytes))
		slot = token_find(t, bytes);
	explicit_bzero(bytes, sizeof(bytes));
	if (!slot || slot->end_ns <= now_ns)
		return false;
	slot->used_at = ++t->use_count;
	return true;
}
