/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers as Firecracker's clients were seen to need them, byte for byte: an empty reason phrase, a
 * fixed order of headers, no Content-Length without a body.
 */
#include "api/http.h"

#include "vmm/base/wipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLY_HEAD_MAX 512
#define REPLY_COMMON   "HTTP/1.1 %d \r\nServer: Firecracker API\r\nConnection: %s\r\n%s%s"
/* One client takes an answer for whole at the first read shorter than this. */
#define REPLY_CHUNK 64
/* So an answer that is a multiple of it gets a header more, whose length is none. */
#define REPLY_FILLER "Cache-Control: no-store\r\n"

_Static_assert((sizeof(REPLY_FILLER) - 1) % REPLY_CHUNK != 0, "the filler must change the length");

static size_t reply_head(char *head, const struct http_reply *r, bool closes, bool fills)
{
	const char *type = r->content_type ? r->content_type : "application/json";
	const char *connection = closes ? "close" : "keep-alive";
	const char *deprecation = r->deprecated ? "Deprecation: true\r\n" : "";
	const char *filler = fills ? REPLY_FILLER : "";
	int len;

	if (r->body)
		len = snprintf(head, REPLY_HEAD_MAX,
			REPLY_COMMON "Content-Type: %.64s\r\nContent-Length: %zu\r\n\r\n",
			r->status, connection, deprecation, filler, type, r->body_len);
	else
		len = snprintf(head, REPLY_HEAD_MAX, REPLY_COMMON "\r\n", r->status, connection,
			deprecation, filler);
	return (size_t)len;
}

char *http_reply_format(struct http_reply *r, bool closes, size_t *ret_len)
{
	size_t body_len = r->body ? r->body_len : 0;
	char head[REPLY_HEAD_MAX], *answer;
	size_t head_len = reply_head(head, r, closes, false);

	if ((head_len + body_len) % REPLY_CHUNK == 0)
		head_len = reply_head(head, r, closes, true);
	answer = malloc(head_len + body_len);
	if (answer) {
		memcpy(answer, head, head_len);
		if (body_len > 0)
			memcpy(answer + head_len, r->body, body_len);
		*ret_len = head_len + body_len;
	}
	wipe_free(r->body);
	r->body = NULL;
	return answer;
}
