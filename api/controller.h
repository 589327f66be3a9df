/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The controller: the configuration of the process's one VM and what the API does to it. It takes
 * whole HTTP requests, finds their endpoint in the table, checks body and phase, and calls the
 * handler, of which api/handle_*.c has one for each endpoint.
 *
 *	Not started   configuration may change           InstanceStart -> Running
 *	Running       devices may be updated             PATCH /vm     -> Paused
 *	Paused        likewise; nothing moves            PATCH /vm     -> Running
 *
 * A request that fails has changed nothing: its body is parsed into storage of its own, checked,
 * tried out on the host where that is possible, and only then put in place. A start that fails
 * takes the machine apart again; the same process can be configured anew and started.
 *
 * Main thread only.
 */
#pragma once

#include "api/body_schema.h"
#include "api/endpoint.h"
#include "api/snapshot_schema.h"
#include "vmm/core/machine.h"
#include "vmm/core/metrics_sources.h"

/* The version of Firecracker's API that is served: what `/version` says. */
#define CONTROLLER_COMPATIBLE_VERSION "1.17.0"

enum api_state { API_NOT_STARTED, API_RUNNING, API_PAUSED };

struct mmds;
struct net_backend;

struct controller_config {
	const char *id;            /* borrowed: the instance id */
	struct loop *loop;         /* borrowed: the process's own */
	struct machine *machine;   /* borrowed storage of the one machine */
	struct metrics *metrics;   /* borrowed, initialised */
	struct timeline *timeline; /* borrowed */
	bool seccomp;
	struct landlock_config landlock;
	bool metrics_open; /* by the command line */
	int supervisor_fd; /* -1: none; taken over by the machine */
	struct mmds *mmds; /* borrowed, initialised */
};

struct controller {
	struct controller_config o;
	enum api_state state;
	bool configured;  /* something of the VM itself: no snapshot can be loaded any more */
	bool load_failed; /* the process is to end */
	struct vm_config config;
	/* Taps that were opened when their interface was configured; owned, or NULL. */
	struct net_backend *taps[VM_CONFIG_NETS_MAX];
	struct metrics_api counters;
	struct metrics_latencies latencies;
	struct metrics_restore restore;
	union controller_parsed {
		struct vm_config vm;
		struct vm_drive_config drive;
		struct vm_net_config net;
		struct cpu_template cpu;
		struct api_action_body action;
		struct api_vm_body vm_state;
		struct api_later_body later;
		struct api_snapshot_create snapshot_create;
		struct api_snapshot_fork snapshot_fork;
		struct api_snapshot_load snapshot_load;
	} parsed; /* the body of the request at hand */
};

/* *c is large, and zeroed storage. Registers the API's counters. */
int controller_init(
	struct controller *c, const struct controller_config *o, struct err *e) MUST_USE;
/* Frees the configuration. A machine that was started is left to the end of the process. */
void controller_fini(struct controller *c);

/* An http_handler; ctx is the struct controller. */
void controller_handle(void *ctx, const struct http_request *r, struct http_reply *ret);

/* Reads a configuration file into the controller that is not configured yet. */
int controller_load_file(struct controller *c, const char *path, struct err *e) MUST_USE;

/* Builds and starts the machine; after a failure all is as it was before. */
int controller_start(struct controller *c, struct err *e) MUST_USE;

/*
 * Makes and starts the machine of a snapshot, paused unless asked otherwise. After a failure the
 * process can only end.
 */
int controller_restore(
	struct controller *c, const struct api_snapshot_load *b, struct err *e) MUST_USE;

/* For handlers: answers with j, which is taken over; NULL means that memory ran out. */
int controller_reply(struct http_reply *ret, json_t *j, struct err *e) MUST_USE;
