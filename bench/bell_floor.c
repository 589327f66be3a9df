/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor of a round trip: the least that any monitor must do for one. The guest
 * (tests/payload/bench_bell.c) rings a doorbell; KVM signals an eventfd; a thread that sleeps in a
 * read of it sends to the peer, takes the answer, tells the guest through memory and, if the guest
 * sleeps, through an irqfd. The guest then reads and acknowledges the interrupt, as virtio demands.
 * No queues, event loop, checks or locks.
 *
 *   bell_floor tap IFACE KERNEL MS    against `net_peer serve IFACE`
 *   bell_floor unix PATH KERNEL MS    against `vsock_peer serve PATH`
 */
#include "bench/floor_vm.h"

#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#define BELL_BASE      0xc0001000ull
#define BELL_NOTIFY    (BELL_BASE + 0x50)
#define BELL_STATUS    (BELL_BASE + 0x60)
#define BELL_TELL      (BELL_BASE + 0xff0)
#define BELL_GSI       4
#define BELL_VECTOR    0x45
#define BELL_CMDLINE   0x7000u
#define BELL_COM1_LSR  0x3fd
#define BELL_ETHERTYPE 0x88b5u

struct bell_start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist, cmdline, rsdp, memmap;
	uint32_t memmap_entries, reserved;
};

struct bell_shared {
	uint32_t answered, asleep;
};

static struct {
	struct floor vm;
	int kick_fd, irq_fd, peer_fd;
	size_t len; /* of a message */
	unsigned char message[128], answer[65562];
	struct bell_shared *shared; /* in guest memory */
	uint32_t status;            /* of the interrupt, atomic */
} bell;

static void bell_open_tap(const char *iface)
{
	struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int size = sizeof(struct virtio_net_hdr_v1);
	unsigned char *f = bell.message + size;

	(void)snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", iface);
	bell.peer_fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (bell.peer_fd < 0 || ioctl(bell.peer_fd, TUNSETIFF, &r) < 0 ||
		ioctl(bell.peer_fd, TUNSETVNETHDRSZ, &size) < 0)
		floor_die(iface);
	memset(f, 0xff, 6);
	f[6] = 2;
	f[12] = BELL_ETHERTYPE >> 8;
	f[13] = BELL_ETHERTYPE & 0xff;
	f[14] = 1; /* to be sent back */
	bell.len = (size_t)size + 60;
}

static void bell_open_unix(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%.90s_6000", path);
	bell.peer_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bell.peer_fd < 0 || connect(bell.peer_fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		floor_die(a.sun_path);
	bell.len = 64;
}

/* What a monitor does for a round trip. */
static void *bell_serve(void *arg)
{
	static const uint64_t one = 1;
	uint64_t count;

	(void)arg;
	while (read(bell.kick_fd, &count, sizeof(count)) == sizeof(count)) {
		uint32_t next;

		if (write(bell.peer_fd, bell.message, bell.len) < 0 ||
			read(bell.peer_fd, bell.answer, sizeof(bell.answer)) < 0)
			floor_die("peer");
		next = bell.shared->answered + 1;
		__atomic_store_n(&bell.shared->answered, next, __ATOMIC_SEQ_CST);
		if (__atomic_load_n(&bell.shared->asleep, __ATOMIC_SEQ_CST) != next)
			continue;
		__atomic_store_n(&bell.status, 1, __ATOMIC_SEQ_CST);
		if (write(bell.irq_fd, &one, sizeof(one)) < 0)
			floor_die("irqfd");
	}
	return NULL;
}

/* The link of a tap comes up late: until the first answer nothing is measured. */
static void bell_meet(void)
{
	int flags = fcntl(bell.peer_fd, F_GETFL);
	ssize_t n = -1;

	(void)fcntl(bell.peer_fd, F_SETFL, flags | O_NONBLOCK);
	for (int i = 0; i < 200 && n < 0; i++) {
		if (i % 20 == 0 && write(bell.peer_fd, bell.message, bell.len) < 0)
			floor_die("peer");
		(void)usleep(10000);
		n = read(bell.peer_fd, bell.answer, sizeof(bell.answer));
	}
	if (n < 0)
		floor_die("no answer");
	do { /* late answers to the first attempts */
		(void)usleep(100000);
	} while (read(bell.peer_fd, bell.answer, sizeof(bell.answer)) > 0);
	(void)fcntl(bell.peer_fd, F_SETFL, flags);
}

static void bell_wire(void)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} routing = {.head.nr = 1,
		.entry = {.gsi = BELL_GSI,
			.type = KVM_IRQ_ROUTING_MSI,
			.u.msi = {.address_lo = 0xfee00000, .data = BELL_VECTOR}}};
	struct kvm_irqfd line = {.gsi = BELL_GSI};
	struct kvm_ioeventfd door = {.addr = BELL_NOTIFY, .len = 4};

	bell.kick_fd = eventfd(0, EFD_CLOEXEC);
	bell.irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	line.fd = (unsigned)bell.irq_fd;
	door.fd = bell.kick_fd;
	floor_ioctl(bell.vm.vm_fd, KVM_SET_GSI_ROUTING, &routing, "KVM_SET_GSI_ROUTING");
	floor_ioctl(bell.vm.vm_fd, KVM_IRQFD, &line, "KVM_IRQFD");
	floor_ioctl(bell.vm.vm_fd, KVM_IOEVENTFD, &door, "KVM_IOEVENTFD");
}

