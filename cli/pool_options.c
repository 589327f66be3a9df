/* SPDX-License-Identifier: Apache-2.0 */
/* The options of `mayfly pool`. See pool.h. */
#include "cli/pool.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_NAME_ROOM 32 /* of ".d/c18446744073709551615/api" */

enum {
	OPT_STATE = 256,
	OPT_MEMORY,
	OPT_MAX,
	OPT_MEMORY_MAX,
	OPT_DRIVE,
	OPT_NET,
	OPT_VSOCK,
	OPT_CONSOLE,
	OPT_CLOCK,
	OPT_VMM,
	OPT_PAUSED,
	OPT_DRAIN,
};

const struct cli_option pool_option_table[POOL_OPTION_COUNT] = {
	{'s', "socket", "PATH", "@file",
		"the pool's socket (default.pool in the runtime directory)"},
	{OPT_STATE, "state", "FILE", "@file", "serve: the snapshot's state file"},
	{OPT_MEMORY, "memory", "FILE", "@file", "serve: its memory file"},
	{'n', "size", "N", NULL, "serve: keep so many clones ready (1)"},
	{OPT_MAX, "max", "N", NULL,
		"serve: at most so many alive, taken ones included (size + 64)"},
	{OPT_MEMORY_MAX, "memory-max", "SIZE", NULL,
		"serve: start and hand out none while all clones take so much memory: a number and "
		"M or G"},
	{OPT_DRIVE, "drive", "ID=PATTERN", NULL, "serve: another file for a drive"},
	{OPT_NET, "net", "ID=PATTERN", NULL, "serve: another tap for an interface"},
	{OPT_VSOCK, "vsock", "PATTERN", NULL, "serve: another Unix socket for the vsock device"},
	{OPT_CONSOLE, "console", "PATTERN", NULL, "serve: append the guest's serial output to it"},
	{OPT_CLOCK, "clock-realtime", NULL, NULL,
		"serve: the guest's wall clock is set when it goes on"},
	{OPT_VMM, "vmm", "PATH", "@file", "serve: the monitor's program"},
	{OPT_PAUSED, "paused", NULL, NULL, "take: do not let the clone go on"},
	{'w', "wait", "S", NULL, "take: wait so many seconds for a clone (10)"},
	{'j', "json", NULL, NULL, "take, status: print JSON"},
	{OPT_DRAIN, "drain", NULL, NULL, "stop: only once no clone is taken any more"},
	CLI_OPTION_HELP,
};

static int number_parse(
	const char *name, const char *text, uint64_t min, uint64_t max, uint32_t *ret)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno || *text < '0' || *text > '9' || *end || v < min || v > max)
		return cli_usage("pool", "--%s '%s': must be a number from %llu to %llu", name,
			text, (unsigned long long)min, (unsigned long long)max);
	*ret = (uint32_t)v;
	return -1;
}

static int size_parse(const char *text, uint64_t *ret)
{
	char *end;
	unsigned long long v;
	uint64_t unit;

	errno = 0;
	v = strtoull(text, &end, 10);
	unit = *end == 'G' ? MIB * 1024 : MIB;
	if (errno || *text < '0' || *text > '9' || (*end != 'M' && *end != 'G') || end[1] ||
		v == 0 || v > (1u << 20))
		return cli_usage("pool",
			"--memory-max '%s': must be a number from 1 to 1048576 and M or G, as in "
			"512M",
			text);
	*ret = v * unit;
	return -1;
}

static int override_add(
	struct pool_options *o, enum pool_override_kind kind, const char *name, const char *text)
{
	struct pool_override *v = &o->overrides[o->override_count];
	const char *eq = kind == POOL_VSOCK ? text : strchr(text, '=');
	size_t len = eq ? (size_t)(eq - text) : 0;
	const char *pattern = kind == POOL_VSOCK || !eq ? eq : eq + 1;
	struct pool_clone sample = {.id = "c0"};
	char path[PATH_MAX];
	struct err e;

	if (o->override_count == POOL_OVERRIDES_MAX)
		return cli_usage(
			"pool", "--%s '%s': at most %u overrides", name, text, POOL_OVERRIDES_MAX);
	if (!pattern || !*pattern || (kind != POOL_VSOCK && len == 0) || len >= sizeof(v->device))
		return cli_usage("pool", "--%s '%s': must be %sPATTERN", name, text,
			kind == POOL_VSOCK ? "" : "ID=");
	if (pool_pattern_expand(pattern, &sample, path, &e) < 0)
		return cli_usage("pool", "--%s '%.64s': %s", name, text, e.msg);
	v->kind = kind;
	memcpy(v->device, text, len);
	v->device[len] = '\0';
	v->pattern = pattern;
	o->override_count++;
	return -1;
}

