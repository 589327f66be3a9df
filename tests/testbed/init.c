/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PID 1 of the testbed's outer machine (L1): loads the modules that came with it, makes the host's
 * file system its own root, read-only over 9p, puts the usual virtual file systems and writable
 * places over it, runs one command there and ends the machine. A program rather than a script,
 * because every fork costs milliseconds under software emulation and output must stay exact.
 */
#include "init.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NELEM(a)       (sizeof(a) / sizeof((a)[0]))
#define P9_OPTS        "trans=virtio,version=9p2000.L,msize=512000"
#define DEBUG_EXIT     0xf4 /* QEMU's isa-debug-exit: ends the machine at once */
#define FILE_BYTES_MAX (1 << 20)

static int report_fd = -1; /* the port "report", once it is open */

_Noreturn static void machine_end(void)
{
	sync();
	if (ioperm(DEBUG_EXIT, 1, 1) == 0)
		outb(0, DEBUG_EXIT);
	(void)reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

_Noreturn void die(const char *fmt, ...)
{
	char msg[400];
	va_list ap;
	int err = errno;

	va_start(ap, fmt);
	(void)vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	printf("testbed init: %s: %s\n", msg, strerror(err));
	(void)fflush(stdout);
	if (report_fd >= 0)
		dprintf(report_fd, "fail %s: %s\n", msg, strerror(err));
	machine_end();
}

static void must_mount(
	const char *src, const char *at, const char *type, unsigned long flags, const char *opts)
{
	if (mount(src, at, type, flags, opts) < 0)
		die("mount %s on %s", type ? type : src, at);
}

/* Whole file, zero-terminated, on the heap. */
static char *file_read(const char *path, size_t *ret_len)
{
	char *buf = malloc(FILE_BYTES_MAX + 1);
	size_t len = 0;
	ssize_t got = 1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (!buf || fd < 0)
		die("open %s", path);
	while (len < FILE_BYTES_MAX && (got = read(fd, buf + len, FILE_BYTES_MAX - len)) > 0)
		len += (size_t)got;
	if (got != 0)
		die("read %s (at most %d bytes)", path, FILE_BYTES_MAX);
	(void)close(fd);
	buf[len] = '\0';
	if (ret_len)
		*ret_len = len;
	return buf;
}

static void modules_load(void)
{
	char *list = file_read("/modules.order", NULL);
	char *save = NULL;

	for (char *path = strtok_r(list, "\n", &save); path; path = strtok_r(NULL, "\n", &save)) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			die("open %s", path);
		/* A driver for hardware that is absent says ENODEV; whoever needs it finds out. */
		if (syscall(SYS_finit_module, fd, "", 0) < 0)
			printf("testbed init: %s: %s\n", path, strerror(errno));
		(void)close(fd);
	}
}

/* The value of NAME= on the kernel command line, or dies. */
static char *cmdline_value(const char *name)
{
	char *line = file_read("/proc/cmdline", NULL);
	char *save = NULL;

	for (char *w = strtok_r(line, " \n", &save); w; w = strtok_r(NULL, " \n", &save))
		if (strncmp(w, name, strlen(name)) == 0)
			return w + strlen(name);
	errno = ENOENT;
	die("kernel command line lacks %s", name);
}

/* Items are key=value, each ended by a zero byte. */
static void spec_read(const char *path, struct spec *ret)
{
	size_t len;
	char *buf = file_read(path, &len);

	for (char *s = buf; s < buf + len; s += strlen(s) + 1) {
		char *v = strchr(s, '=');

		if (!v)
			die("bad item '%s' in %s", s, path);
		*v++ = '\0';
		if (strcmp(s, "cwd") == 0)
			ret->cwd = v;
		else if (strcmp(s, "rw") == 0)
			ret->rw = v;
		else if (strcmp(s, "modules") == 0)
			ret->modules = v;
		else if (strcmp(s, "date") == 0)
			ret->date_s = strtoll(v, NULL, 10);
		else if (strcmp(s, "stdin") == 0)
			ret->has_stdin = 1;
		else if (strcmp(s, "arg") == 0 && ret->arg_count < SPEC_ARGS_MAX)
			ret->argv[ret->arg_count++] = v;
		else if (strcmp(s, "env") == 0 && ret->env_count < SPEC_ARGS_MAX)
			ret->env[ret->env_count++] = v;
		else
			die("bad item '%s' in %s", s, path);
		/* The next item starts after the value, not after the key that was cut off. */
		s = v;
	}
}

