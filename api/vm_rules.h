/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules that hold between keys, for the configuration file and the API alike. Rules of one key are
 * in the schema tables. Each returns 0, or -EINVAL and says what is wrong: `where` names the
 * object in messages ("drives[1]"), the field follows.
 */
#pragma once

#include "vmm/core/vm_config.h"

int vm_rules_machine(const struct vm_config *c, struct err *e) MUST_USE;

/* d is to be number `index` of c->drives, or to follow them; those beside it are held against it. */
int vm_rules_drive(const struct vm_config *c, uint32_t index, struct vm_drive_config *d,
	const char *where, struct err *e) MUST_USE;

int vm_rules_net(const struct vm_config *c, uint32_t index, const struct vm_net_config *n,
	const char *where, struct err *e) MUST_USE;

/* The MMDS configuration in m, held against the interfaces of c (which may be m itself). */
int vm_rules_mmds(const struct vm_config *c, const struct vm_config *m, struct err *e) MUST_USE;

/* A bucket without size or refill time limits nothing; nobody is to see it. */
void vm_rules_normalise_limiter(bool *has, struct rate_limiter_config *c);
void vm_rules_normalise_bucket(bool *has, struct token_bucket_config *c);
