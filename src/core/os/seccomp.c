/*
 * seccomp.c - the system calls that a process needs, and no others (seccomp(2)).
 *
 * The filter is a classic BPF program, made from tables: each system call is compared in turn.  For calls that are
 * allowed whatever their arguments, Linux remembers the answer in a bitmap (since 5.11); so those whose arguments are
 * looked at come first, the most frequent of them at the top.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/os/locks.h"

#if defined(__x86_64__)
#define ARCH	AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH	AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH	AUDIT_ARCH_RISCV64
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ARCH	AUDIT_ARCH_PPC64LE
#endif

#ifdef ARCH

#ifndef SECCOMP_RET_KILL_PROCESS
#define SECCOMP_RET_KILL_PROCESS 0x80000000u
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

/* Headers may be older than the kernel; these numbers are the same everywhere. */
#ifndef SYS_clone3
#define SYS_clone3		435
#endif
#ifndef SYS_close_range
#define SYS_close_range		436
#endif
#ifndef SYS_faccessat2
#define SYS_faccessat2		439
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2	441
#endif

/*
 * Allowed with any arguments.  What an architecture does not have is left out.
 */
static const int allowed[] = {
	/* Moving bytes. */
	SYS_epoll_pwait, SYS_epoll_pwait2, SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_recvfrom, SYS_sendto,
	SYS_recvmsg, SYS_sendmsg, SYS_recvmmsg, SYS_sendmmsg, SYS_splice, SYS_tee, SYS_vmsplice,
	SYS_sendfile, SYS_pread64, SYS_pwrite64, SYS_preadv, SYS_pwritev, SYS_preadv2,
	SYS_pwritev2, SYS_copy_file_range,
	/* Sockets; socket(2) and socketpair(2) are below. */
	SYS_accept4, SYS_accept, SYS_connect, SYS_bind, SYS_listen, SYS_shutdown, SYS_getsockname,
	SYS_getpeername, SYS_setsockopt, SYS_getsockopt,
	/* Descriptors. */
	SYS_close, SYS_close_range, SYS_dup, SYS_dup3, SYS_pipe2, SYS_fcntl, SYS_epoll_create1,
	SYS_epoll_ctl, SYS_ppoll, SYS_pselect6, SYS_eventfd2, SYS_signalfd4, SYS_timerfd_create,
	SYS_timerfd_settime, SYS_timerfd_gettime, SYS_memfd_create,
	/* Files: which ones is for Landlock and the owner of the file. */
	SYS_openat, SYS_fstat, SYS_statx, SYS_lseek, SYS_getdents64, SYS_faccessat, SYS_faccessat2,
	SYS_readlinkat, SYS_getcwd, SYS_statfs, SYS_fstatfs, SYS_ftruncate, SYS_fallocate,
	SYS_fsync, SYS_fdatasync, SYS_fadvise64, SYS_flock, SYS_fchmod, SYS_unlinkat, SYS_renameat2,
	SYS_mkdirat, SYS_umask, SYS_utimensat,
	/* Memory; mmap(2) and mprotect(2) are below. */
	SYS_brk, SYS_munmap, SYS_mremap, SYS_madvise, SYS_msync, SYS_mlock, SYS_mlock2, SYS_munlock,
	SYS_mincore, SYS_membarrier,
	/* Time. */
	SYS_clock_gettime, SYS_clock_getres, SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday,
	SYS_timer_create, SYS_timer_settime, SYS_timer_gettime, SYS_timer_getoverrun,
	SYS_timer_delete, SYS_setitimer, SYS_getitimer, SYS_times,
	/* Signals of this process, threads that it has already, and its end. */
	SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigpending,
	SYS_rt_sigsuspend, SYS_rt_sigtimedwait, SYS_sigaltstack, SYS_restart_syscall, SYS_futex,
	SYS_set_robust_list, SYS_get_robust_list, SYS_set_tid_address, SYS_sched_yield,
	SYS_exit, SYS_exit_group,
	/* Questions. */
	SYS_getpid, SYS_getppid, SYS_gettid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid,
	SYS_getresuid, SYS_getresgid, SYS_getgroups, SYS_getrusage, SYS_sched_getaffinity,
	SYS_getcpu, SYS_getpriority, SYS_uname, SYS_sysinfo, SYS_getrandom, SYS_capget,
#ifdef SYS_rseq
	SYS_rseq,
#endif
#ifdef SYS_futex_wake		/* Linux 6.7 */
	SYS_futex_wake, SYS_futex_wait, SYS_futex_requeue,
#endif
#ifdef SYS_newfstatat
	SYS_newfstatat,
#endif
#ifdef SYS_fstatat64
	SYS_fstatat64,
#endif
#ifdef SYS_getrlimit
	SYS_getrlimit,
#endif
#ifdef SYS_sync_file_range
	SYS_sync_file_range,
#endif
#ifdef SYS_renameat
	SYS_renameat,
#endif
	/* The older names of some of these, which newer architectures do not have. */
#ifdef SYS_epoll_wait
	SYS_epoll_wait,
#endif
#ifdef SYS_open
	SYS_open, SYS_stat, SYS_lstat, SYS_access, SYS_readlink, SYS_unlink, SYS_rename, SYS_mkdir,
	SYS_rmdir, SYS_poll, SYS_select, SYS_pipe, SYS_dup2, SYS_eventfd, SYS_signalfd,
	SYS_epoll_create, SYS_getdents, SYS_alarm, SYS_time, SYS_pause,
#endif
#if SANDBOX_SANITIZED
	SYS_clone, SYS_wait4, SYS_ptrace, SYS_kill, SYS_tgkill, SYS_prctl, SYS_sched_setaffinity,
	SYS_personality,
#endif
};

