/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The product's own filters, twice: their code run by a small BPF interpreter over every number
 * and many arguments, and installed for real in a child that then makes a call. The first proves
 * that libseccomp's code is the declared rules and nothing else, the second that the kernel and
 * the SIGSYS handler do what seccomp.h says.
 */
#include "seccomp/seccomp.h"

#include "seccomp_filters.h"
#include "tests/unit/lib/bpf.h"
#include "vmm/base/log.h"
#include "vmm/base/vm_end.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/futex.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define NR_X32_BIT 0x40000000

static const struct {
	const struct sock_filter *code;
	size_t len;
} programs[SECCOMP_ROLE_COUNT] = {
	[SECCOMP_ROLE_MAIN] = {seccomp_code_main, NELEM(seccomp_code_main)},
	[SECCOMP_ROLE_VCPU] = {seccomp_code_vcpu, NELEM(seccomp_code_vcpu)},
	[SECCOMP_ROLE_IO] = {seccomp_code_io, NELEM(seccomp_code_io)},
};

static uint32_t bpf_run(enum seccomp_role role, const struct seccomp_data *data)
{
	return bpf_eval(programs[role].code, programs[role].len, data);
}

static bool rules_allow(enum seccomp_role role, const struct seccomp_data *data)
{
	for (size_t i = 0; i < NELEM(seccomp_rules); i++) {
		const struct seccomp_rule *r = &seccomp_rules[i];
		bool holds = r->role == role && r->nr == data->nr;

		for (unsigned t = 0; holds && t < r->term_count; t++)
			holds = (data->args[r->terms[t].index] & r->terms[t].mask) ==
				r->terms[t].value;
		if (holds)
			return true;
	}
	return false;
}

static bool has_sanitizer_rules(void)
{
	for (size_t i = 0; i < NELEM(seccomp_rules); i++)
		if (strcmp(seccomp_rules[i].origin, "seccomp/sanitizer.rules") == 0)
			return true;
	return false;
}

static void expect_same(enum seccomp_role role, const struct seccomp_data *data)
{
	uint32_t want = rules_allow(role, data) ? SECCOMP_RET_ALLOW : SECCOMP_RET_TRAP;
	uint32_t got = bpf_run(role, data);

	if (got != want)
		fail_msg("%s: call %d (0x%llx 0x%llx 0x%llx 0x%llx): action 0x%x instead of 0x%x",
			seccomp_role_name(role), data->nr, (unsigned long long)data->args[0],
			(unsigned long long)data->args[1], (unsigned long long)data->args[2],
			(unsigned long long)data->args[3], got, want);
}

static void code_allows_each_number_as_declared(void **state)
{
	(void)state;
	for (int role = 0; role < SECCOMP_ROLE_COUNT; role++)
		for (int nr = -1; nr < 4096; nr++) {
			struct seccomp_data data = {.nr = nr, .arch = AUDIT_ARCH_X86_64};

			expect_same((enum seccomp_role)role, &data);
			memset(data.args, 0xff, sizeof(data.args));
			expect_same((enum seccomp_role)role, &data);
		}
}

/* From a call that fits a rule, every argument bit is flipped once. */
static void code_looks_at_each_argument_bit_as_declared(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEM(seccomp_rules); i++) {
		const struct seccomp_rule *r = &seccomp_rules[i];
		struct seccomp_data data = {.nr = r->nr, .arch = AUDIT_ARCH_X86_64};

		for (unsigned t = 0; t < r->term_count; t++)
			data.args[r->terms[t].index] |= r->terms[t].value;
		assert_int_equal(bpf_run(r->role, &data), SECCOMP_RET_ALLOW);
		for (unsigned bit = 0; bit < 6 * 64; bit++) {
			data.args[bit / 64] ^= 1ULL << bit % 64;
			expect_same(r->role, &data);
			data.args[bit / 64] ^= 1ULL << bit % 64;
		}
	}
}

static void code_kills_on_other_architectures_and_x32(void **state)
{
	(void)state;
	for (int role = 0; role < SECCOMP_ROLE_COUNT; role++)
		for (int nr = 0; nr < 1024; nr++) {
			struct seccomp_data data = {.nr = nr, .arch = AUDIT_ARCH_I386};

			assert_int_equal(
				bpf_run((enum seccomp_role)role, &data), SECCOMP_RET_KILL_PROCESS);
			data.arch = AUDIT_ARCH_X86_64;
			data.nr = nr | NR_X32_BIT;
			assert_int_equal(
				bpf_run((enum seccomp_role)role, &data), SECCOMP_RET_KILL_PROCESS);
		}
}