static int console_check(const char *text)
{
	struct pool_clone sample = {.id = "c0"};
	char path[PATH_MAX];
	struct err e;

	if (pool_pattern_expand(text, &sample, path, &e) < 0)
		return cli_usage("pool", "--console '%.64s': %s", text, e.msg);
	return -1;
}

static int wait_parse(struct pool_options *o)
{
	uint32_t seconds = 0;
	int status = number_parse("wait", optarg, 0, POOL_WAIT_MS_MAX / 1000, &seconds);

	if (status == -1)
		o->wait_ms = seconds * 1000;
	return status;
}

static int option_take(struct pool_options *o, int opt)
{
	switch (opt) {
	case 's':
		o->socket = optarg;
		return -1;
	case OPT_STATE:
		o->state = optarg;
		return -1;
	case OPT_MEMORY:
		o->memory = optarg;
		return -1;
	case 'n':
		return number_parse("size", optarg, 1, POOL_CLONES_MAX, &o->size);
	case OPT_MAX:
		return number_parse("max", optarg, 1, POOL_CLONES_MAX, &o->max);
	case OPT_MEMORY_MAX:
		return size_parse(optarg, &o->memory_max);
	case OPT_DRIVE:
		return override_add(o, POOL_DRIVE, "drive", optarg);
	case OPT_NET:
		return override_add(o, POOL_NET, "net", optarg);
	case OPT_VSOCK:
		return override_add(o, POOL_VSOCK, "vsock", optarg);
	case OPT_CONSOLE:
		o->console = optarg;
		return console_check(optarg);
	case OPT_CLOCK:
		o->clock_realtime = true;
		return -1;
	case OPT_VMM:
		o->vmm = optarg;
		return -1;
	case OPT_PAUSED:
		o->paused = true;
		return -1;
	case 'w':
		return wait_parse(o);
	case 'j':
		o->json = true;
		return -1;
	case OPT_DRAIN:
		o->drain = true;
		return -1;
	default:
		return CLI_USAGE;
	}
}

int pool_options_read(struct pool_options *o, int argc, char **argv)
{
	int opt, status = -1;

	while (status == -1 && (opt = cli_option_next(&cli_pool_command, argc, argv)) != -1)
		status = opt == 'h' ? cli_help(&cli_pool_command) : option_take(o, opt);
	return status;
}

int pool_options_check(struct pool_options *o)
{
	if (!o->state || !o->memory)
		return cli_usage("pool", "serve needs --state FILE and --memory FILE");
	if (o->max == 0)
		o->max = MIN(o->size + 64, POOL_CLONES_MAX);
	if (o->max < o->size)
		return cli_usage(
			"pool", "--max '%u': must be at least --size, %u", o->max, o->size);
	return CLI_OK;
}

static int path_absolute(const char *path, char ret[PATH_MAX], struct err *e)
{
	char cwd[PATH_MAX];
	int n;

	if (*path == '/')
		n = snprintf(ret, PATH_MAX, "%s", path);
	else if (getcwd(cwd, sizeof(cwd)))
		n = snprintf(ret, PATH_MAX, "%.*s/%s", PATH_MAX, cwd, path);
	else
		return err_set_os(e, -errno, "the current directory");
	return n < PATH_MAX ? 0 : err_set(e, -ENAMETOOLONG, "--socket: too long");
}

int pool_socket_path(const char *asked, char ret[PATH_MAX], struct err *e)
{
	const size_t most = sizeof(((struct sockaddr_un *)0)->sun_path) - SOCKET_NAME_ROOM;
	const char *base = getenv("XDG_RUNTIME_DIR");
	char path[PATH_MAX];
	int n, rc;

	n = snprintf(
		path, sizeof(path), "%s/mayfly/default.pool", base && *base == '/' ? base : "/run");
	if (!asked && n >= PATH_MAX)
		return err_set(e, -ENAMETOOLONG, "XDG_RUNTIME_DIR: too long");
	if (asked && !*asked)
		return err_set(e, -EINVAL, "--socket: the path is empty");
	rc = path_absolute(asked ? asked : path, ret, e);
	if (rc < 0)
		return rc;
	if (strlen(ret) > most)
		return err_set(e, -ENAMETOOLONG,
			"--socket '%s': must have at most %zu bytes, since sockets of clones are "
			"under it",
			ret, most);
	return 0;
}
