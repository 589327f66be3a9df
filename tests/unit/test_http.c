/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP server over real sockets: answers byte for byte, and clients of every kind. The server's
 * loop is turned by hand between a client's steps, so nothing here depends on time except where a
 * time limit is the matter; those limits are moved up, not waited for.
 */
#include "api/http.h"
#include "tests/unit/lib/cm.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define NO_CONTENT "HTTP/1.1 204 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n\r\n"
#define FAULT_HEAD                                                                                 \
	"HTTP/1.1 400 \r\nServer: Firecracker API\r\nConnection: %s\r\n"                           \
	"Content-Type: application/json\r\nContent-Length: "
#define DROPPED "\\nAll previous unanswered requests will be dropped.\" }"

static struct fixture {
	char dir[32], path[48];
	struct loop loop;
	struct http_server server;
	int handled;
	char method[8], target[64];
	size_t body_len;
	struct http_reply reply; /* what the handler gives; the body is copied */
} fx;

static void handle(void *ctx, const struct http_request *r, struct http_reply *ret)
{
	struct fixture *f = ctx;

	f->handled++;
	(void)snprintf(f->method, sizeof(f->method), "%s", r->method);
	(void)snprintf(f->target, sizeof(f->target), "%s", r->path);
	f->body_len = r->body_len;
	assert_int_equal(ret->status, 204);
	if (f->reply.status == 0)
		return;
	*ret = f->reply;
	if (f->reply.body) {
		ret->body = malloc(f->reply.body_len);
		assert_non_null(ret->body);
		memcpy(ret->body, f->reply.body, f->reply.body_len);
	}
}

static int serve(int listen_fd, struct err *e)
{
	const struct http_server_config c = {
		.loop = &fx.loop,
		.path = fx.path,
		.listen_fd = listen_fd,
		.body_max = HTTP_BODY_MAX,
		.handler = handle,
		.ctx = &fx,
	};

	return http_server_init(&fx.server, &c, e);
}