static void no_role_may_make_memory_executable_or_start_programs(void **state)
{
	static const int never[] = {SYS_execve, SYS_execveat, SYS_ptrace, SYS_fork, SYS_vfork,
		SYS_process_vm_readv, SYS_process_vm_writev, SYS_mount, SYS_unshare, SYS_setns,
		SYS_bpf, SYS_prctl, SYS_seccomp, SYS_init_module, SYS_kexec_load};

	(void)state;
	for (int role = 0; role < SECCOMP_ROLE_COUNT; role++) {
		struct seccomp_data data = {.arch = AUDIT_ARCH_X86_64};

		for (size_t i = 0; i < NELEM(never); i++) {
			data.nr = never[i];
			assert_int_equal(bpf_run((enum seccomp_role)role, &data), SECCOMP_RET_TRAP);
		}
		data.args[2] = PROT_READ | PROT_EXEC;
		for (uint64_t flags = 0; flags < 0x80000; flags++) {
			data.nr = SYS_mmap;
			data.args[3] = flags;
			assert_int_equal(bpf_run((enum seccomp_role)role, &data), SECCOMP_RET_TRAP);
		}
		data.nr = SYS_mprotect;
		assert_int_equal(bpf_run((enum seccomp_role)role, &data), SECCOMP_RET_TRAP);
	}
}

/* What a child under a filter did: its wait status and what it logged. */
struct outcome {
	int status;
	char log[512];
};

static int exit_fd;

static void on_exit_note(void)
{
	(void)!write(exit_fd, "hook ran\n", 9);
}

static struct outcome confined(enum seccomp_role role, void (*fn)(void))
{
	struct outcome o = {0};
	size_t used = 0;
	ssize_t n;
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct log_config cfg = {.id = "test", .fd = fds[1], .level = LOG_INFO};
		struct err e;

		exit_fd = fds[1];
		log_configure(&cfg);
		log_thread_name(seccomp_role_name(role));
		if (seccomp_violation_init(on_exit_note, &e) < 0 || seccomp_install(role, &e) < 0)
			_exit(99);
		fn();
		_exit(0);
	}
	(void)close(fds[1]);
	while ((n = read(fds[0], o.log + used, sizeof(o.log) - 1 - used)) > 0)
		used += (size_t)n;
	(void)close(fds[0]);
	assert_int_equal(waitpid(pid, &o.status, 0), pid);
	return o;
}

static void expect_denied(const struct outcome *o, int nr, const char *role)
{
	char line[96];

	(void)snprintf(line, sizeof(line),
		" [test:%s] Shutting down VM after intercepting a bad syscall (%d).\nhook ran\n",
		role, nr);
	assert_true(WIFEXITED(o->status));
	assert_int_equal(WEXITSTATUS(o->status), VMM_STATUS_BAD_SYSCALL);
	assert_non_null(strstr(o->log, line));
	/* One line and the hook's, after the time stamp. */
	assert_ptr_equal(strchr(o->log, ' ') + strlen(line), o->log + strlen(o->log));
}

static void do_common_calls(void)
{
	struct timespec ts;

	if (syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts) < 0)
		_exit(1);
	log_info("still here");
}

static void do_chdir(void)
{
	(void)syscall(SYS_chdir, 0);
}

static void do_kvm_run(void)
{
	/* The kernel sees 32 bits of the request, so must the filter. */
	if (ioctl(-1, KVM_RUN, 0) != -1 || errno != EBADF)
		_exit(1);
	if (syscall(SYS_ioctl, -1L, (1L << 40) | KVM_RUN, 0L) != -1 || errno != EBADF)
		_exit(2);
}

static void do_kvm_create_vm(void)
{
	(void)ioctl(-1, KVM_CREATE_VM, 0);
}

static void do_executable_mmap(void)
{
	(void)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* As malloc does for a large block. */
static void do_heap(void)
{
	if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
		MAP_FAILED)
		_exit(1);
}

static void do_priority_futex(void)
{
	static int word;

	(void)syscall(SYS_futex, &word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0);
}

static void do_x32_getpid(void)
{
	(void)syscall(SYS_getpid | NR_X32_BIT);
}

static void do_i386_getpid(void)
{
	long nr = 20;

	__asm__ volatile("int $0x80" : "+a"(nr) : : "memory");
}

static void each_role_may_log_and_exit(void **state)
{
	(void)state;
	for (int role = 0; role < SECCOMP_ROLE_COUNT; role++) {
		struct outcome o = confined((enum seccomp_role)role, do_common_calls);

		assert_int_equal(o.status, 0);
		assert_non_null(strstr(o.log, "] still here\n"));
	}
}

