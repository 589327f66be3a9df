/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the snapshot tests need that no shell has.
 *
 *   tool merge DIFF BASE         copies the data of a sparse file over another, leaving its holes out
 *   tool uffd SOCKET MEMORY [WHAT]  a userfaultfd handler: waits for one monitor, prints the message,
 *                                then serves faults out of MEMORY until the monitor ends; WHAT:
 *                                "die" ends after ten faults, "lie" gives every page as 0xff bytes
 *   tool mutate STATE SEED OUT   a state file with a few bytes changed behind its first section, which has
 *                                sizes, and its checksum put right
 *   tool seal STATE              puts the checksum of a state file right
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define REGIONS_MAX 8
#define PAGE_MAX    (2u << 20)

struct region {
	unsigned long long start, size, offset, page;
};

__attribute__((noreturn)) static void die(const char *what)
{
	fprintf(stderr, "tool: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int merge(const char *diff, const char *base)
{
	static char buf[1 << 20];
	int from = open(diff, O_RDONLY), to = open(base, O_WRONLY);
	off_t at = 0, end;

	if (from < 0 || to < 0)
		die("open");
	while ((at = lseek(from, at, SEEK_DATA)) >= 0) {
		end = lseek(from, at, SEEK_HOLE);
		while (at < end) {
			size_t want =
				(size_t)(end - at) < sizeof(buf) ? (size_t)(end - at) : sizeof(buf);
			ssize_t n = pread(from, buf, want, at);

			if (n <= 0 || pwrite(to, buf, (size_t)n, at) != n)
				die("copy");
			at += n;
		}
	}
	return 0;
}

static int take_monitor(const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), one;

	if (fd < 0 || strlen(path) >= sizeof(at.sun_path))
		die("socket");
	memcpy(at.sun_path, path, strlen(path));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 1) < 0)
		die(path);
	one = accept(fd, NULL, NULL);
	if (one < 0)
		die("accept");
	return one;
}

static int take_message(int socket, char *text, size_t room)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = text, .iov_len = room - 1};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes)};
	ssize_t n = recvmsg(socket, &msg, 0);
	int fd;

	if (n <= 0 || msg.msg_controllen == 0 || control.head.cmsg_type != SCM_RIGHTS)
		die("no descriptor");
	text[n] = '\0';
	memcpy(&fd, CMSG_DATA(&control.head), sizeof(fd));
	return fd;
}

/* The number behind "key": in the object at text. */
static unsigned long long number(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	if (!at)
		die(key);
	return strtoull(at + strlen(key), NULL, 10);
}

static unsigned parse(const char *text, struct region *r)
{
	unsigned count = 0;

	for (; count < REGIONS_MAX && (text = strchr(text, '{')); count++, text++)
		r[count] = (struct region){
			.start = number(text, "\"base_host_virt_addr\":"),
			.size = number(text, "\"size\":"),
			.offset = number(text, "\"offset\":"),
			.page = number(text, "\"page_size\":"),
		};
	return count;
}

static void serve(int uffd, const struct region *r, unsigned count, const char *memory,
	unsigned long long fault)
{
	for (unsigned i = 0; i < count; i++) {
		unsigned long long page = fault & ~(r[i].page - 1);
		struct uffdio_copy copy = {.dst = page, .len = r[i].page};

		if (page < r[i].start || page - r[i].start >= r[i].size)
			continue;
		copy.src = (uintptr_t)memory + (memory[0] == (char)0xff && memory[1] == (char)0xff
							       ? 0
							       : r[i].offset + page - r[i].start);
		if (ioctl(uffd, UFFDIO_COPY, &copy) < 0 && errno != EEXIST)
			die("UFFDIO_COPY");
	}
}

static int handle(const char *path, const char *file, const char *what)
{
	static char lies[PAGE_MAX], text[4096];
	int socket = take_monitor(path), uffd = take_message(socket, text, sizeof(text));
	int fd = open(file, O_RDONLY);
	struct region r[REGIONS_MAX];
	unsigned count = parse(text, r), faults = 0;
	struct stat st;
	char *memory;

	printf("%s\n", text);
	(void)fflush(stdout);
	if (fd < 0 || fstat(fd, &st) < 0)
		die(file);
	memory = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (memory == MAP_FAILED || count == 0)
		die("message");
	memset(lies, 0xff, sizeof(lies));
	if (strcmp(what, "lie") == 0)
		memory = lies;
	for (;;) {
		struct pollfd p[2] = {
			{.fd = uffd, .events = POLLIN}, {.fd = socket, .events = POLLIN}};
		struct uffd_msg m;

		if (poll(p, 2, -1) < 0)
			die("poll");
		if (p[1].revents & (POLLHUP | POLLIN))
			return 0; /* the monitor has ended */
		if (read(uffd, &m, sizeof(m)) != (ssize_t)sizeof(m) ||
			m.event != UFFD_EVENT_PAGEFAULT)
			continue;
		if (strcmp(what, "die") == 0 && ++faults > 10)
			return 0;
		serve(uffd, r, count, memory, m.arg.pagefault.address);
	}
}

