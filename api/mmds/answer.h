/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the metadata service says to a request of the guest: GET of the data, PUT of a session
 * token. Bytes in, the bytes of a whole HTTP reply out. The answers' forms are those of EC2's
 * service as far as Firecracker has them.
 */
#pragma once

#include "api/http_parse.h"
#include "api/mmds/stack.h"
#include "api/mmds/store.h"
#include "api/mmds/token.h"

struct answerer {
	uint8_t version;               /* 1: tokens may be given; 2: they must */
	bool imds_compat;              /* text, whatever the guest says it accepts */
	const struct store *store;     /* borrowed */
	struct tokens *tokens;         /* borrowed */
	struct metrics_mmds *counters; /* borrowed */
	struct http_parse parse;
};

/* As stack_server, at a time. */
uint32_t answer(struct answerer *a, const uint8_t *bytes, uint32_t len, bool full, uint64_t now_ns,
	struct stack_reply *ret);
