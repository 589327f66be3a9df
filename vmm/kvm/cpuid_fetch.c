/* SPDX-License-Identifier: Apache-2.0 */
/* The supported CPUID table, fetched beside other work. See cpuid_fetch.h. */
#include "vmm/kvm/cpuid_fetch.h"

#define CPUID_FETCH_STACK_SIZE ((size_t)64 * 1024)

static void *cpuid_fetch_thread(void *arg)
{
	struct cpuid_fetch *f = arg;

	f->rc = cpuid_get_supported(f->kvm_fd, &f->table, NULL);
	return NULL;
}

void cpuid_fetch_start(struct cpuid_fetch *f, int kvm_fd)
{
	pthread_attr_t attr;

	f->kvm_fd = kvm_fd;
	f->rc = 0;
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, CPUID_FETCH_STACK_SIZE);
	f->started = pthread_create(&f->thread, &attr, cpuid_fetch_thread, f) == 0;
	(void)pthread_attr_destroy(&attr);
}

int cpuid_fetch_join(struct cpuid_fetch *f, struct err *e)
{
	bool fetched = f->started;

	cpuid_fetch_fini(f);
	/* A failure is found out again here, for its message. */
	return fetched && f->rc == 0 ? 0 : cpuid_get_supported(f->kvm_fd, &f->table, e);
}

void cpuid_fetch_fini(struct cpuid_fetch *f)
{
	if (f->started)
		(void)pthread_join(f->thread, NULL);
	f->started = false;
}
