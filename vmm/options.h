/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of mayfly-vmm: Firecracker's flags, and what mayfly adds. */
#pragma once

#include "vmm/base/err.h"
#include "vmm/base/log.h"

#define VMM_OPTIONS_API_SOCK "/run/firecracker.socket"

enum vmm_action {
	VMM_ACTION_RUN,
	VMM_ACTION_HELP,
	VMM_ACTION_VERSION,
	VMM_ACTION_DESCRIBE_STATE,
	VMM_ACTION_DESCRIBE_SECCOMP,
	VMM_ACTION_DESCRIBE_API,
	VMM_ACTION_SNAPSHOT_VERSION,
	VMM_ACTION_DESCRIBE_SNAPSHOT,
	VMM_ACTION_DESCRIBE_OPTIONS,
};

/* Strings are borrowed from argv. */
struct vmm_options {
	enum vmm_action action;
	const char *id;
	const char *api_sock;
	const char *config_file; /* or NULL: configured by the API */
	const char *describe_snapshot;
	const char *restore;          /* or NULL: a state file to load */
	const char *restore_memory;   /* its memory file, or NULL */
	const char *restore_prefetch; /* a diff whose pages are brought at once, or NULL */
	const char *restore_handler;  /* the socket of a userfaultfd handler, or NULL */
	const char *fork_from;        /* or NULL: the socket of a fork to go on from */
	bool restore_paused, restore_clock, restore_force;
	const char *seccomp_filter; /* or NULL: a file of filters */
	const char *seccomp_record; /* or NULL: a file for the rules that were used */
	const char *metadata;       /* or NULL: a JSON file for the metadata service */
	const char *log_path;       /* or NULL: standard output */
	const char *log_module;     /* or NULL */
	const char *metrics_path;   /* or NULL */
	const char *not_supported;  /* the first flag given that no release has yet, or NULL */
	enum log_level log_level;
	bool has_log_level, show_level, show_log_origin, log_json;
	bool no_api;
	bool no_seccomp, seccomp_log;
	const char *landlock; /* "off", directories, or NULL: on without any if there is no API */
	int supervisor_fd;    /* -1: none */
	const char *fds_from; /* or NULL: a launcher's socket */
	uint64_t payload_size_max;
	uint64_t mmds_size_max; /* 0: as payload_size_max */
	uint64_t start_time_us; /* CLOCK_MONOTONIC of the process start, or 0: now */
	uint64_t start_time_cpu_us, parent_cpu_time_us;
};

/* 0, or -EINVAL with a message that names the flag, its value and the rule. */
int vmm_options_parse(struct vmm_options *o, int argc, char **argv, struct err *e) MUST_USE;
void vmm_options_help(void);
/* The table as tab-separated text; cli/cli.h says which. */
void vmm_options_describe(void);
