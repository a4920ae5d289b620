/* unit: src/core/os/seccomp.c */
#include "child.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>

#include "core/os/seccomp.c"

static struct weir_sandbox box;

static void
enter(void)
{
	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	MUST(seccomp_enter(&box) == WEIR_OK);
}

#define DENIED(call)	MUST((errno = 0, (long)(call) == -1) && errno == EPERM)

static void
denies(void)
{
	char *argv[] = { (char[]){ "true" }, NULL };

	enter();
	DENIED(execv("/bin/true", argv));
	DENIED(syscall(SYS_execveat, -1, "/bin/true", argv, NULL, 0));
	DENIED(syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, NULL));
	DENIED(syscall(SYS_umount2, "/tmp", 0));
	DENIED(syscall(SYS_chroot, "/"));
	DENIED(syscall(SYS_pivot_root, "/", "/"));
	DENIED(syscall(SYS_unshare, 0));
	DENIED(syscall(SYS_setns, 0, 0));
	DENIED(syscall(SYS_bpf, 0, NULL, 0));
	DENIED(syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
	DENIED(syscall(SYS_init_module, NULL, 0, ""));
	DENIED(syscall(SYS_keyctl, 0, 0, 0, 0, 0));
	DENIED(syscall(SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0));
	DENIED(syscall(SYS_userfaultfd, 0));
	DENIED(syscall(425 /* io_uring_setup */, 1, NULL));
	DENIED(syscall(SYS_seccomp, 0, 0, NULL));
	DENIED(syscall(SYS_setuid, getuid()));
	DENIED(syscall(SYS_setresgid, -1, -1, -1));
	DENIED(syscall(SYS_setgroups, 0, NULL));
	DENIED(syscall(SYS_capset, NULL, NULL));
	DENIED(syscall(SYS_fchownat, AT_FDCWD, "/nowhere", 0, 0, 0));
	DENIED(syscall(SYS_fchmodat, AT_FDCWD, "/nowhere", 0));
	DENIED(syscall(SYS_symlinkat, "x", AT_FDCWD, "/nowhere/x"));
	DENIED(syscall(SYS_linkat, AT_FDCWD, "x", AT_FDCWD, "/nowhere/x", 0));
	DENIED(syscall(SYS_mknodat, AT_FDCWD, "/nowhere/x", 0600, 0));
	DENIED(syscall(SYS_chdir, "/"));
	DENIED(syscall(SYS_reboot, 0));
	DENIED(syscall(SYS_sethostname, "x", 1));
	DENIED(syscall(SYS_setpriority, 0, 0, 0));
	/* No system call at all. */
	DENIED(syscall(5000));
}

static void
denies_sockets(void)
{
	int sv[2];

	enter();
	DENIED(socket(AF_PACKET, SOCK_RAW, 0));
	DENIED(socket(AF_PACKET, SOCK_DGRAM, 0));
	DENIED(socket(AF_NETLINK, SOCK_DGRAM, 0));
	DENIED(socket(AF_ALG, SOCK_SEQPACKET, 0));
	DENIED(socket(AF_VSOCK, SOCK_STREAM, 0));
	DENIED(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
	DENIED(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW));
	DENIED(socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6));
	DENIED(socket(AF_UNIX, SOCK_RAW, 0));
	DENIED(socketpair(AF_INET, SOCK_STREAM, 0, sv));
	DENIED(socketpair(AF_UNIX, SOCK_RAW, 0, sv));
}

