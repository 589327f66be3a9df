/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine: one VM, put together from a struct vm_config and run until it ends.
 *
 * Life: machine_init builds everything up to the first instruction, with the vCPU threads parked;
 * machine_start puts the main thread's filter on and opens the gate; machine_run runs the event
 * loops until something calls machine_end; machine_fini takes it apart, so that the same process
 * can try again after a failure before the start.
 *
 * Two loops, on one thread. The process's own, `control`, has the API, the supervisor and the end
 * of the VM; the machine's, `loop`, has the devices, and control's epoll as one more source.
 * While the VM is paused only control runs, so that nothing touches guest memory.
 *
 * Threads: all functions are the main thread's, except machine_end (any thread).
 */
#pragma once

#include "virtio/mmio.h"
#include "vmm/core/console.h"
#include "vmm/core/io_thread.h"
#include "vmm/core/landlock.h"
#include "vmm/core/metrics.h"
#include "vmm/core/supervisor.h"
#include "vmm/core/timeline.h"
#include "vmm/core/vcpu.h"
#include "vmm/core/vm_config.h"
#include "vmm/kvm/cpuid_fetch.h"
#include "vmm/legacy/boot_timer.h"
#include "vmm/legacy/i8042.h"
#include "vmm/legacy/power.h"
#include "vmm/legacy/pvpanic.h"
#include "vmm/legacy/uart.h"
#include "vmm/legacy/vmclock.h"
#include "vmm/legacy/vmgenid.h"
#include "vmm/svc/ioapic.h"

struct machine;

/* One virtio device on the MMIO transport, with the loop sources of its queues' kicks. */
struct machine_virtio {
	struct machine *machine; /* borrowed */
	struct virtio_dev *dev;  /* owned */
	struct loop *loop;       /* borrowed: its owner thread's */
	struct virtio_mmio mmio;
	struct machine_kick {
		struct machine_virtio *owner;
		uint16_t queue;
		uint16_t slow_count; /* kicks that came by an exit: see machine_on_kick */
		bool fast;           /* has its ioeventfd, or cannot have one */
		uint64_t first_ns;   /* CLOCK_MONOTONIC of the first of them */
		gpa_t notify;        /* its doorbell */
		struct loop_source source;
	} kicks[VIRTIO_QUEUES_MAX];
};

/*
 * Where a machine comes from if not from a kernel: a snapshot. Called while the machine is built:
 * memory after KVM is open (says what is behind guest memory), mapped as soon as guest memory has an
 * address and before anything touches it, restore when everything is wired and no vCPU runs.
 */
struct machine_source {
	int (*memory)(void *ctx, struct machine *m, struct gmem_config *c, struct err *e);
	int (*mapped)(void *ctx, struct machine *m, struct err *e);
	int (*restore)(void *ctx, struct machine *m, struct err *e);
};

struct machine_options {
	bool seccomp;
	struct landlock_config landlock;
	int supervisor_fd;    /* -1: none; taken over */
	struct loop *control; /* borrowed; outlives the machine */
	/* For each network interface its open back end, or NULL; what is taken becomes NULL. */
	struct net_backend **taps;           /* borrowed; or NULL: open all of them */
	net_diverter_open open_diverter;     /* NULL: no interface has a metadata service */
	void *diverter_ctx;                  /* borrowed */
	const struct machine_source *source; /* NULL: from the configured kernel */
	void *source_ctx;                    /* borrowed for the call */
};

struct machine {
	const struct vm_config *config;          /* borrowed */
	struct metrics *metrics;                 /* borrowed */
	struct timeline *timeline;               /* borrowed */
	const struct cpu_template *cpu_template; /* borrowed; NULL: none */
	struct gmem mem;
	struct kvm_vm vm;
	struct cpuid_fetch cpuid;
	struct bus ports, mmio;
	struct ioapic ioapic;
	struct loop loop;     /* of the devices */
	struct loop *control; /* borrowed */
	struct loop_source control_source;
	struct net_backend **taps; /* borrowed, until machine_init returns */
	net_diverter_open open_diverter;
	void *diverter_ctx; /* borrowed */
	struct vcpus vcpus;
	struct irq_line com1_irq, power_button_irq, i8042_irq;
	struct uart uart;
	struct console console;
	struct i8042 i8042;
	struct power power;
	struct pvpanic pvpanic;
	struct boot_timer boot_timer;
	struct vmgenid vmgenid;
	struct vmclock vmclock;
	uint32_t virtio_count;
	struct machine_virtio virtio[LAYOUT_VIRTIO_COUNT_MAX];
	uint32_t io_thread_count;
	struct io_thread *io_threads[LAYOUT_VIRTIO_COUNT_MAX]; /* owned */
	struct supervisor supervisor;
	int end_fd;   /* owned eventfd: some thread called machine_end */
	int timer_fd; /* owned: the metrics period */
	struct loop_source end_source, timer_source;
	uint32_t end;          /* enum vm_end, atomic; set once */
	uint32_t panicked;     /* atomic */
	uint32_t metrics_mark; /* sources that were registered before this machine's */
	struct kvm_clock_data
		clock; /* of a snapshot: set when the guest first runs, flags as for KVM */
	bool clock_waits;
	bool paused, warm;
	bool seccomp;
	struct landlock landlock;
};

/*
 * *m is zeroed storage: clearing it here would touch all of its pages. On failure everything is
 * given back.
 */
int machine_init(struct machine *m, const struct vm_config *c, const struct machine_options *o,
	struct metrics *metrics, struct timeline *t, struct err *e) MUST_USE;
/* With m->paused set, as a source may do, the guest stands still until machine_resume. */
int machine_start(struct machine *m, struct err *e) MUST_USE;

/*
 * The guest stands still, nothing is in flight and no device is served, until machine_resume.
 * Both do nothing if it is so already.
 */
void machine_pause(struct machine *m);
void machine_resume(struct machine *m);
/* After machine_start with m->paused: what a resume can have done for it before (vcpus_warm). */
void machine_warm(struct machine *m);

/* The device of a class by its id, for updates while the VM runs; or NULL. */
struct virtio_dev *machine_find_device(struct machine *m, const char *class_name, const char *id);

/* Returns how the VM ended; its vCPU threads have stopped and its output is written. */
enum vm_end machine_run(struct machine *m);
void machine_fini(struct machine *m);

/* The VM is over; the first reason given stands. Any thread. */
void machine_end(struct machine *m, enum vm_end end);
