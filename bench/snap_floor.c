/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floors of the snapshot part: the least that any monitor must do, with raw KVM. The guest is
 * tests/payload/bench_snap.c. No devices, configuration, checks or confinement.
 *
 *   snap_floor make KERNEL CMDLINE MIB STATE MEMORY   boots, and saves the guest when it is ready
 *   snap_floor restore STATE MEMORY [SOCKET]          VM, memory mapped privately, vCPU, state, run; with
 *                                                     SOCKET it answers GET requests there and runs at another
 *   snap_floor fork KERNEL CMDLINE MIB                takes page tables away, stops the guest, puts a private
 *                                                     mapping in place, goes on: prints the pause in us
 *   snap_floor save KERNEL CMDLINE MIB FILE           stops the guest, writes its memory into FILE and
 *                                                     brings it to the disk: prints us
 *
 * What the guest says goes to standard output in `restore`; elsewhere only its first line counts.
 */
#include "bench/floor_vm.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#define FLOOR_COM1      0x3f8
#define FLOOR_COM1_LSR  0x3fd
#define FLOOR_CMDLINE   0x7000u
#define FLOOR_GEN_ID    0xff000u
#define FLOOR_AREA      (16ull << 20) /* where the guest's pages start */
#define FLOOR_PASSES    6
#define FLOOR_STEP      (1ull << 20)
#define STATE_MSRS_MAX  64
#define STATE_CPUID_MAX 128

struct start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist, cmdline, rsdp, memmap;
	uint32_t memmap_entries, reserved;
};

struct memmap_entry {
	uint64_t addr, size;
	uint32_t type, reserved;
};

/* The file of `make`: as it is in memory. */
static struct {
	uint64_t memory_size;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_xcrs xcrs;
	struct kvm_xsave xsave;
	struct kvm_debugregs debugregs;
	struct kvm_lapic_state lapic;
	struct kvm_vcpu_events events;
	struct kvm_mp_state mp_state;
	struct kvm_clock_data clock;
	struct kvm_cpuid2 cpuid;
	struct kvm_cpuid_entry2 cpuid_entries[STATE_CPUID_MAX];
	struct kvm_msrs msrs;
	struct kvm_msr_entry msr_entries[STATE_MSRS_MAX];
} state;

static struct floor vm;
static volatile sig_atomic_t stop_now;
static int is_ready, is_stopped; /* atomic */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void on_kick(int number)
{
	(void)number;
	stop_now = 1;
	vm.run->immediate_exit = 1;
}

/* Until the guest's first line, or with to_fd >= 0 for ever; or until somebody kicks: then 1. */
static int run(int to_fd)
{
	for (;;) {
		unsigned char *data;

		if (ioctl(vm.vcpu_fd, KVM_RUN, NULL) < 0) {
			if (errno != EINTR)
				floor_die("KVM_RUN");
			return 1;
		}
		if (vm.run->exit_reason != KVM_EXIT_IO) {
			(void)fprintf(stderr, "KVM exit %u\n", vm.run->exit_reason);
			exit(1);
		}
		data = (unsigned char *)vm.run + vm.run->io.data_offset;
		if (vm.run->io.direction == KVM_EXIT_IO_IN) {
			*data = vm.run->io.port == FLOOR_COM1_LSR ? 0x60 : 0xff;
		} else if (vm.run->io.port == FLOOR_COM1) {
			if (to_fd >= 0 && write(to_fd, data, 1) != 1)
				exit(1);
			if (to_fd < 0 && *data == '\n')
				return 0;
		}
	}
}

static void add_range(struct memmap_entry *m, unsigned n, uint64_t from, uint64_t to)
{
	m[n] = (struct memmap_entry){.addr = from, .size = to - from, .type = 1};
}

static void boot(const char *kernel, const char *cmdline)
{
	struct start_info info = {.magic = FLOOR_PVH_MAGIC,
		.version = 1,
		.cmdline = FLOOR_CMDLINE,
		.memmap = FLOOR_START_INFO + sizeof(info),
		.memmap_entries = vm.memory_size > FLOOR_HOLE_START ? 2 : 1};
	struct memmap_entry map[2];
	uint64_t low = vm.memory_size < FLOOR_HOLE_START ? vm.memory_size : FLOOR_HOLE_START;

	floor_set_cpuid(&vm);
	floor_set_registers(&vm, floor_load(&vm, kernel));
	add_range(map, 0, 1ull << 20, low);
	add_range(map, 1, FLOOR_HOLE_END, FLOOR_HOLE_END + vm.memory_size - low);
	memcpy(vm.memory + FLOOR_START_INFO, &info, sizeof(info));
	memcpy(vm.memory + info.memmap, map, sizeof(map));
	(void)snprintf((char *)vm.memory + FLOOR_CMDLINE, 1024, "%s", cmdline);
}

