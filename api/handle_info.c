/* SPDX-License-Identifier: Apache-2.0 */
/* GET: what is configured and how it is. */
#include "api/handle.h"
#include "api/vm_schema.h"

static const char *instance_state(const struct controller *c)
{
	switch (c->state) {
	case API_NOT_STARTED:
		return "Not started";
	case API_RUNNING:
		return "Running";
	case API_PAUSED:
		break;
	}
	return "Paused";
}

int handle_get_instance(
	struct controller *c, const struct api_call *call, struct http_reply *ret, struct err *e)
{
	(void)call;
	return controller_reply(ret,
		json_pack("{s:s,s:s,s:s,s:s}", "id", c->o.id, "state", instance_state(c),
			"vmm_version", CONTROLLER_COMPATIBLE_VERSION, "app_name", "Firecracker"),
		e);
}

int handle_get_version(
	struct controller *c, const struct api_call *call, struct http_reply *ret, struct err *e)
{
	(void)c;
	(void)call;
	return controller_reply(
		ret, json_pack("{s:s}", "firecracker_version", CONTROLLER_COMPATIBLE_VERSION), e);
}

int handle_get_config(
	struct controller *c, const struct api_call *call, struct http_reply *ret, struct err *e)
{
	(void)call;
	return controller_reply(ret, schema_print(&vm_config_schema, &c->config), e);
}

int handle_get_machine_config(
	struct controller *c, const struct api_call *call, struct http_reply *ret, struct err *e)
{
	(void)call;
	return controller_reply(ret, schema_print(&machine_config_schema, &c->config), e);
}

int handle_get_metrics(
	struct controller *c, const struct api_call *call, struct http_reply *ret, struct err *e)
{
	int rc = metrics_print_prometheus(c->o.metrics, &ret->body, &ret->body_len);

	(void)call;
	if (rc < 0)
		return err_set_os(e, rc, "metrics");
	ret->status = 200;
	ret->content_type = "text/plain; version=0.0.4";
	return 0;
}