static void mkdirs(const char *path)
{
	char part[4096];

	if ((size_t)snprintf(part, sizeof(part), "%s/", path) >= sizeof(part))
		die("path too long: %s", path);
	for (char *p = strchr(part + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		(void)mkdir(part, 0755);
		*p = '/';
	}
}

/* The host's files there stay visible; what is written on top lives in memory. */
static void writable_over(const char *at)
{
	char opts[256];

	(void)snprintf(opts, sizeof(opts),
		"lowerdir=%s,upperdir=/run/testbed%s/up,workdir=/run/testbed%s/work", at, at, at);
	for (int i = 0; i < 2; i++) {
		char dir[128];

		(void)snprintf(dir, sizeof(dir), "/run/testbed%s/%s", at, i ? "work" : "up");
		mkdirs(dir);
		(void)chmod(dir, 01777);
	}
	must_mount("overlay", at, "overlay", 0, opts);
}

static void root_enter(void)
{
	must_mount("host", "/host", "9p", MS_RDONLY, P9_OPTS ",cache=loose");
	must_mount("/proc", "/host/proc", NULL, MS_MOVE, NULL);
	must_mount("/sys", "/host/sys", NULL, MS_MOVE, NULL);
	must_mount("/dev", "/host/dev", NULL, MS_MOVE, NULL);
	/* Moving it over / (not only chroot) lets programs inside use pivot_root. */
	if (chdir("/host") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
		chdir("/") < 0)
		die("enter the host's root");
}

static void dev_setup(void)
{
	/* These load their module when first opened. */
	static const struct {
		const char *path;
		unsigned int minor;
	} nodes[] = {
		{"/dev/net/tun", 200},
		{"/dev/vhost-net", 238},
		{"/dev/vhost-vsock", 241},
		{"/dev/loop-control", 237},
		{"/dev/mapper/control", 236},
	};

	(void)mkdir("/dev/net", 0755);
	(void)mkdir("/dev/mapper", 0755);
	for (size_t i = 0; i < NELEM(nodes); i++)
		(void)mknod(nodes[i].path, S_IFCHR | 0600, makedev(10, nodes[i].minor));
	(void)symlink("/proc/self/fd", "/dev/fd");
	(void)symlink("fd/0", "/dev/stdin");
	(void)symlink("fd/1", "/dev/stdout");
	(void)symlink("fd/2", "/dev/stderr");
	(void)mkdir("/dev/pts", 0755);
	(void)mkdir("/dev/shm", 01777);
	must_mount("devpts", "/dev/pts", "devpts", 0, "ptmxmode=0666,mode=620");
	must_mount("shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
	(void)chmod("/dev/ptmx", 0666);
}

static void file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die("write %s", path);
	(void)close(fd);
}

/* modprobe, and the kernel itself, look in /lib/modules, which a host without a kernel lacks. */
static void modules_bind(const struct spec *spec)
{
	char path[4096], opts[4200];

	(void)snprintf(path, sizeof(path), "%s/lib/modules", spec->modules);
	if (mount(path, "/lib/modules", NULL, MS_BIND, NULL) == 0)
		return;
	(void)snprintf(opts, sizeof(opts), "lowerdir=%s/lib:/usr/lib", spec->modules);
	must_mount("overlay", "/usr/lib", "overlay", MS_RDONLY, opts);
}

static void rw_mount(const char *dir)
{
	mkdirs(dir);
	must_mount("rw", dir, "9p", 0, P9_OPTS ",cache=mmap");
}

static void files_setup(const struct spec *spec)
{
	must_mount("run", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755");
	writable_over("/tmp");
	must_mount("vartmp", "/var/tmp", "tmpfs", MS_NOSUID, "mode=1777");
	modules_bind(spec);
	if (spec->rw)
		rw_mount(spec->rw);
	must_mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL);
	/* As on a host with systemd: controllers are on for the groups below the root. */
	file_write("/sys/fs/cgroup/cgroup.subtree_control", "+cpu +cpuset +io +memory +pids");
}

static void system_setup(const struct spec *spec)
{
	struct timespec now = {.tv_sec = spec->date_s};
	struct rlimit files = {.rlim_cur = 1024, .rlim_max = 524288};
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
		die("bring up the interface lo");
	(void)close(fd);
	if (sethostname("testbed", 7) < 0 || setrlimit(RLIMIT_NOFILE, &files) < 0)
		die("set host name and limits");
	/* The machine has no clock of its own that knows the date. */
	if (clock_settime(CLOCK_REALTIME, &now) < 0)
		die("set the clock");
}

int port_open(const char *name, int flags)
{
	for (int tries = 0; tries < 2000; tries++) {
		DIR *dir = opendir("/sys/class/virtio-ports");
		struct dirent *ent;

		while (dir && (ent = readdir(dir))) {
			char path[300], have[64] = "";
			int fd;

			(void)snprintf(
				path, sizeof(path), "/sys/class/virtio-ports/%s/name", ent->d_name);
			fd = open(path, O_RDONLY | O_CLOEXEC);
			if (fd < 0 || read(fd, have, sizeof(have) - 1) < 0)
				have[0] = '\0';
			if (fd >= 0)
				(void)close(fd);
			have[strcspn(have, "\n")] = '\0';
			if (strcmp(have, name) != 0)
				continue;
			(void)closedir(dir);
			(void)snprintf(path, sizeof(path), "/dev/%s", ent->d_name);
			fd = open(path, flags | O_CLOEXEC);
			if (fd < 0)
				die("open port %s", name);
			return fd;
		}
		if (dir)
			(void)closedir(dir);
		/* Ports are announced a little after the driver has started. */
		(void)usleep(1000);
	}
	errno = ENODEV;
	die("port %s did not show up", name);
}

int main(void)
{
	static struct spec spec;
	char path[4096];
	int status;

	(void)mkdir("/proc", 0755);
	(void)mkdir("/sys", 0755);
	(void)mkdir("/dev", 0755);
	(void)mkdir("/host", 0755);
	must_mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	must_mount("sys", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	must_mount("dev", "/dev", "devtmpfs", MS_NOSUID, "mode=755");
	modules_load();
	report_fd = port_open("report", O_WRONLY);
	root_enter();
	(void)snprintf(path, sizeof(path), "%s/spec", cmdline_value("testbed.dir="));
	spec_read(path, &spec);
	dev_setup();
	files_setup(&spec);
	system_setup(&spec);
	dprintf(report_fd, "start\n");
	status = relay_command(&spec);
	if (spec.rw)
		(void)umount2(spec.rw, MNT_DETACH);
	dprintf(report_fd, "exit %d\n", status);
	machine_end();
}
