/* SPDX-License-Identifier: Apache-2.0 */
/* VM generation id. See vmgenid.h. */
#include "vmm/legacy/vmgenid.h"

#include "vmm/base/layout.h"

#include <errno.h>
#include <sys/random.h>

static const struct field vmgenid_state_fields[] = {
	FIELD_ARRAY(1, 1, struct vmgenid_state, guid, 0),
};
const struct field_table vmgenid_state_table =
	FIELD_TABLE("vmgenid", struct vmgenid_state, vmgenid_state_fields, NULL);

int vmgenid_init(struct vmgenid *g, struct gmem *m, struct err *e)
{
	int rc;

	g->irq.fd = -1;
	if (getrandom(g->st.guid, sizeof(g->st.guid), 0) != (ssize_t)sizeof(g->st.guid))
		return err_set_os(e, -errno, "cannot draw a VM generation id");
	rc = gmem_write(m, GPA(LAYOUT_VMGENID), g->st.guid, sizeof(g->st.guid));
	if (rc < 0)
		return err_set(e, rc, "machine-config.mem_size_mib: too small for the first MiB");
	return irq_line_init(&g->irq, e);
}

void vmgenid_fini(struct vmgenid *g)
{
	irq_line_fini(&g->irq);
}
