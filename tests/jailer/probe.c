/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for the monitor in a jail: writes what it sees into the file /seen, makes it the file
 * /told, and waits for SIGTERM. Arguments behind --: `exit N`, `deep N` (folders inside folders),
 * `pids N` (how many children can be made), `memory N` (MiB to touch).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

static void tell_caps(FILE *f)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2] = {{0}};
	unsigned long long bound = 0, ambient = 0;

	if (syscall(SYS_capget, &h, d) < 0)
		(void)fprintf(f, "capget failed\n");
	for (int cap = 0; cap < 64; cap++) {
		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) > 0)
			bound |= 1ULL << cap;
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) > 0)
			ambient |= 1ULL << cap;
	}
	(void)fprintf(f, "caps %x%x %x%x %x%x %llx %llx\n", d[1].effective, d[0].effective,
		d[1].permitted, d[0].permitted, d[1].inheritable, d[0].inheritable, bound, ambient);
	(void)fprintf(f, "no_new_privs %d\nsecurebits %x\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
		(unsigned)prctl(PR_GET_SECUREBITS, 0, 0, 0, 0));
}

static void tell_ids(FILE *f)
{
	uid_t u[3];
	gid_t g[3];

	if (getresuid(&u[0], &u[1], &u[2]) == 0 && getresgid(&g[0], &g[1], &g[2]) == 0)
		(void)fprintf(
			f, "uid %u %u %u\ngid %u %u %u\n", u[0], u[1], u[2], g[0], g[1], g[2]);
	(void)fprintf(f, "groups %d\npid %d\nsession %s\n", getgroups(0, NULL), getpid(),
		getsid(0) == getpid() ? "own" : "other");
}

static void tell_limits(FILE *f)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0)
		(void)fprintf(f, "no-file %llu %llu\n", (unsigned long long)l.rlim_cur,
			(unsigned long long)l.rlim_max);
	if (getrlimit(RLIMIT_FSIZE, &l) == 0)
		(void)fprintf(f, "fsize %lld %lld\n", (long long)l.rlim_cur, (long long)l.rlim_max);
}

static void tell_fds(FILE *f)
{
	(void)fprintf(f, "fds");
	for (int fd = 0; fd < 1024; fd++)
		if (fd != fileno(f) && fcntl(fd, F_GETFD) >= 0)
			(void)fprintf(f, " %d", fd);
	(void)fprintf(f, "\n");
	for (int fd = 0; fd < 3; fd++) {
		struct stat st;

		if (fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3))
			(void)fprintf(f, "null %d\n", fd);
	}
}

static void tell_folder(FILE *f, const char *path)
{
	DIR *d = opendir(path);
	const struct dirent *ent;

	while (d && (ent = readdir(d)))
		if (ent->d_name[0] != '.' && strcmp(ent->d_name, "seen") != 0)
			(void)fprintf(f, "in %s %s\n", path, ent->d_name);
	if (d)
		closedir(d);
}

/* What a process that is taken over would try first. */
static void tell_tries(FILE *f)
{
	int fd = open("/dev/kvm", O_RDWR);

	(void)fprintf(f, "kvm %s\n", fd >= 0 ? "opens" : strerror(errno));
	(void)fprintf(
		f, "parent %s\n", chdir("..") == 0 && access("/seen", F_OK) == 0 ? "same" : "out");
	(void)fprintf(
		f, "mount %s\n", mount("/", "/run", NULL, MS_BIND, NULL) == 0 ? "works" : "fails");
	(void)fprintf(f, "mknod %s\n",
		mknod("/sda", S_IFBLK | 0600, makedev(8, 0)) == 0 ? "works" : "fails");
	(void)fprintf(f, "setuid %s\n", getuid() && setuid(0) == 0 ? "works" : "fails");
	(void)fprintf(f, "chroot %s\n", chroot("/dev") == 0 ? "works" : "fails");
}

static void tell(char **argv)
{
	FILE *f = fopen("/seen", "w");
	struct utsname name;
	mode_t mask = umask(022);

	if (!f)
		_exit(9);
	for (int i = 0; argv[i]; i++)
		(void)fprintf(f, "arg %s\n", argv[i]);
	for (int i = 0; environ[i]; i++)
		(void)fprintf(f, "env %s\n", environ[i]);
	tell_caps(f);
	tell_ids(f);
	tell_limits(f);
	tell_fds(f);
	tell_folder(f, "/");
	tell_folder(f, "/dev");
	tell_folder(f, "/dev/net");
	tell_folder(f, "/run");
	if (uname(&name) == 0)
		(void)fprintf(f, "host %s\n", name.nodename);
	(void)fprintf(f, "umask %03o\n", mask);
	tell_tries(f);
	(void)fclose(f);
}

static void dig(int count)
{
	for (int i = 0; i < count; i++)
		if (mkdir("d", 0700) < 0 || chdir("d") < 0)
			_exit(9);
}

static void breed(int count)
{
	FILE *f = fopen("/bred", "w");
	int made = 0;

	for (; made < count; made++) {
		pid_t pid = fork();

		if (pid < 0)
			break;
		if (pid == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			pause();
			_exit(0);
		}
	}
	(void)fprintf(f, "%d\n", made);
	(void)fclose(f);
}

static void touch(size_t mib)
{
	for (size_t i = 0; i < mib; i++) {
		char *p = malloc(1 << 20);

		if (!p)
			_exit(9);
		memset(p, 1, 1 << 20);
	}
}

int main(int argc, char **argv)
{
	tell(argv);
	for (int i = 1; i + 1 < argc; i++) {
		int n = (int)strtol(argv[i + 1], NULL, 10);

		if (strcmp(argv[i], "exit") == 0)
			return n;
		if (strcmp(argv[i], "deep") == 0)
			dig(n);
		if (strcmp(argv[i], "pids") == 0)
			breed(n);
		if (strcmp(argv[i], "memory") == 0)
			touch((size_t)n);
	}
	if (rename("/seen", "/told") < 0)
		return 9;
	/* The first of a process namespace gets only signals that it handles. */
	(void)signal(SIGTERM, _exit);
	for (;;)
		pause();
}
