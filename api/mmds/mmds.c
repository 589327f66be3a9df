/* SPDX-License-Identifier: Apache-2.0 */
/* The metadata service. See mmds.h. */
#include "api/mmds/mmds.h"

#include "vmm/base/check.h"
#include "vmm/base/io.h"
#include "vmm/base/wipe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(NET_DIVERT_RX_MAX >= FRAME_ETH_SIZE + FRAME_IP_SIZE + FRAME_TCP_SIZE + TCP_MSS_OURS,
	"a full segment is one frame");
_Static_assert(NET_DIVERT_FRAME_MAX >= FRAME_HEAD_MAX + 96 + TCP_RX_MAX,
	"a segment that fills the window, with all options, is one frame");

static const uint8_t mmds_mac[FRAME_MAC_SIZE] = {0x06, 0x01, 0x23, 0x45, 0x67, 0x01};

void mmds_init(struct mmds *m, size_t size_max)
{
	/* Slots of tokens are made when they are needed, the parser for each request: 200 KiB. */
	m->tokens.slot_count = 0;
	m->tokens.use_count = 0;
	m->tokens.first_end_ns = UINT64_MAX;
	m->counters = (struct metrics_mmds){0};
	m->ip = 0;
	m->config = NULL;
	store_init(&m->store, size_max);
	m->answerer.imds_compat = false;
	m->answerer.store = &m->store;
	m->answerer.tokens = &m->tokens;
	m->answerer.counters = &m->counters;
	m->answerer.version = 1;
}

void mmds_fini(struct mmds *m)
{
	store_fini(&m->store);
	tokens_fini(&m->tokens);
	m->config = NULL;
}

void mmds_configure(struct mmds *m, const struct vm_config *c)
{
	int rc;

	m->config = c->has_mmds ? c : NULL;
	if (!c->has_mmds)
		return;
	m->answerer.version = (uint8_t)c->mmds_version;
	m->answerer.imds_compat = c->mmds_imds_compat;
	rc = frame_ip_parse(c->mmds_ipv4 ? c->mmds_ipv4 : VM_CONFIG_MMDS_IPV4_DEFAULT, &m->ip);
	CHECK(rc == 0); /* vm_rules.c has checked it */
}

static struct mmds_interface *mmds_of(struct net_diverter *d)
{
	return (struct mmds_interface *)d;
}

/*
 * The timer follows the first deadline of a connection, or end of a token. One that has passed needs none: what is
 * due waits for the guest to have room, and then its network device asks.
 */
static void mmds_arm(struct mmds_interface *i)
{
	uint64_t now = clock_mono_ns();
	uint64_t at = MIN(stack_deadline_ns(&i->stack), i->mmds->tokens.first_end_ns);

	/* Earlier than needed is as good, and saves a system call for each request. */
	if (at == UINT64_MAX || at <= now || i->armed_ns <= at)
		return;
	i->armed_ns = at;
	rate_timer_arm(&i->timer, at - now);
}

static void mmds_on_timer(void *ctx)
{
	struct mmds_interface *i = ctx;

	i->armed_ns = UINT64_MAX;
	tokens_sweep(&i->mmds->tokens, clock_mono_ns());
	if (stack_deadline_ns(&i->stack) <= clock_mono_ns())
		i->diverter.kick(i->diverter.kick_ctx);
	mmds_arm(i);
}

static uint32_t mmds_serve(
	void *ctx, const uint8_t *bytes, uint32_t len, bool full, struct stack_reply *ret)
{
	struct mmds *m = ctx;

	return answer(&m->answerer, bytes, len, full, clock_mono_ns(), ret);
}

/* ---- what the network device calls ---- */

static bool mmds_wants(struct net_diverter *d, const void *head, size_t len)
{
	return frame_is_for(head, len, mmds_of(d)->stack.c.ip);
}

static void mmds_tx(struct net_diverter *d, const void *frame, size_t len, bool csum_partial)
{
	struct mmds_interface *i = mmds_of(d);

	stack_input(&i->stack, frame, len, csum_partial, clock_mono_ns());
}

static void mmds_tx_dropped(struct net_diverter *d)
{
	struct metrics_mmds *c = mmds_of(d)->stack.c.counters;

	counter_add(&c->rx_accepted, 1);
	counter_add(&c->rx_accepted_err, 1);
}

static size_t mmds_rx(struct net_diverter *d, void *buf)
{
	struct mmds_interface *i = mmds_of(d);
	size_t len = stack_output(&i->stack, buf, clock_mono_ns());

	mmds_arm(i);
	return len;
}

static void mmds_close(struct net_diverter *d)
{
	struct mmds_interface *i = mmds_of(d);

	rate_timer_fini(&i->timer);
	stack_fini(&i->stack);
	wipe_free(i);
}

static const struct net_diverter_ops mmds_ops = {
	.wants = mmds_wants,
	.tx = mmds_tx,
	.tx_dropped = mmds_tx_dropped,
	.rx = mmds_rx,
	.close = mmds_close,
};

static bool mmds_serves(const struct mmds *m, const char *iface_id)
{
	for (uint32_t i = 0; m->config && m->config->mmds_interfaces[i]; i++)
		if (strcmp(m->config->mmds_interfaces[i], iface_id) == 0)
			return true;
	return false;
}

int mmds_open_interface(void *ctx, const char *iface_id, struct loop *loop,
	struct net_diverter **ret, struct err *e)
{
	struct mmds *m = ctx;
	struct stack_config sc = {
		.ip = m->ip, .server = mmds_serve, .ctx = m, .counters = &m->counters};
	struct mmds_interface *i;
	int rc;

	*ret = NULL;
	if (!mmds_serves(m, iface_id))
		return 0;
	i = calloc(1, sizeof(*i));
	if (!i)
		return err_set_os(e, -ENOMEM, "metadata service of %s", iface_id);
	rc = rate_timer_init(&i->timer, loop, mmds_on_timer, i, e);
	if (rc < 0) {
		free(i);
		return err_wrap(e, "metadata service of %s", iface_id);
	}
	memcpy(sc.mac, mmds_mac, sizeof(sc.mac));
	stack_init(&i->stack, &sc);
	i->mmds = m;
	i->armed_ns = UINT64_MAX;
	i->diverter.ops = &mmds_ops;
	*ret = &i->diverter;
	return 0;
}

/* ---- at start ---- */

int mmds_preload(struct mmds *m, const char *path, struct err *e)
{
	CLEANUP_WIPE
	char *text = NULL;
	size_t len;
	int rc = io_read_file(path, STORE_TEXT_MAX, &text, &len, e);

	if (rc < 0)
		return err_wrap(e, "--metadata");
	rc = store_put(&m->store, text, len, e);
	if (rc == 0)
		return 0;
	if (rc == -EINVAL)
		return err_wrap(e, "MMDS error");
	return err_wrap(e, "Populating MMDS from file failed");
}
