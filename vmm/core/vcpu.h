/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vCPU threads: one thread per vCPU that runs the guest and dispatches its exits to the buses.
 *
 * Theory of operation. The main thread creates all vCPUs, then starts their threads; each puts
 * its seccomp filter on and parks at the gate. vcpus_resume opens the gate. To pause, the main
 * thread closes the gate, sets each vCPU's immediate_exit flag and signals its thread: KVM_RUN
 * then returns at once whether the signal came before, during or after its entry. Before it
 * parks, a vCPU enters KVM once more with the flag set, which completes the exit it was in the
 * middle of, so that its state is whole.
 *
 *	gate      vCPU threads                       next
 *	PAUSED    park, counted in parked_count      RUNNING, WARMING, STOPPED
 *	WARMING   enter KVM once, park               PAUSED
 *	RUNNING   in KVM_RUN or handling an exit     PAUSED, STOPPED
 *	STOPPED   return from their thread function  -
 *
 * Threads: vcpus_* on the main thread only. Device callbacks and `end` run on vCPU threads.
 */
#pragma once

#include "vmm/core/landlock.h"
#include "vmm/base/latency.h"
#include "vmm/base/layout.h"
#include "vmm/core/timeline.h"
#include "vmm/kvm/vm.h"
#include "vmm/legacy/power.h"
#include "vmm/svc/bus.h"

#include <pthread.h>

struct vcpu_counters { /* Firecracker's group "vcpu" */
	uint64_t exit_io_in, exit_io_out, exit_mmio_read, exit_mmio_write, failures;
	/* From the return of KVM_RUN until the exit was dealt with. */
	struct latency exit_io_in_agg, exit_io_out_agg, exit_mmio_read_agg, exit_mmio_write_agg;
};

enum vcpu_gate { VCPU_GATE_PAUSED, VCPU_GATE_WARMING, VCPU_GATE_RUNNING, VCPU_GATE_STOPPED };

struct vcpus;

struct vcpu {
	struct vcpus *all;   /* borrowed */
	uint32_t index;      /* also its APIC id */
	int fd;              /* owned */
	struct kvm_run *run; /* owned mapping */
	uint32_t run_size;
	pthread_t thread;
	bool started;
	bool warm;                     /* this thread's */
	struct vcpu_counters counters; /* this thread writes, any thread reads */
};

struct vcpus {
	uint32_t count;
	const struct bus *ports, *mmio; /* borrowed, frozen */
	struct timeline *timeline;      /* borrowed */
	vm_end_fn end;
	void *end_ctx;                   /* borrowed */
	bool seccomp;                    /* put filters on */
	const struct landlock *landlock; /* borrowed, put on before them; or NULL */
	pthread_mutex_t lock; /* guards gate and the counts; never taken while the guest runs */
	pthread_cond_t changed;
	enum vcpu_gate gate; /* also read without the lock, as a hint */
	uint32_t parked_count, warm_count;
	bool launched;
	bool unconfined; /* some thread could not put its filter on; under the lock */
	struct vcpu vcpu[LAYOUT_VCPUS_MAX];
};

/* Creates count vCPUs on vm, in zeroed storage: more of it than they need is not touched. Nothing runs. *v's borrowed fields are set by the caller after. */
int vcpus_init(struct vcpus *v, struct kvm_vm *vm, uint32_t count, struct err *e) MUST_USE;

/* Starts the threads, which put their filters on and park while the caller goes on. */
int vcpus_launch(struct vcpus *v, struct err *e) MUST_USE;
/* Starts them if need be; returns when each has its filter on and is parked. */
int vcpus_start(struct vcpus *v, struct err *e) MUST_USE;

/*
 * For started vCPUs that will stand still for a while: each makes its first entry of KVM, up to the guest's
 * first instruction, and parks. That entry is most of what a resume costs. May touch guest memory (the
 * page of kvm-clock). Once.
 */
void vcpus_warm(struct vcpus *v);
void vcpus_resume(struct vcpus *v);
/* Returns when every vCPU is parked with its state complete. */
void vcpus_pause(struct vcpus *v);
/*
 * Closes the gate from whatever thread saw the VM end, without waiting: each vCPU parks at its
 * next exit. The main thread follows with vcpus_stop.
 */
void vcpus_halt(struct vcpus *v);
/* Ends and joins the threads. Idempotent. */
void vcpus_stop(struct vcpus *v);
/* vcpus_stop, and gives everything back. */
void vcpus_fini(struct vcpus *v);

/* Sums over all vCPUs. Any thread. */
void vcpus_counters(const struct vcpus *v, struct vcpu_counters *ret);
