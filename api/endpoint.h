/* SPDX-License-Identifier: Apache-2.0 */
/*
 * THE table of the API: every endpoint with its method, path, phases, body and handler. Routing,
 * checks of bodies and phases, counters, the deprecation header and --describe-api all follow
 * from it; api/openapi.yaml is held against it by a test.
 *
 * An endpoint whose subject no release has yet is in the table, too: its body is checked like any
 * other, and the answer says by name what is missing.
 */
#pragma once

#include "api/http.h"
#include "api/schema.h"

struct controller;
struct endpoint;

/* When it may be called. */
#define ENDPOINT_PRE  0x01u /* before the VM is started */
#define ENDPOINT_POST 0x02u /* after it, running or paused */
#define ENDPOINT_BOTH (ENDPOINT_PRE | ENDPOINT_POST)

enum endpoint_body { ENDPOINT_NO_BODY, ENDPOINT_BODY, ENDPOINT_BODY_OPTIONAL };

/* One request that has passed route, body and phase. */
struct api_call {
	const struct endpoint *endpoint;
	const char *id;   /* the variable part of the path, or NULL */
	const char *text; /* the body as it came, or NULL */
	size_t text_len;
	const json_t *json; /* the body, if the endpoint has a schema, or NULL */
	void *parsed;       /* the body by that schema, or NULL; released by the caller */
};

/*
 * 0: done, with an answer of 204, or of 200 if *ret has got a body. Negative: the answer is a
 * fault with the text of *e and status 400, or ret->status if that was set to something else.
 */
typedef int (*endpoint_fn)(
	struct controller *c, const struct api_call *call, struct http_reply *ret, struct err *e);

struct endpoint {
	const char *method;
	const char *path; /* one segment may be variable: "/drives/{drive_id}" */
	uint8_t phases;
	uint8_t body;       /* enum endpoint_body */
	bool secret;        /* the body is not to be logged */
	uint16_t counter;   /* offset of its *_count in struct metrics_api, or 0; *_fails follows */
	const char *id_key; /* of the body, equal to the id of the path; or NULL */
	const struct schema *schema; /* of the body; NULL: the handler reads its text */
	uint32_t parsed_size;        /* of the struct that schema is for */
	const char *later;           /* the missing feature; then fn is NULL */
	const char *after;           /* added to the fault when it comes after its phase, or NULL */
	endpoint_fn fn;
};

extern const struct endpoint endpoint_table[];
extern const uint32_t endpoint_count;

/* The longest variable part of a path that is taken. */
#define ENDPOINT_ID_SIZE 256

/*
 * Finds the endpoint of a method and a path, and copies the variable part of the path. NULL, with
 * *e set, if there is none or the id is not one.
 */
const struct endpoint *endpoint_find(
	const char *method, const char *path, char ret_id[ENDPOINT_ID_SIZE], struct err *e);

/* Prints the table, with the fields of all bodies, as text that does not change by itself. */
void endpoint_describe(FILE *f);
