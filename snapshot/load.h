/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading a snapshot: a machine in a new process that goes on where the saved one stood.
 *
 *	snapshot_load_open    reads and checks the state file; its configuration is then in l->config
 *	the caller            parses that, puts other names into it, and gives it with
 *	                      snapshot_source and l to machine_init, then machine_start
 *	snapshot_load_close   after the VM
 *
 * Everything that can be refused is refused before a vCPU exists. The machine is paused then; its
 * identity has changed already: a new VMGenID and VMClock generation are in guest memory and their
 * interrupts are raised. Main thread.
 */
#pragma once

#include "snapshot/fork.h"
#include "snapshot/image.h"
#include "snapshot/uffd.h"
#include "vmm/core/machine.h"
#include "vmm/core/metrics_sources.h"

struct snapshot_load_options {
	const char *fork_path; /* socket of a fork, or NULL; without state_path and mem_path then */
	const char *state_path;    /* borrowed; these for the life of the load */
	const char *mem_path;      /* memory file; or with uffd, the handler's socket */
	const char *prefetch_path; /* or NULL: see prefetch.h; only with a memory file */
	bool uffd;
	bool clock_realtime;            /* the guest's wall clock jumps to now */
	bool force;                     /* load also if this CPU lacks features */
	struct metrics_restore *phases; /* borrowed: takes how long each phase took; or NULL */
};

struct snapshot_load {
	struct snapshot_load_options o;
	char *config;  /* owned text */
	uint8_t *data; /* owned: the state file */
	struct uffd uffd;
	uint64_t phase_ns; /* when the present phase began */
	struct fork_gift gift;
	/* From here on what opening fills: large, and not cleared before. */
	struct snapshot_reader reader;
	struct snapshot_info info;
	struct cpuid_table cpuid;
	struct vcpu_state vcpu; /* of one after the other */
};

/* *l is large: static, or on the heap. -errno: *e, and nothing is to be closed. */
int snapshot_load_open(
	struct snapshot_load *l, const struct snapshot_load_options *o, struct err *e) MUST_USE;
/*
 * The machine has what the state file said: gives back the memory that this took, which for one of a
 * thousand clones is a third of all that it has for itself. *l is static. Only snapshot_load_close may follow.
 */
void snapshot_load_forget(struct snapshot_load *l);
void snapshot_load_close(struct snapshot_load *l);

/* For machine_options; its context is the struct snapshot_load. */
extern const struct machine_source snapshot_source;
