/* SPDX-License-Identifier: Apache-2.0 */
/* Session tokens. See token.h. */
#include "api/mmds/token.h"

#include "vmm/base/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

_Static_assert(TOKEN_TEXT_LEN == 2 * (2 + TOKEN_SECRET_SIZE), "place and secret");

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
	uint8_t bytes[2 + TOKEN_SECRET_SIZE] = {(uint8_t)(place >> 8), (uint8_t)place};

	memcpy(bytes + 2, secret, TOKEN_SECRET_SIZE);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		*ret++ = digits[bytes[i] >> 4];
		*ret++ = digits[bytes[i] & 0xf];
	}
	*ret = '\0';
}

/* #syscalls:main getrandom */
int token_create(struct tokens *t, uint32_t ttl_s, uint64_t now_ns, char ret[TOKEN_TEXT_LEN + 1])
{
	uint8_t secret[TOKEN_SECRET_SIZE];
	ssize_t n = getrandom(secret, sizeof(secret), 0);
	struct token_slot *slot;
	uint32_t place;

	if (n != (ssize_t)sizeof(secret))
		return n < 0 ? -errno : -EIO;
	place = token_place(t, now_ns);
	slot = &t->slots[place];
	memcpy(slot->secret, secret, sizeof(secret));
	slot->end_ns = now_ns + ttl_s * CLOCK_NS_PER_S;
	slot->used_at = ++t->use_count;
	token_print(place, secret, ret);
	return 0;
}

static int token_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool token_check(struct tokens *t, const char *text, uint64_t now_ns)
{
	uint8_t bytes[2 + TOKEN_SECRET_SIZE], differs = 0;
	struct token_slot *slot;
	uint32_t place;

	if (strlen(text) != TOKEN_TEXT_LEN)
		return false;
	for (size_t i = 0; i < sizeof(bytes); i++) {
		int high = token_digit(text[2 * i]), low = token_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	place = (uint32_t)bytes[0] << 8 | bytes[1];
	if (place >= t->slot_count)
		return false;
	slot = &t->slots[place];
	/* All bytes in any case: how long it takes must not tell how many were right. */
	for (size_t i = 0; i < TOKEN_SECRET_SIZE; i++)
		differs |= slot->secret[i] ^ bytes[2 + i];
	if (differs || slot->end_ns <= now_ns)
		return false;
	slot->used_at = ++t->use_count;
	return true;
}