static void each_role_reports_a_denied_call_and_exits_148(void **state)
{
	(void)state;
	for (int role = 0; role < SECCOMP_ROLE_COUNT; role++) {
		struct outcome o = confined((enum seccomp_role)role, do_chdir);

		expect_denied(&o, SYS_chdir, seccomp_role_name((enum seccomp_role)role));
	}
}

static void each_role_is_denied_executable_memory(void **state)
{
	(void)state;
	for (int role = 0; role < SECCOMP_ROLE_COUNT; role++) {
		struct outcome o = confined((enum seccomp_role)role, do_executable_mmap);

		expect_denied(&o, SYS_mmap, seccomp_role_name((enum seccomp_role)role));
	}
}

static void ioctls_are_allowed_by_request(void **state)
{
	struct outcome o;

	(void)state;
	o = confined(SECCOMP_ROLE_VCPU, do_kvm_run);
	assert_int_equal(o.status, 0);
	o = confined(SECCOMP_ROLE_VCPU, do_kvm_create_vm);
	expect_denied(&o, SYS_ioctl, "vcpu");
	o = confined(SECCOMP_ROLE_MAIN, do_kvm_run);
	expect_denied(&o, SYS_ioctl, "main");
}

static void only_the_main_thread_has_a_heap(void **state)
{
	struct outcome o;

	(void)state;
	o = confined(SECCOMP_ROLE_MAIN, do_heap);
	assert_int_equal(o.status, 0);
	/* A sanitizer's runtime allocates on every thread. */
	if (has_sanitizer_rules())
		return;
	o = confined(SECCOMP_ROLE_VCPU, do_heap);
	expect_denied(&o, SYS_mmap, "vcpu");
}

static void futexes_are_allowed_by_operation(void **state)
{
	struct outcome o = confined(SECCOMP_ROLE_MAIN, do_priority_futex);

	(void)state;
	expect_denied(&o, SYS_futex, "main");
}

static void other_architectures_kill_at_once(void **state)
{
	struct outcome o;

	(void)state;
	o = confined(SECCOMP_ROLE_MAIN, do_i386_getpid);
	assert_true(WIFSIGNALED(o.status));
	assert_int_equal(WTERMSIG(o.status), SIGSYS);
	o = confined(SECCOMP_ROLE_MAIN, do_x32_getpid);
	assert_true(WIFSIGNALED(o.status));
	assert_int_equal(WTERMSIG(o.status), SIGSYS);
}

static void a_sigsys_sent_by_hand_is_not_a_denied_call(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		struct err e;

		if (seccomp_violation_init(NULL, &e) == 0)
			(void)raise(SIGSYS);
		_exit(99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), VMM_STATUS_UNEXPECTED);
}

static void abort_works_under_every_filter(void **state)
{
	(void)state;
	for (int role = 0; role < SECCOMP_ROLE_COUNT; role++) {
		struct outcome o = confined((enum seccomp_role)role, abort);

		assert_true(WIFSIGNALED(o.status));
		assert_int_equal(WTERMSIG(o.status), SIGABRT);
	}
}

static void describe_prints_every_rule_once(void **state)
{
	char *text = NULL;
	size_t len = 0, lines = 0;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	assert_non_null(f);
	seccomp_describe(f);
	assert_int_equal(fclose(f), 0);
	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	assert_int_equal(lines, NELEM(seccomp_rules));
	assert_non_null(strstr(text, "exit_group"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(code_allows_each_number_as_declared),
		cmocka_unit_test(code_looks_at_each_argument_bit_as_declared),
		cmocka_unit_test(code_kills_on_other_architectures_and_x32),
		cmocka_unit_test(no_role_may_make_memory_executable_or_start_programs),
		cmocka_unit_test(each_role_may_log_and_exit),
		cmocka_unit_test(each_role_reports_a_denied_call_and_exits_148),
		cmocka_unit_test(each_role_is_denied_executable_memory),
		cmocka_unit_test(ioctls_are_allowed_by_request),
		cmocka_unit_test(only_the_main_thread_has_a_heap),
		cmocka_unit_test(futexes_are_allowed_by_operation),
		cmocka_unit_test(other_architectures_kill_at_once),
		cmocka_unit_test(a_sigsys_sent_by_hand_is_not_a_denied_call),
		cmocka_unit_test(abort_works_under_every_filter),
		cmocka_unit_test(describe_prints_every_rule_once),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