/*
 * Conditions on one argument.  EQ and NONE look at one half of it: what
 * these calls take there is an int, so that the other half is ignored by the kernel too.
 */
enum test {
	EQ,		/* is the value */
	NONE,		/* has none of these bits */
	ZERO64,		/* a pointer that is NULL */
	SELF,		/* the process itself, or 0 */
};

static const struct rule {
	int		call;
	unsigned	arg;
	enum test	test;
	uint32_t	value;
} rules[] = {
	/* FIONREAD is SIOCINQ, TIOCOUTQ is SIOCOUTQ; TCGETS is isatty(3). */
	{ SYS_ioctl, 1, EQ, FIONREAD }, { SYS_ioctl, 1, EQ, TIOCOUTQ },
	{ SYS_ioctl, 1, EQ, FIONBIO }, { SYS_ioctl, 1, EQ, TCGETS },
	{ SYS_ioctl, 1, EQ, 0x8933 /* SIOCGIFINDEX */ },
	{ SYS_ioctl, 1, EQ, 0x8910 /* SIOCGIFNAME */ },
#if SANDBOX_SANITIZED
	{ SYS_ioctl, 1, EQ, TIOCGWINSZ },
#endif
	{ SYS_prctl, 0, EQ, PR_SET_NAME }, { SYS_prctl, 0, EQ, PR_GET_NAME },
	{ SYS_prctl, 0, EQ, PR_SET_VMA }, { SYS_prctl, 0, EQ, PR_GET_DUMPABLE },
	{ SYS_prctl, 0, EQ, PR_SET_PDEATHSIG }, { SYS_prctl, 0, EQ, PR_CAPBSET_READ },
	/* Reading limits, not setting them. */
	{ SYS_prlimit64, 2, ZERO64, 0 },
	/* abort(3) and raise(3). */
	{ SYS_tgkill, 0, SELF, 0 }, { SYS_kill, 0, SELF, 0 },
};

#define MAX_PROGRAM	1024

struct program {
	struct sock_filter	code[MAX_PROGRAM];
	unsigned		n;
};

static void
emit(struct program *p, uint16_t code, uint8_t yes, uint8_t no, uint32_t k)
{
	assert(p->n < MAX_PROGRAM);
	p->code[p->n++] = (struct sock_filter){ code, yes, no, k };
}

static void
give(struct program *p, uint32_t action)
{
	emit(p, BPF_RET | BPF_K, 0, 0, action);
}

static void
load(struct program *p, size_t offset)
{
	emit(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offset);
}

/* The lower half of an argument, or the upper. */
static size_t
half(unsigned arg, bool upper)
{
	size_t at = offsetof(struct seccomp_data, args) + arg * sizeof(uint64_t);

	return at + (upper == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__) ? 4 : 0);
}

/* `yes` and `no` say how many instructions to skip. */
static void
jump(struct program *p, uint16_t how, uint32_t k, uint8_t yes, uint8_t no)
{
	emit(p, BPF_JMP | how | BPF_K, yes, no, k);
}

static void
emit_test(struct program *p, const struct rule *r)
{
	load(p, half(r->arg, false));
	switch (r->test) {
	case EQ:
		jump(p, BPF_JEQ, r->value, 0, 1);
		break;
	case NONE:
		jump(p, BPF_JSET, r->value, 1, 0);
		break;
	case SELF:
		jump(p, BPF_JEQ, 0, 1, 0);
		jump(p, BPF_JEQ, (uint32_t)getpid(), 0, 1);
		break;
	case ZERO64:
		jump(p, BPF_JEQ, 0, 0, 3);
		load(p, half(r->arg, true));
		jump(p, BPF_JEQ, 0, 0, 1);
		break;
	}
	give(p, SECCOMP_RET_ALLOW);
}