static uint64_t crc64(const unsigned char *p, size_t len)
{
	uint64_t crc = ~0ull;

	for (size_t i = 0; i < len; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0xc96c5795d7870f42ull : crc >> 1;
	}
	return ~crc;
}

static int mutate(const char *from, const char *seed, const char *to)
{
	static unsigned char buf[1 << 20];
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ssize_t len = in < 0 ? -1 : read(in, buf, sizeof(buf));
	uint64_t crc;

	if (len < 4096 || out < 0)
		die(from);
	srandom((unsigned)strtoul(seed, NULL, 10));
	for (int n = 0; n <= random() % 4; n++)
		buf[1024 + random() % (len - 1024 - 8)] = (unsigned char)random();
	crc = crc64(buf, (size_t)len - sizeof(crc));
	memcpy(buf + len - sizeof(crc), &crc, sizeof(crc));
	return write(out, buf, (size_t)len) == len ? 0 : 1;
}

static int seal(const char *path)
{
	static unsigned char buf[1 << 20];
	int fd = open(path, O_RDWR);
	ssize_t len = fd < 0 ? -1 : read(fd, buf, sizeof(buf));
	uint64_t crc;

	if (len < 4096)
		die(path);
	crc = crc64(buf, (size_t)len - sizeof(crc));
	return pwrite(fd, &crc, sizeof(crc), len - (ssize_t)sizeof(crc)) == sizeof(crc) ? 0 : 1;
}

/* ---- peers of a fork that are up to no good ---- */

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	return at;
}

/* Connects, says something or nothing, and stays for a while without reading. */
static int disturb(const char *path, bool shout)
{
	struct sockaddr_un at = address_of(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char noise[4096];

	memset(noise, 'x', sizeof(noise));
	if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return 1;
	for (int i = 0; shout && i < 16; i++)
		(void)!send(fd, noise, sizeof(noise), MSG_NOSIGNAL | MSG_DONTWAIT);
	sleep(2);
	return 0;
}

/* A message that begins as one of a fork does, or not; with descriptors of no use. */
static int offer(const char *path, const char *what)
{
	struct sockaddr_un at = address_of(path);
	int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd, fds[2];
	uint64_t message[10] = {UINT64_C(0x6b726f6679616d31), 64 << 20, 100};
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(fds))];
	} control = {0};
	struct iovec iov = {.iov_base = message, .iov_len = sizeof(message)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (bind(listening, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(listening, 1) < 0)
		return 1;
	fd = accept(listening, NULL, NULL);
	if (fd < 0 || strcmp(what, "nothing") == 0)
		return 0;
	if (strcmp(what, "junk") == 0)
		memset(message, 0xee, sizeof(message));
	if (strcmp(what, "magic") == 0)
		iov.iov_len = 8;
	if (strcmp(what, "badfds") == 0) {
		fds[0] = fds[1] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(fds));
		memcpy(CMSG_DATA(&control.head), fds, sizeof(fds));
	}
	return sendmsg(fd, &msg, MSG_NOSIGNAL) < 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && (strcmp(argv[1], "hang") == 0 || strcmp(argv[1], "shout") == 0))
		return disturb(argv[2], strcmp(argv[1], "shout") == 0);
	if (argc == 4 && strcmp(argv[1], "offer") == 0)
		return offer(argv[2], argv[3]);
	if (argc == 4 && strcmp(argv[1], "merge") == 0)
		return merge(argv[2], argv[3]);
	if (argc == 3 && strcmp(argv[1], "seal") == 0)
		return seal(argv[2]);
	if (argc == 5 && strcmp(argv[1], "mutate") == 0)
		return mutate(argv[2], argv[3], argv[4]);
	if (argc >= 4 && strcmp(argv[1], "uffd") == 0)
		return handle(argv[2], argv[3], argc > 4 ? argv[4] : "");
	fprintf(stderr, "usage: tool merge|uffd|mutate|seal|hang|shout|offer ...\n");
	return 2;
}