static int setup(void **state)
{
	(void)state;
	fx = (struct fixture){.dir = "/tmp/test_http.XXXXXX"};
	assert_non_null(mkdtemp(fx.dir));
	(void)snprintf(fx.path, sizeof(fx.path), "%s/api", fx.dir);
	assert_int_equal(loop_init(&fx.loop, NULL), 0);
	assert_int_equal(serve(-1, NULL), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	http_server_fini(&fx.server);
	loop_fini(&fx.loop);
	(void)unlink(fx.path);
	assert_int_equal(rmdir(fx.dir), 0);
	return 0;
}

static void turn(void)
{
	for (int i = 0; i < 20; i++)
		assert_int_equal(loop_turn(&fx.loop), 0);
}

static int client(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	memcpy(at.sun_path, fx.path, strlen(fx.path));
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
	turn();
}

/* What there is to read, as text; "" if nothing, "(end)" at the end. */
static const char *hear(int fd)
{
	static char text[100000];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	if (n == 0)
		return "(end)";
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static size_t open_conns(void)
{
	size_t count = 0;

	for (size_t i = 0; i < NELEM(fx.server.conns); i++)
		count += fx.server.conns[i].fd >= 0;
	return count;
}

static void no_content_is_66_bytes_exactly(void **state)
{
	CLEANUP_FD
	int fd = client();

	(void)state;
	say(fd, "PUT /machine-config HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}");
	assert_int_equal(strlen(NO_CONTENT), 66);
	assert_string_equal(hear(fd), NO_CONTENT);
	assert_string_equal(fx.method, "PUT");
	assert_string_equal(fx.target, "/machine-config");
	assert_int_equal(fx.body_len, 2);
}

static void answer_with_body_is_exact(void **state)
{
	static char body[] = "{\"a\":1}";
	CLEANUP_FD
	int fd = client();

	(void)state;
	fx.reply = (struct http_reply){
		.status = 200, .deprecated = true, .body = body, .body_len = strlen(body)};
	say(fd, "GET /x HTTP/1.1\r\n\r\n");
	assert_string_equal(hear(fd),
		"HTTP/1.1 200 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n"
		"Deprecation: true\r\nContent-Type: application/json\r\n"
		"Content-Length: 7\r\n\r\n{\"a\":1}");
	fx.reply.deprecated = false;
	fx.reply.content_type = "text/plain";
	fx.reply.body_len = 0;
	say(fd, "GET /x HTTP/1.1\r\n\r\n");
	assert_string_equal(hear(fd),
		"HTTP/1.1 200 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n"
		"Content-Type: text/plain\r\nContent-Length: 0\r\n\r\n");
}

static void no_answer_is_a_multiple_of_64_bytes(void **state)
{
	(void)state;
	for (size_t len = 0; len < 300; len++) {
		struct http_reply r = {.status = 200, .body = calloc(1, len + 1), .body_len = len};
		size_t answer_len = 0;
		char *answer = http_reply_format(&r, false, &answer_len);

		assert_non_null(answer);
		assert_null(r.body);
		assert_int_not_equal(answer_len % 64, 0);
		free(answer);
	}
}

static void client_of_http_1_0_keeps_its_connection(void **state)
{
	CLEANUP_FD
	int fd = client();

	(void)state;
	for (int i = 0; i < 3; i++) {
		say(fd, "GET / HTTP/1.0\r\nConnection: close\r\n\r\n");
		assert_string_equal(hear(fd), NO_CONTENT);
	}
	assert_int_equal(fx.handled, 3);
	assert_int_equal(open_conns(), 1);
}

static void request_may_come_byte_by_byte(void **state)
{
	static const char text[] = "PATCH /vm HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
	CLEANUP_FD
	int fd = client();

	(void)state;
	for (const char *c = text; *c; c++) {
		assert_int_equal(fx.handled, 0);
		assert_int_equal(send(fd, c, 1, MSG_NOSIGNAL), 1);
		assert_int_equal(loop_turn(&fx.loop), 0);
		assert_int_equal(loop_turn(&fx.loop), 0);
	}
	assert_string_equal(hear(fd), NO_CONTENT);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
	CLEANUP_FD
	int fd = client();
	char text[4000] = "";
	size_t heard = 0;

	(void)state;
	for (int i = 0; i < 100; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text),
			"GET /%d HTTP/1.1\r\n\r\n", i);
	say(fd, text);
	for (int i = 0; i < 100; i++) { /* many small answers fill a socket */
		heard += strlen(hear(fd));
		turn();
	}
	assert_int_equal(fx.handled, 100);
	assert_string_equal(fx.target, "/99");
	assert_int_equal(heard, 100 * strlen(NO_CONTENT));
}

static void one_turn_answers_a_few_requests_only(void **state)
{
	CLEANUP_FD
	int fd = client();
	char text[4000] = "";

	(void)state;
	turn();
	for (int i = 0; i < 100; i++)
		(void)snprintf(
			text + strlen(text), sizeof(text) - strlen(text), "GET / HTTP/1.1\r\n\r\n");
	assert_int_equal(send(fd, text, strlen(text), 0), (ssize_t)strlen(text));
	assert_int_equal(loop_turn(&fx.loop), 0);
	assert_in_range(fx.handled, 1, 10);
}

static void client_may_close_its_half_before_the_answer(void **state)
{
	CLEANUP_FD
	int fd = client();

	(void)state;
	assert_int_equal(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	turn();
	assert_string_equal(hear(fd), NO_CONTENT);
	assert_string_equal(hear(fd), "(end)");
	assert_int_equal(open_conns(), 0);
}

static void oversize_request_is_answered_before_its_body(void **state)
{
	CLEANUP_FD
	int fd = client();
	char expected[400];

	(void)state;
	(void)snprintf(expected, sizeof(expected),
		FAULT_HEAD
		"150\r\n\r\n{ \"error\": \"Request payload with size 60000 is larger than "
		"the limit of 51200 allowed by server." DROPPED,
		"keep-alive");
	say(fd, "PUT /mmds HTTP/1.1\r\nContent-Length: 60000\r\n\r\n");
	assert_string_equal(hear(fd), expected);
	/* the body that comes all the same is passed over, and the connection goes on */
	for (int i = 0; i < 60; i++) {
		char part[1001];

		memset(part, 'x', 1000);
		part[1000] = '\0';
		say(fd, part);
	}
	say(fd, "GET / HTTP/1.1\r\n\r\n");
	assert_string_equal(hear(fd), NO_CONTENT);
	assert_int_equal(fx.handled, 1);
}

static void body_of_the_limit_is_served(void **state)
{
	CLEANUP_FD
	int fd = client();

	(void)state;
	say(fd, "PUT /mmds HTTP/1.1\r\nContent-Length: 51200\r\n\r\n");
	for (int i = 0; i < 512; i++) {
		char part[101];

		memset(part, 'x', 100);
		part[100] = '\0';
		say(fd, part);
	}
	assert_string_equal(hear(fd), NO_CONTENT);
	assert_int_equal(fx.body_len, 51200);
}

static void nonsense_is_answered_and_the_connection_closed(void **state)
{
	CLEANUP_FD
	int fd = client();

	(void)state;
	say(fd, "\x01\x02\x03\xff\xfe");
	assert_non_null(strstr(hear(fd), "\"error\": \"Invalid request. Line 1 begins"));
	assert_string_equal(hear(fd), "(end)");
	/* it may still send; it is not reset, and not listened to */
	say(fd, "GET / HTTP/1.1\r\n\r\n");
	assert_int_equal(fx.handled, 0);
	assert_int_equal(open_conns(), 1);
	assert_int_equal(close(fd_take(&fd)), 0);
	turn();
	assert_int_equal(open_conns(), 0);
}

static void unknown_method_leaves_the_connection_usable(void **state)
{
	CLEANUP_FD
	int fd = client();
	char expected[400];

	(void)state;
	(void)snprintf(expected, sizeof(expected),
		FAULT_HEAD
		"111\r\n\r\n{ \"error\": \"Invalid HTTP Method: Unsupported HTTP method." DROPPED,
		"keep-alive");
	say(fd, "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}GET / HTTP/1.1\r\n\r\n");
	assert_memory_equal(hear(fd), expected, strlen(expected));
	assert_int_equal(fx.handled, 1);
}

static void continue_is_said_before_the_body(void **state)
{
	CLEANUP_FD
	int fd = client();

	(void)state;
	say(fd, "PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
	assert_string_equal(hear(fd),
		"HTTP/1.1 100 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n\r\n");
	say(fd, "{}");
	assert_string_equal(hear(fd), NO_CONTENT);
}

static void eleventh_connection_gets_503(void **state)
{
	int fds[11];

	(void)state;
	for (size_t i = 0; i < NELEM(fds); i++) {
		fds[i] = client();
		turn();
	}
	assert_string_equal(hear(fds[10]),
		"HTTP/1.1 503 \r\nServer: Firecracker API\r\nConnection: close\r\n"
		"Content-Type: application/json\r\nContent-Length: 40\r\n\r\n"
		"{ \"error\": \"Too many open connections\" }");
	assert_string_equal(hear(fds[10]), "(end)");
	/* the ten go on, and a freed slot is taken again */
	say(fds[9], "GET / HTTP/1.1\r\n\r\n");
	assert_string_equal(hear(fds[9]), NO_CONTENT);
	assert_int_equal(close(fds[0]), 0);
	turn();
	fds[0] = client();

	(void)state;
	say(fds[0], "GET / HTTP/1.1\r\n\r\n");
	assert_string_equal(hear(fds[0]), NO_CONTENT);
	for (size_t i = 0; i < NELEM(fds); i++)
		assert_int_equal(close(fds[i]), 0);
}

static void longest_resting_connection_makes_room(void **state)
{
	int fds[10];
	CLEANUP_FD
	int late = -1;

	(void)state;
	for (size_t i = 0; i < NELEM(fds); i++) {
		fds[i] = client();
		turn();
		fx.server.conns[i].since_ns -=
			(HTTP_IDLE_TIME_S + (i == 4 ? 2U : 1U)) * CLOCK_NS_PER_S;
	}
	late = client();
	say(late, "GET / HTTP/1.1\r\n\r\n");
	assert_string_equal(hear(late), NO_CONTENT);
	assert_string_equal(hear(fds[4]), "(end)");
	assert_int_equal(open_conns(), 10);
	for (size_t i = 0; i < NELEM(fds); i++)
		assert_int_equal(close(fds[i]), 0);
}

/* Lets the server's clock find that all its time limits have passed. */
static void let_time_pass(void)
{
	for (size_t i = 0; i < NELEM(fx.server.conns); i++)
		if (fx.server.conns[i].deadline_ns > 0)
			fx.server.conns[i].deadline_ns = 1;
	assert_true(fx.server.timer_armed);
	for (int i = 0; i < 1000 && fx.server.timer_armed; i++) {
		(void)usleep(10000);
		assert_int_equal(loop_turn(&fx.loop), 0);
		if (i > 100)
			break;
	}
}

static void half_a_request_is_given_up_in_time(void **state)
{
	CLEANUP_FD
	int fd = client(), other = client();

	(void)state;
	say(fd, "GET / HT");
	say(other, "GET / HTTP/1.1\r\n\r\n");
	assert_string_equal(hear(other), NO_CONTENT);
	let_time_pass();
	assert_non_null(strstr(hear(fd), "HTTP/1.1 408 \r\n"));
	assert_string_equal(hear(fd), "(end)");
	assert_int_equal(open_conns(), 2); /* `other` rests */
	let_time_pass();
	assert_int_equal(open_conns(), 1);
	(void)close(other);
}

static void client_that_does_not_read_is_cut_off(void **state)
{
	static char body[HTTP_BODY_MAX];
	CLEANUP_FD
	int fd = client();

	(void)state;
	memset(body, 'x', sizeof(body));
	fx.reply = (struct http_reply){.status = 200, .body = body, .body_len = sizeof(body)};
	for (int i = 0; i < 1000; i++)
		if (send(fd, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL) == 18)
			turn();
	/* its socket is full: no more requests are taken before it reads */
	assert_in_range(fx.handled, 1, 20);
	let_time_pass();
	assert_int_equal(open_conns(), 0);
}

static void client_that_does_not_read_small_answers_is_cut_off(void **state)
{
	CLEANUP_FD
	int fd = client();
	char text[4000] = "";

	(void)state;
	for (int i = 0; i < 200; i++)
		(void)snprintf(
			text + strlen(text), sizeof(text) - strlen(text), "GET / HTTP/1.1\r\n\r\n");
	say(fd, text);
	turn();
	assert_in_range(fx.handled, 1, 199); /* the rest waits in the server */
	let_time_pass();
	assert_int_equal(open_conns(), 0);
}

static void slow_reader_gets_all_answers_whole(void **state)
{
	static char body[HTTP_BODY_MAX], got[70000];
	CLEANUP_FD
	int fd = client();
	size_t total = 0;

	(void)state;
	memset(body, 'x', sizeof(body));
	fx.reply = (struct http_reply){.status = 200, .body = body, .body_len = sizeof(body)};
	for (int i = 0; i < 50; i++)
		assert_int_equal(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 18);
	for (int i = 0; i < 100000 && fx.handled < 50; i++) {
		ssize_t n = recv(fd, got, 777, 0);

		total += n > 0 ? (size_t)n : 0;
		assert_int_equal(loop_turn(&fx.loop), 0);
	}
	turn();
	for (ssize_t n; (n = recv(fd, got, sizeof(got), 0)) > 0; turn())
		total += (size_t)n;
	assert_int_equal(fx.handled, 50);
	assert_int_equal(total % 50, 0);
	assert_int_equal(total / 50 - sizeof(body), 121);
}

static void thousands_of_clients_come_and_go(void **state)
{
	(void)state;
	for (int i = 0; i < 5000; i++) {
		CLEANUP_FD
		int fd = client();

		assert_int_equal(loop_turn(&fx.loop), 0);
		if (i % 3 == 0)
			assert_int_equal(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 18);
		if (i % 3 == 1)
			assert_int_equal(send(fd, "\xff\x00garbage", 5, MSG_NOSIGNAL), 5);
		assert_int_equal(loop_turn(&fx.loop), 0);
	}
	turn();
	assert_int_equal(open_conns(), 0);
	assert_in_range(fx.handled, 1667, 1667);
}

static void socket_has_mode_0755_whatever_the_umask(void **state)
{
	struct stat st;
	mode_t old = umask(077);

	(void)state;
	http_server_fini(&fx.server);
	assert_int_equal(serve(-1, NULL), 0); /* replaces what was left */
	(void)umask(old);
	assert_int_equal(stat(fx.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
}

static void served_socket_is_refused(void **state)
{
	struct http_server first = fx.server;
	struct err e = {0};
	char expected[200];

	(void)state;
	(void)snprintf(expected, sizeof(expected),
		"Failed to open the API socket at: %s. Check that it is not already used.",
		fx.path);
	assert_int_equal(serve(-1, &e), -EADDRINUSE);
	assert_memory_equal(e.msg, expected, strlen(expected));
	fx.server = first;
}

static void file_that_is_no_socket_is_left_alone(void **state)
{
	struct err e = {0};
	struct stat st;

	(void)state;
	http_server_fini(&fx.server);
	assert_int_equal(unlink(fx.path), 0);
	assert_int_equal(close(open(fx.path, O_CREAT | O_RDWR | O_CLOEXEC, 0600)), 0);
	assert_int_equal(serve(-1, &e), -EADDRINUSE);
	assert_non_null(strstr(e.msg, "is no socket"));
	assert_int_equal(stat(fx.path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
}

static void inherited_socket_is_served(void **state)
{
	int listener = fcntl(fx.server.listen_fd, F_DUPFD, 3);
	CLEANUP_FD
	int fd = -1;

	(void)state;
	http_server_fini(&fx.server);
	assert_int_equal(serve(listener, NULL), 0);
	assert_int_equal(fcntl(listener, F_GETFD), FD_CLOEXEC);
	fd = client();
	say(fd, "GET / HTTP/1.1\r\n\r\n");
	assert_string_equal(hear(fd), NO_CONTENT);
}

static void inherited_descriptor_must_listen(void **state)
{
	struct err e = {0};
	int fds[2];

	(void)state;
	http_server_fini(&fx.server);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(serve(fds[0], &e), -EINVAL);
	assert_non_null(strstr(e.msg, "does not listen"));
	assert_int_equal(close(fds[1]), 0);
	assert_int_equal(serve(open("/dev/null", O_RDWR | O_CLOEXEC), &e), -ENOTSOCK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(no_content_is_66_bytes_exactly, setup, teardown),
		cmocka_unit_test_setup_teardown(answer_with_body_is_exact, setup, teardown),
		cmocka_unit_test_setup_teardown(
			no_answer_is_a_multiple_of_64_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(
			client_of_http_1_0_keeps_its_connection, setup, teardown),
		cmocka_unit_test_setup_teardown(request_may_come_byte_by_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(
			pipelined_requests_are_answered_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(
			one_turn_answers_a_few_requests_only, setup, teardown),
		cmocka_unit_test_setup_teardown(
			client_may_close_its_half_before_the_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(
			oversize_request_is_answered_before_its_body, setup, teardown),
		cmocka_unit_test_setup_teardown(body_of_the_limit_is_served, setup, teardown),
		cmocka_unit_test_setup_teardown(
			nonsense_is_answered_and_the_connection_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(
			unknown_method_leaves_the_connection_usable, setup, teardown),
		cmocka_unit_test_setup_teardown(continue_is_said_before_the_body, setup, teardown),
		cmocka_unit_test_setup_teardown(eleventh_connection_gets_503, setup, teardown),
		cmocka_unit_test_setup_teardown(
			longest_resting_connection_makes_room, setup, teardown),
		cmocka_unit_test_setup_teardown(
			half_a_request_is_given_up_in_time, setup, teardown),
		cmocka_unit_test_setup_teardown(
			client_that_does_not_read_is_cut_off, setup, teardown),
		cmocka_unit_test_setup_teardown(
			client_that_does_not_read_small_answers_is_cut_off, setup, teardown),
		cmocka_unit_test_setup_teardown(
			slow_reader_gets_all_answers_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(thousands_of_clients_come_and_go, setup, teardown),
		cmocka_unit_test_setup_teardown(
			socket_has_mode_0755_whatever_the_umask, setup, teardown),
		cmocka_unit_test_setup_teardown(served_socket_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			file_that_is_no_socket_is_left_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(inherited_socket_is_served, setup, teardown),
		cmocka_unit_test_setup_teardown(inherited_descriptor_must_listen, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