/*
 * One call that is allowed if any of its rules holds.  Another call jumps over all
 * this, with its number still loaded; how far that is, is known only afterwards.
 */
static void
emit_rules(struct program *p, const struct rule *r, unsigned n, uint32_t otherwise)
{
	unsigned at = p->n, i;

	jump(p, BPF_JEQ, (uint32_t)r->call, 0, 0);
	for (i = 0; i < n; i++)
		emit_test(p, r + i);
	give(p, otherwise);
	assert(p->n - at - 1 <= UINT8_MAX);
	p->code[at].jf = (uint8_t)(p->n - at - 1);
}

static void
emit_all_rules(struct program *p, const struct rule *r, unsigned n, uint32_t otherwise)
{
	unsigned i, end;

	for (i = 0; i < n; i = end) {
		for (end = i + 1; end < n && r[end].call == r[i].call; end++)
			;
		emit_rules(p, r + i, end - i, otherwise);
	}
}

/* Both the family and the type must be good: two questions, one after the other. */
static void
emit_socket(struct program *p, int call, const uint32_t *families, unsigned n)
{
	static const uint32_t	types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };
	unsigned		at = p->n, i;

	jump(p, BPF_JEQ, (uint32_t)call, 0, 0);
	load(p, half(0, false));
	for (i = 0; i < n; i++)
		jump(p, BPF_JEQ, families[i], (uint8_t)(n - i), 0);
	give(p, SECCOMP_RET_ERRNO | EPERM);
	load(p, half(1, false));
	emit(p, BPF_ALU | BPF_AND | BPF_K, 0, 0, ~(uint32_t)(SOCK_NONBLOCK | SOCK_CLOEXEC));
	for (i = 0; i < WEIR_COUNT(types); i++)
		jump(p, BPF_JEQ, types[i], (uint8_t)(WEIR_COUNT(types) - i), 0);
	give(p, SECCOMP_RET_ERRNO | EPERM);
	give(p, SECCOMP_RET_ALLOW);
	p->code[at].jf = (uint8_t)(p->n - at - 1);
}

static void
make_program(struct program *p, const struct weir_sandbox *s)
{
	static const uint32_t	families[] = { AF_INET, AF_INET6, AF_UNIX };
	const uint32_t		otherwise = s->kill ? SECCOMP_RET_KILL_PROCESS :
	    SECCOMP_RET_ERRNO | EPERM;
	const uint32_t		exec = s->jit || SANDBOX_SANITIZED ? 0 : PROT_EXEC;
	const struct rule	memory[] = {
		{ SYS_mmap, 2, NONE, exec }, { SYS_mprotect, 2, NONE, exec },
	};
	unsigned		i;

	/* System calls of another architecture have other numbers. */
	p->n = 0;
	load(p, offsetof(struct seccomp_data, arch));
	jump(p, BPF_JEQ, ARCH, 1, 0);
	give(p, SECCOMP_RET_KILL_PROCESS);
	load(p, offsetof(struct seccomp_data, nr));
#ifdef __x86_64__
	/* So have those of x32, with this bit. */
	jump(p, BPF_JSET, 0x40000000, 0, 1);
	give(p, SECCOMP_RET_KILL_PROCESS);
#endif
	emit_socket(p, SYS_socket, families, WEIR_COUNT(families));
	emit_socket(p, SYS_socketpair, families + 2, 1);
	emit_all_rules(p, memory, WEIR_COUNT(memory), otherwise);
	emit_all_rules(p, rules, WEIR_COUNT(rules), otherwise);
	for (i = 0; i < WEIR_COUNT(allowed); i++) {
		jump(p, BPF_JEQ, (uint32_t)allowed[i], 0, 1);
		give(p, SECCOMP_RET_ALLOW);
	}
	/* The C library then tries clone(2), and hears what became of that. */
	jump(p, BPF_JEQ, SYS_clone3, 0, 1);
	give(p, SECCOMP_RET_ERRNO | ENOSYS);
	give(p, otherwise);
}

int
seccomp_enter(const struct weir_sandbox *s)
{
	static struct program	p;
	struct sock_fprog	prog;

	make_program(&p, s);
	prog = (struct sock_fprog){ (unsigned short)p.n, p.code };
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog) == 0)
		return WEIR_OK;
	return WEIR_FAIL;
}

#else	/* an architecture whose system calls nobody has looked at */

int
seccomp_enter(const struct weir_sandbox *s)
{
	(void)s;
	errno = ENOSYS;
	return WEIR_FAIL;
}

#endif
