/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection of the HTTP server, for http.c only.
 *
 * phase      waits for                        until
 * REST       a request's first byte           the slot is needed (http.h)
 * REQUEST    the rest of it                   HTTP_REQUEST_TIME_S after it began
 * ANSWER     the client to take the answer    HTTP_REQUEST_TIME_S after it was ready
 * FAREWELL   the client to close              HTTP_FAREWELL_TIME_S after the last answer
 */
#pragma once

#include "api/http.h"

#define HTTP_FAREWELL_TIME_S 2

/* Takes fd over and serves what has come already. *c must be a free slot. */
void http_conn_open(struct http_conn *c, struct http_server *s, int fd);
void http_conn_close(struct http_conn *c);
/* Its time is up. */
void http_conn_expire(struct http_conn *c);
/* Whether it holds no request, no answer and nothing unread. */
bool http_conn_rests(const struct http_conn *c);

/* Calls http_conn_expire where due, from a second from now on. */
void http_server_tick(struct http_server *s);
