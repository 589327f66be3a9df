/* SPDX-License-Identifier: Apache-2.0 */
/* The host's side of the metadata service: its store and its configuration. */
#include "api/handle.h"
#include "api/mmds/mmds.h"
#include "api/vm_rules.h"

#include <errno.h>

/* After the start, without a configuration and without data, there is nothing to speak of. */
int handle_get_mmds(
	struct controller *c, const struct api_call *call, struct http_reply *ret, struct err *e)
{
	const struct store *s = &c->o.mmds->store;
	int rc;

	(void)call;
	if (c->state != API_NOT_STARTED && !c->config.has_mmds && !s->root)
		return err_set(e, -ENOENT,
			"The MMDS resource does not exist.: there is no mmds-config, and nothing "
			"was put");
	rc = store_print(s, &ret->body, &ret->body_len);
	if (rc < 0)
		return err_set_os(e, rc, "mmds");
	ret->status = 200;
	return 0;
}

static int mmds_result(struct http_reply *ret, int rc)
{
	if (rc == -EFBIG)
		ret->status = 413;
	return rc;
}

int handle_put_mmds(
	struct controller *c, const struct api_call *call, struct http_reply *ret, struct err *e)
{
	return mmds_result(ret, store_put(&c->o.mmds->store, call->text, call->text_len, e));
}

int handle_patch_mmds(
	struct controller *c, const struct api_call *call, struct http_reply *ret, struct err *e)
{
	return mmds_result(ret, store_patch(&c->o.mmds->store, call->text, call->text_len, e));
}

int handle_put_mmds_config(
	struct controller *c, const struct api_call *call, struct http_reply *ret, struct err *e)
{
	struct vm_config *given = call->parsed;
	char *ipv4 = c->config.mmds_ipv4, **interfaces = c->config.mmds_interfaces;
	int rc = vm_rules_mmds(&c->config, given, e);

	ret->deprecated = ret->deprecated || given->mmds_version == 1;
	if (rc < 0)
		return rc;
	c->config.has_mmds = true;
	c->config.mmds_version = given->mmds_version;
	c->config.mmds_imds_compat = given->mmds_imds_compat;
	c->config.mmds_ipv4 = given->mmds_ipv4;
	c->config.mmds_interfaces = given->mmds_interfaces;
	given->mmds_ipv4 = ipv4; /* released with the request's body */
	given->mmds_interfaces = interfaces;
	return 0;
}
