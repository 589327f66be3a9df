/* SPDX-License-Identifier: Apache-2.0 */
/* The API without sockets. See api.h. */
#include "tests/unit/lib/api.h"

#include "vmm/base/check.h"
#include "vmm/base/log.h"

#include <stdlib.h>
#include <string.h>

static struct controller controller;
static struct machine machine;
static struct metrics metrics;
static struct timeline timeline;
static struct mmds mmds;
static struct loop loop;
static struct http_reply reply;

struct controller *api_init(void)
{
	static const struct log_config quiet = {.id = "test", .fd = -1, .level = LOG_OFF};
	const struct controller_config cc = {
		.id = "test",
		.loop = &loop,
		.machine = &machine,
		.metrics = &metrics,
		.timeline = &timeline,
		.mmds = &mmds,
		.supervisor_fd = -1,
	};
	struct err e = {0};

	log_configure(&quiet);
	memset(&controller, 0, sizeof(controller));
	memset(&machine, 0, sizeof(machine));
	machine.control = &loop;
	metrics_init(&metrics);
	mmds_init(&mmds, HTTP_BODY_MAX);
	CHECK(loop_init(&loop, &e) == 0);
	CHECK(controller_init(&controller, &cc, &e) == 0);
	return &controller;
}

void api_fini(void)
{
	free(reply.body);
	reply.body = NULL;
	controller_fini(&controller);
	mmds_fini(&mmds);
	metrics_fini(&metrics);
	loop_fini(&loop);
}

void api_phase(enum api_state state)
{
	controller.state = state;
	machine.paused = state == API_PAUSED;
}

int api_send(const char *method, const char *path, const char *body)
{
	const struct http_request r = {
		.method = method,
		.path = path,
		.body = body,
		.body_len = body ? strlen(body) : 0,
	};

	free(reply.body);
	reply = (struct http_reply){.status = 204};
	controller_handle(&controller, &r, &reply);
	return reply.status;
}

const char *api_body(void)
{
	return reply.body ? reply.body : "";
}

bool api_deprecated(void)
{
	return reply.deprecated;
}

char *api_config(void)
{
	char *text;

	CHECK(api_send("GET", "/vm/config", NULL) == 200);
	text = strdup(reply.body);
	CHECK(text);
	return text;
}
