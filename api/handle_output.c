/* SPDX-License-Identifier: Apache-2.0 */
/* Where the log and the metrics go. */
#include "api/handle.h"
#include "api/vm_schema.h"
#include "vmm/base/log.h"

#include <errno.h>

/* May come again; what it does not say stays as it is. */
int handle_put_logger(
	struct controller *c, const struct api_call *call, struct http_reply *ret, struct err *e)
{
	const struct vm_config *given = call->parsed;
	const struct log_change change = {
		.path = given->log_path,
		.module = given->log_module,
		.has_level = json_is_string(json_object_get(call->json, "level")),
		.has_show_level = json_is_boolean(json_object_get(call->json, "show_level")),
		.has_show_origin = json_is_boolean(json_object_get(call->json, "show_log_origin")),
		.level = given->log_level,
		.show_level = given->show_level,
		.show_origin = given->show_log_origin,
	};

	(void)c;
	(void)ret;
	return log_change(&change, e);
}

/* Once: a second target would split the counts between two files. */
int handle_put_metrics(
	struct controller *c, const struct api_call *call, struct http_reply *ret, struct err *e)
{
	const struct vm_config *given = call->parsed;
	int rc;

	(void)ret;
	if (c->o.metrics_open)
		return err_set(e, -EEXIST,
			"metrics.metrics_path: Reinitialization of metrics not allowed: the target "
			"is set already");
	rc = metrics_set_extra(c->o.metrics, given->metrics_emit_id ? c->o.id : NULL,
		given->metrics_properties, e);
	if (rc == 0)
		rc = metrics_open(c->o.metrics, given->metrics_path, e);
	if (rc < 0) {
		if (metrics_set_extra(c->o.metrics, NULL, NULL, NULL) < 0)
			log_warn("metrics: the line keeps its properties");
		return rc;
	}
	c->o.metrics_open = true;
	return 0;
}