static void set_kick(void)
{
	struct sigaction kick = {.sa_handler = on_kick};

	(void)sigaction(SIGALRM, &kick, NULL);
}

/* ---- make ---- */

/* A processor without XSAVE has no XCRs. */
#define STATE_MOVE(verb, has_xcrs)                                                                 \
	do {                                                                                       \
		floor_ioctl(vm.vcpu_fd, KVM_##verb##_SREGS, &state.sregs, "SREGS");                \
		floor_ioctl(vm.vcpu_fd, KVM_##verb##_REGS, &state.regs, "REGS");                   \
		if (has_xcrs)                                                                      \
			floor_ioctl(vm.vcpu_fd, KVM_##verb##_XCRS, &state.xcrs, "XCRS");           \
		floor_ioctl(vm.vcpu_fd, KVM_##verb##_XSAVE, &state.xsave, "XSAVE");                \
		floor_ioctl(vm.vcpu_fd, KVM_##verb##_DEBUGREGS, &state.debugregs, "DEBUGREGS");    \
		floor_ioctl(vm.vcpu_fd, KVM_##verb##_LAPIC, &state.lapic, "LAPIC");                \
		floor_ioctl(vm.vcpu_fd, KVM_##verb##_MSRS, &state.msrs, "MSRS");                   \
		floor_ioctl(vm.vcpu_fd, KVM_##verb##_VCPU_EVENTS, &state.events, "VCPU_EVENTS");   \
		floor_ioctl(vm.vcpu_fd, KVM_##verb##_MP_STATE, &state.mp_state, "MP_STATE");       \
		floor_ioctl(vm.vm_fd, KVM_##verb##_CLOCK, &state.clock, "CLOCK");                  \
	} while (0)

/* All that KVM names and gives. */
static void choose_msrs(void)
{
	static struct {
		struct kvm_msr_list head;
		uint32_t indices[1024];
	} list;
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} one;

	list.head.nmsrs = 1024;
	floor_ioctl(vm.kvm_fd, KVM_GET_MSR_INDEX_LIST, &list, "KVM_GET_MSR_INDEX_LIST");
	for (uint32_t i = 0; i < list.head.nmsrs && state.msrs.nmsrs < STATE_MSRS_MAX; i++) {
		memset(&one, 0, sizeof(one));
		one.head.nmsrs = 1;
		one.entry.index = list.indices[i];
		if (ioctl(vm.vcpu_fd, KVM_GET_MSRS, &one) == 1)
			state.msr_entries[state.msrs.nmsrs++].index = list.indices[i];
	}
}

static void write_all(int fd, const unsigned char *from, uint64_t len, uint64_t at)
{
	for (uint64_t done = 0; done < len;) {
		uint64_t n = len - done < FLOOR_STEP ? len - done : FLOOR_STEP;

		if (pwrite(fd, from + done, n, (off_t)(at + done)) != (ssize_t)n)
			floor_die("writing");
		done += n;
	}
}

static void save_state(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	choose_msrs();
	state.cpuid.nent = STATE_CPUID_MAX;
	floor_ioctl(vm.vcpu_fd, KVM_GET_CPUID2, &state.cpuid, "KVM_GET_CPUID2");
	STATE_MOVE(GET, ioctl(vm.kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_XCRS) > 0);
	state.clock.flags = 0;
	state.memory_size = vm.memory_size;
	if (fd < 0 || write(fd, &state, sizeof(state)) != sizeof(state))
		floor_die(path);
}

static int make(const char *kernel, const char *cmdline, uint64_t size, const char *state_path,
	const char *memory_path)
{
	int fd = open(memory_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		floor_die(memory_path);
	floor_create_with(&vm, size, fd, MAP_SHARED);
	boot(kernel, cmdline);
	set_kick();
	(void)run(-1);
	(void)ualarm(20000, 0); /* by now it waits */
	(void)run(-1);
	save_state(state_path);
	return 0;
}

/* ---- restore ---- */

/* A request that is no GET is the one to go on; its connection stays open. */
static int wait_for_request(const char *path)
{
	static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), peer;
	char text[1024];

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 8) < 0)
		floor_die(path);
	for (;;) {
		peer = accept(fd, NULL, NULL);
		if (peer < 0)
			floor_die("accept");
		if (read(peer, text, sizeof(text)) <= 0 || memcmp(text, "GET", 3) != 0)
			return peer;
		if (write(peer, ok, sizeof(ok) - 1) < 0)
			floor_die("answer");
		(void)close(peer);
	}
}

static int restore(const char *state_path, const char *memory_path, const char *socket_path)
{
	static const char done[] = "HTTP/1.1 204 \r\n\r\n";
	int state_fd = open(state_path, O_RDONLY | O_CLOEXEC);
	int memory_fd = open(memory_path, O_RDONLY | O_CLOEXEC), peer = -1;

	if (state_fd < 0 || memory_fd < 0 || read(state_fd, &state, sizeof(state)) != sizeof(state))
		floor_die("state");
	floor_create_with(&vm, state.memory_size, memory_fd, MAP_PRIVATE);
	floor_ioctl(vm.vcpu_fd, KVM_SET_CPUID2, &state.cpuid, "KVM_SET_CPUID2");
	STATE_MOVE(SET, state.xcrs.nr_xcrs > 0);
	vm.memory[FLOOR_GEN_ID] ^= 1; /* another machine */
	if (socket_path) {
		peer = wait_for_request(socket_path);
		vm.run->immediate_exit = 0;
	}
	if (peer >= 0) {
		floor_ioctl(vm.vcpu_fd, KVM_RUN, NULL, "KVM_RUN");
		if (write(STDOUT_FILENO, (unsigned char *)vm.run + vm.run->io.data_offset, 1) !=
				1 ||
			write(peer, done, sizeof(done) - 1) < 0)
			return 1;
	}
	return run(STDOUT_FILENO);
}

/* ---- fork, save ---- */

static void *vcpu_thread(void *arg)
{
	(void)arg;
	(void)run(-1);
	__atomic_store_n(&is_ready, 1, __ATOMIC_RELEASE);
	for (;;) {
		while (run(-1) == 0)
			;
		__atomic_store_n(&is_stopped, 1, __ATOMIC_RELEASE);
		(void)pthread_mutex_lock(&gate); /* held as long as it is to stand still */
		(void)pthread_mutex_unlock(&gate);
	}
	return NULL;
}

static void wait_for(const int *flag)
{
	while (!__atomic_load_n(flag, __ATOMIC_ACQUIRE))
		(void)usleep(50);
}

static pthread_t start_guest(const char *kernel, const char *cmdline, uint64_t size, int fd)
{
	pthread_t thread;

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		floor_die("memfd");
	floor_create_with(&vm, size, fd, MAP_SHARED);
	boot(kernel, cmdline);
	set_kick();
	if (pthread_create(&thread, NULL, vcpu_thread, NULL) != 0)
		floor_die("thread");
	wait_for(&is_ready);
	(void)usleep(200000); /* let it do what it does */
	return thread;
}

static void stop_guest(pthread_t thread)
{
	(void)pthread_mutex_lock(&gate);
	(void)pthread_kill(thread, SIGALRM);
	while (!__atomic_load_n(&is_stopped, __ATOMIC_ACQUIRE))
		;
}

static void take_tables_away(void)
{
	uint64_t before = UINT64_MAX;

	for (int i = 0; i < FLOOR_PASSES && before > 200000; i++) {
		uint64_t start = now_ns();

		(void)madvise(vm.memory, vm.memory_size, MADV_DONTNEED); /* the memfd keeps it */
		before = now_ns() - start;
	}
}

static int fork_once(const char *kernel, const char *cmdline, uint64_t size)
{
	int fd = memfd_create("floor", MFD_CLOEXEC);
	pthread_t thread = start_guest(kernel, cmdline, size, fd);
	uint64_t start;

	take_tables_away();
	start = now_ns();
	stop_guest(thread);
	if (mmap(vm.memory, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE,
		    fd, 0) == MAP_FAILED)
		floor_die("mmap");
	vm.run->immediate_exit = 0;
	(void)pthread_mutex_unlock(&gate);
	(void)printf("%llu\n", (unsigned long long)(now_ns() - start) / 1000);
	return 0;
}

static int save_once(const char *kernel, const char *cmdline, uint64_t size, const char *path)
{
	pthread_t thread = start_guest(kernel, cmdline, size, memfd_create("floor", MFD_CLOEXEC));
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	uint64_t start = now_ns();

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		floor_die(path);
	stop_guest(thread);
	write_all(fd, vm.memory + FLOOR_AREA, size - FLOOR_AREA, FLOOR_AREA);
	if (fsync(fd) < 0)
		floor_die("fsync");
	(void)printf("%llu\n", (unsigned long long)(now_ns() - start) / 1000);
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	uint64_t size = argc > 4 ? strtoull(argv[4], NULL, 10) << 20 : 0;
	int rc = 2;

	if (strcmp(what, "restore") == 0 && (argc == 4 || argc == 5))
		rc = restore(argv[2], argv[3], argc == 5 ? argv[4] : NULL);
	else if (strcmp(what, "make") == 0 && argc == 7)
		rc = make(argv[2], argv[3], size, argv[5], argv[6]);
	else if (strcmp(what, "fork") == 0 && argc == 5)
		rc = fork_once(argv[2], argv[3], size);
	else if (strcmp(what, "save") == 0 && argc == 6)
		rc = save_once(argv[2], argv[3], size, argv[5]);
	else
		(void)fprintf(
			stderr, "usage: snap_floor make|restore|fork|save ... (see its source)\n");
	(void)fflush(stdout);
	_exit(rc);
}