#if !SANDBOX_SANITIZED
static void
denies_the_rest(void)
{
	struct rlimit	l = { 10, 10 };
	void		*p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t		parent = getppid();

	enter();
	DENIED(syscall(SYS_ptrace, 0, 0, 0, 0));
	DENIED(kill(parent, SIGTERM));
	DENIED(kill(-1, 0));
	DENIED(syscall(SYS_tgkill, parent, parent, SIGTERM));
	DENIED(syscall(SYS_tkill, parent, SIGTERM));
	DENIED(setrlimit(RLIMIT_NOFILE, &l));
	DENIED(prlimit(parent, RLIMIT_NOFILE, &l, NULL));
	/* A new process, by every way there is. */
	errno = 0;
	MUST(fork() == -1 && errno == EPERM);
#ifdef SYS_fork
	DENIED(syscall(SYS_fork));
	DENIED(syscall(SYS_vfork));
#endif
	errno = 0;
	MUST(syscall(SYS_clone3, NULL, 0) == -1 && errno == ENOSYS);
	DENIED(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	DENIED(prctl(PR_SET_SECCOMP, 1, 0, 0, 0));
	DENIED(prctl(PR_SET_MM, 0, 0, 0, 0));
	DENIED(ioctl(0, TIOCSTI, "x"));
	DENIED(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	DENIED(mprotect(p, 4096, PROT_READ | PROT_EXEC));
	DENIED(syscall(SYS_sched_setaffinity, 0, 0, NULL));
	DENIED(syscall(SYS_wait4, -1, NULL, 0, NULL));
}

static int gate[2];

/* Waits until the filter is there, then tries what it forbids. */
static void *
in_a_thread(void *arg)
{
	char c;

	if (read(gate[0], &c, 1) == 1)
		*(long *)arg = syscall(SYS_chroot, "/") == -1 ? errno : -1;
	return arg;
}

/* Those that have begun are locked in too, and are the last. */
static void
holds_threads(void)
{
	pthread_t	t, other;
	long		got = 0;

	MUST(pipe(gate) == 0);
	MUST(pthread_create(&t, NULL, in_a_thread, &got) == 0);
	enter();
	MUST(pthread_create(&other, NULL, in_a_thread, &got) != 0);
	DENIED(syscall(SYS_clone, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD, 0, 0, 0, 0));
	MUST(write(gate[1], "x", 1) == 1);
	MUST(pthread_join(t, NULL) == 0);
	MUST(got == EPERM);
}

static void
allows_jit(void)
{
	void *p;

	box.jit = true;
	enter();
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(p != MAP_FAILED);
	MUST(mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0);
	p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(p != MAP_FAILED);
}
#endif

static volatile sig_atomic_t got_signal;

static void
on_signal(int sig)
{
	got_signal = sig;
}

/* A connection over the loopback, and what a loop does with it. */
static void
allows_sockets(void)
{
	struct sockaddr_in	a = { .sin_family = AF_INET };
	struct epoll_event	ev = { .events = EPOLLIN };
	struct iovec		v = { (char[8]){ 0 }, 8 };
	struct msghdr		m = { .msg_iov = &v, .msg_iovlen = 1 };
	socklen_t		len = sizeof(a);
	int			l, c, s, ep, p[2], n;

	enter();
	MUST((l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) >= 0);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	MUST(setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) == 0);
	MUST(bind(l, (void *)&a, sizeof(a)) == 0 && listen(l, 5) == 0);
	MUST(getsockname(l, (void *)&a, &len) == 0);
	MUST((c = socket(AF_INET, SOCK_STREAM, 0)) >= 0);
	MUST(connect(c, (void *)&a, sizeof(a)) == 0);
	MUST((ep = epoll_create1(EPOLL_CLOEXEC)) >= 0);
	MUST(epoll_ctl(ep, EPOLL_CTL_ADD, l, &ev) == 0);
	MUST(epoll_wait(ep, &ev, 1, 10000) == 1);
	MUST((s = accept4(l, NULL, NULL, SOCK_CLOEXEC)) >= 0);
	MUST(getpeername(s, (void *)&a, &len) == 0);
	MUST(send(c, "12345678", 8, 0) == 8);
	MUST(poll(&(struct pollfd){ .fd = s, .events = POLLIN }, 1, 10000) == 1);
	MUST(ioctl(s, FIONREAD, &n) == 0 && n == 8);
	MUST(ioctl(c, TIOCOUTQ, &n) == 0);
	MUST(recvmsg(s, &m, 0) == 8);
	MUST(sendmsg(s, &m, MSG_NOSIGNAL) == 8);
	MUST(pipe2(p, O_CLOEXEC | O_NONBLOCK) == 0);
	MUST(splice(c, NULL, p[1], NULL, 8, 0) == 8);
	MUST(shutdown(c, SHUT_WR) == 0 && close(c) == 0);
	MUST(socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0) >= 0 || errno == EAFNOSUPPORT);
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p) == 0);
}

