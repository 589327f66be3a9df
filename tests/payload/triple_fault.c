/* SPDX-License-Identifier: Apache-2.0 */
/* Ends by a triple fault, which the monitor must report as one. */
#include "rt/rt.h"

int payload_main(const struct payload_boot *boot)
{
	(void)boot;
	end_by(triple_fault);
}