static void bell_set_start_info(const char *ms)
{
	struct bell_start_info info = {
		.magic = FLOOR_PVH_MAGIC, .version = 1, .cmdline = BELL_CMDLINE};

	memcpy(bell.vm.memory + FLOOR_START_INFO, &info, sizeof(info));
	(void)snprintf((char *)bell.vm.memory + BELL_CMDLINE, 256,
		"payload.reset=triple payload.ms=%s", ms);
}

static void bell_mmio(struct kvm_run *run)
{
	uint32_t value = 0;

	if (!run->mmio.is_write) {
		if (run->mmio.phys_addr == BELL_STATUS)
			value = __atomic_load_n(&bell.status, __ATOMIC_SEQ_CST);
		memset(run->mmio.data, 0, sizeof(run->mmio.data));
		memcpy(run->mmio.data, &value, sizeof(value));
		return;
	}
	memcpy(&value, run->mmio.data, sizeof(value));
	if (run->mmio.phys_addr == BELL_STATUS + 4)
		__atomic_store_n(&bell.status, 0, __ATOMIC_SEQ_CST);
	if (run->mmio.phys_addr == BELL_TELL && value < FLOOR_MEMORY_SIZE)
		bell.shared = (struct bell_shared *)(void *)(bell.vm.memory + value);
}

static int bell_run(struct kvm_run *run)
{
	for (;;) {
		unsigned char *data;

		floor_ioctl(bell.vm.vcpu_fd, KVM_RUN, NULL, "KVM_RUN");
		data = (unsigned char *)run + run->io.data_offset;
		if (run->exit_reason == KVM_EXIT_SHUTDOWN)
			return 0;
		if (run->exit_reason == KVM_EXIT_MMIO) {
			bell_mmio(run);
		} else if (run->exit_reason != KVM_EXIT_IO) {
			(void)fprintf(stderr, "KVM exit %u\n", run->exit_reason);
			return 1;
		} else if (run->io.direction == KVM_EXIT_IO_IN) {
			*data = run->io.port == BELL_COM1_LSR ? 0x60 : 0xff;
		} else if (run->io.port == 0x3f8 && write(STDOUT_FILENO, data, 1) != 1) {
			return 1;
		}
	}
}

int main(int argc, char **argv)
{
	pthread_t thread;

	if (argc != 5 || (strcmp(argv[1], "tap") != 0 && strcmp(argv[1], "unix") != 0)) {
		(void)fprintf(stderr, "usage: bell_floor tap IFACE|unix PATH KERNEL MS\n");
		return 2;
	}
	if (strcmp(argv[1], "tap") == 0) {
		bell_open_tap(argv[2]);
		bell_meet();
	} else {
		bell_open_unix(argv[2]);
	}
	floor_create(&bell.vm);
	floor_set_cpuid(&bell.vm);
	floor_set_registers(&bell.vm, floor_load(&bell.vm, argv[3]));
	bell_set_start_info(argv[4]);
	bell_wire();
	if (pthread_create(&thread, NULL, bell_serve, NULL) != 0)
		floor_die("thread");
	_exit(bell_run(bell.vm.run));
}
