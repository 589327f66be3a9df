/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `mayfly run`, in parts: the options, the configuration file made of them, the monitor as a child
 * process, the terminal, and the loop that watches the child until the VM has ended. One thread.
 *
 * The supervisor protocol: a SOCK_SEQPACKET socket, one text message of at most
 * RUN_MESSAGE_SIZE_MAX bytes per packet. The monitor sends `started`, `panicked`,
 * `timeline POINT=US...` and `ended CAUSE` (vm_end_infos[].name); it is sent `power-button` and
 * `stop`, and takes end of file as `stop`.
 */
#pragma once

#include "cli/runtime.h"
#include "vmm/base/err.h"
#include "vmm/base/layout.h"
#include "vmm/base/vm_end.h"

#include <sys/types.h>
#include <termios.h>

#define RUN_MESSAGE_SIZE_MAX 256
#define RUN_DRIVES_MAX       LAYOUT_VIRTIO_COUNT_MAX
#define RUN_CGROUPS_MAX      16     /* --jail-cgroup, given so often at most */
#define RUN_SIGNAL_FORCE     0x464f /* sent along with a SIGTERM: do not ask the guest */

/*
 * Why each: the console is the terminal; `quiet`, since every character costs an exit (a later
 * loglevel=7 brings the lines back); a panicked or rebooting guest must end rather than wait, and
 * through the ACPI reset register, which nothing else uses; there is no PCI bus and one UART;
 * virtio here needs no bounce buffers.
 */
#define RUN_CMDLINE_DEFAULT                                                                        \
	"console=ttyS0 quiet panic=-1 reboot=acpi pci=off 8250.nr_uarts=1 swiotlb=noforce"

#define RUN_JAIL_DIR "/srv/mayfly"

struct run_drive {
	char path[4096];
	bool is_root;
	bool is_read_only;
};

/* Strings are borrowed from argv. */
struct run_options {
	const char *name; /* or NULL: run-PID */
	/* Exactly one of the next three; the others are NULL. */
	const char *kernel;
	const char *restore; /* a state file, with its memory file */
	const char *fork_of; /* a VM that runs */
	const char *restore_memory;
	const char *initrd;   /* or NULL */
	const char *cmdline;  /* added to the default or used instead, or NULL */
	char *log_level;      /* these two become arguments of the monitor */
	char *log_path;       /* or NULL: standard error */
	const char *vmm_path; /* or NULL: beside this program, then in PATH */
	const char *jail_dir;
	const char *jailer_path; /* or NULL: found as the monitor is */
	const char *jail_cgroups[RUN_CGROUPS_MAX];
	uint64_t memory_mib;
	uint64_t stop_timeout_ns;
	uint32_t jail_cgroup_count;
	uint32_t jail_uid, jail_gid; /* if has_jail_user; otherwise made of our pid */
	uint32_t vcpu_count;
	uint32_t drive_count;
	bool machine_given; /* an option that a machine is made of */
	bool clock_realtime;
	bool cmdline_replaces;
	bool entropy;
	bool timeline;
	bool jail;
	bool has_jail_user;
	bool help;
	struct run_drive drives[RUN_DRIVES_MAX];
};

/*
 * Fills *o from the command line and checks what can be checked before a VM exists. CLI_OK, or
 * the exit status after a message. With o->help set, nothing else counts.
 */
int run_options_parse(struct run_options *o, int argc, char **argv);

/* The command itself; its table of options is in run_options.c. */
int run_main(int argc, char **argv);

/* A sealed memfd that holds the monitor's configuration. The caller owns it. */
int run_config_create(const struct run_options *o, struct err *e);

/*
 * Asks the VM fork_of to offer a fork, and returns the path of the socket on which it does, in dst. It is gone when
 * somebody has collected, or after 10 s. 0, or -errno with *e.
 */
int run_fork_offer(char dst[PATH_MAX], const char *fork_of, struct err *e) MUST_USE;

/* The terminal on standard input. Owned by run_main. */
struct run_tty {
	struct termios saved;
	bool is_raw;
	bool in_background; /* the terminal belongs to another job: the VM must not read it */
};

/*
 * Makes the terminal raw, except that Ctrl-C still interrupts and output is still processed.
 * Without a terminal, or when another job has it, changes nothing.
 */
void run_tty_open(struct run_tty *t);
void run_tty_restore(struct run_tty *t);

struct run_jail;

/* The monitor, running. fds are owned; -1 when closed. */
struct run_child {
	pid_t pid;
	int socket_fd;           /* supervisor socket */
	int log_fd;              /* what it logs, or -1 if that goes to a file */
	int log_copy_fd;         /* the log's file in the runtime directory, or -1 */
	struct runtime_vm entry; /* there; its name is "" if there is none */
	struct run_jail *jail;   /* owned, or NULL */
};

/*
 * The program `name`: what was asked for by --OPTION, or NULL: beside this program, then in PATH. -errno: *e.
 */
int run_find(char dst[PATH_MAX], const char *name, const char *option, const char *asked,
	struct err *e) MUST_USE;
/* The monitor's. */
int run_vmm_find(char dst[PATH_MAX], const char *asked, struct err *e) MUST_USE;

/* Starts the monitor. 0, or -errno with *e set and nothing left behind. */
int run_child_start(struct run_child *c, const struct run_options *o, bool no_stdin, struct err *e);
void run_child_fini(struct run_child *c);

/* How it went. */
struct run_result {
	enum vm_end end; /* VM_END_NONE: the monitor went without saying */
	int wait_status; /* of the monitor, as waitpid gives it */
	int signal;      /* the first that asked for the end, or 0 */
	bool started;    /* the vCPUs have run */
	bool forced;     /* the guest did not power off in time, or was not to */
	bool killed;     /* even the monitor had to be killed */
	char timeline[RUN_MESSAGE_SIZE_MAX + 1]; /* the message's arguments, or "" */
};

/* Signals that run_watch handles must be blocked since before the child started. */
void run_watch_block_signals(void);
/*
 * In the child: undoes that, but for the signals that ask for the end. Those stay blocked, for they
 * reach a whole process group or service at once, and the guest is to be asked first.
 */
void run_watch_unblock_for_child(void);

/* Watches until the child has been reaped. 0, or -errno if it cannot be watched. */
int run_watch(struct run_child *c, uint64_t stop_timeout_ns, struct run_result *r, struct err *e);

/* Says on standard error what ended the VM, unless it powered off. Returns the exit status. */
int run_report(const struct run_result *r);

/* Prints the timeline as a table on standard error. */
void run_timeline_print(const char *timeline);