static void
allows_the_rest(void)
{
	struct itimerspec	t = { { 0, 0 }, { 0, 1 } };
	struct sigevent		se = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct timespec		ts;
	struct rlimit		lim;
	struct stat		st;
	timer_t			timer;
	sigset_t		set;
	uint64_t		one = 1;
	char			path[] = "/tmp/weir-seccomp-XXXXXX", *big;
	int			fd;

	enter();
	MUST((big = malloc(10 << 20)) != NULL && memset(big, 1, 10 << 20) == big);
	free(big);
	MUST(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
	MUST((fd = eventfd(0, EFD_CLOEXEC)) >= 0 && write(fd, &one, 8) == 8);
	MUST(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC) >= 0);
	MUST(memfd_create("x", MFD_CLOEXEC) >= 0);
	sigemptyset(&set);
	MUST(sigprocmask(SIG_SETMASK, &set, NULL) == 0);
	MUST(signalfd(-1, &set, SFD_CLOEXEC) >= 0);
	MUST(signal(SIGUSR1, on_signal) != SIG_ERR);
	MUST(raise(SIGUSR1) == 0 && got_signal == SIGUSR1);
	MUST(kill(getpid(), 0) == 0);
	MUST(timer_create(CLOCK_MONOTONIC, &se, &timer) == 0);
	got_signal = 0;
	MUST(timer_settime(timer, 0, &t, NULL) == 0);
	while (got_signal == 0)
		sched_yield();
	MUST(timer_delete(timer) == 0);
	MUST(getrlimit(RLIMIT_NOFILE, &lim) == 0);
	MUST(prctl(PR_SET_NAME, "weir: test", 0, 0, 0) == 0);
	MUST((fd = mkstemp(path)) >= 0);
	MUST(write(fd, "x", 1) == 1 && fsync(fd) == 0 && ftruncate(fd, 0) == 0);
	MUST(fstat(fd, &st) == 0 && stat(path, &st) == 0 && fchmod(fd, 0600) == 0);
	MUST(unlink(path) == 0);
	MUST((fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC)) >= 0 && close(fd) == 0);
	isatty(0);
	MUST(errno != EPERM);
}

static void
kills(void)
{
	box.kill = true;
	enter();
	/* What libraries try, and live without, never kills. */
	DENIED(socket(AF_NETLINK, SOCK_RAW, 0));
	syscall(SYS_chroot, "/");
	MUST(!"still alive");
}

#ifdef __x86_64__
static void
other_numbers(void)
{
	enter();
	syscall(0x40000000 | SYS_getpid);
	MUST(!"still alive");
}
#endif

static void
dies(void (*fn)(void), int sig)
{
	char	text[1000];
	int	status = child_run(fn, text, sizeof(text));

	if (!WIFSIGNALED(status) || WTERMSIG(status) != sig)
		fail_msg("status %x: %s", (unsigned)status, text);
}

static void
test_denies(void **state)
{
	(void)state;
	child_ok(denies);
	child_ok(denies_sockets);
#if !SANDBOX_SANITIZED
	child_ok(denies_the_rest);
#endif
}

static void
test_allows(void **state)
{
	(void)state;
	child_ok(allows_sockets);
	child_ok(allows_the_rest);
#if !SANDBOX_SANITIZED
	child_ok(holds_threads);
	child_ok(allows_jit);
#endif
}

static void
test_kills(void **state)
{
	(void)state;
	dies(kills, SIGSYS);
#ifdef __x86_64__
	dies(other_numbers, SIGSYS);
#endif
}

/* abort() works inside, and is the signal that it should be. */
static void
aborts(void)
{
	enter();
	abort();
}

static void
test_abort(void **state)
{
	(void)state;
	dies(aborts, SIGABRT);
}

/* No jump leaves the program, and every path ends in a return. */
static void
test_program(void **state)
{
	static struct program	p;
	struct weir_sandbox	s = { .kill = true };
	unsigned		i;

	(void)state;
	make_program(&p, &s);
	assert_true(p.n < MAX_PROGRAM);
	for (i = 0; i < p.n; i++)
		if (BPF_CLASS(p.code[i].code) == BPF_JMP) {
			assert_true(i + 1 + p.code[i].jt < p.n);
			assert_true(i + 1 + p.code[i].jf < p.n);
		}
	assert_int_equal(BPF_CLASS(p.code[p.n - 1].code), BPF_RET);
	assert_int_equal(p.code[p.n - 1].k, SECCOMP_RET_KILL_PROCESS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_program),
		cmocka_unit_test(test_denies),
		cmocka_unit_test(test_allows),
		cmocka_unit_test(test_kills),
		cmocka_unit_test(test_abort),
	};

	return RUN(tests);
}
