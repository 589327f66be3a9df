/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bringing the pages that a clone is going to write, all in one pass before it runs. Which ones tells a
 * diff that an earlier clone of the same snapshot made when it was ready: pages that are data in it.
 * Only where they are counts, not what they hold.
 */
#pragma once

#include "vmm/base/err.h"
#include "vmm/mem/gmem.h"

/*
 * Guest memory is a private mapping of a file; path is the diff. A file of another size, and one without
 * a hole, are refused. Pages that cannot be had now are left to the guest's own faults, and logged.
 * 0, or -errno: *e. Main thread, before the filters.
 */
int prefetch_pages(const struct gmem *m, const char *path, struct err *e) MUST_USE;
