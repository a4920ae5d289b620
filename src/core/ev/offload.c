/*
 * offload.c - a few threads, a queue before them and one behind.
 *
 * One lock guards both queues.  Who has it does nothing but move pointers.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/ev/loop.h"
#include "core/ev/offload.h"

#define STACK_SIZE	(512 * 1024)	/* crypt_r() wants 32k of it */
#define NICER		5		/* than the loop */

enum { JOB_IDLE, JOB_WAITS, JOB_RUNS, JOB_ENDED };

struct jobs {
	struct weir_job	*first, **tail;
	unsigned	 n;
};

static struct {
	pthread_mutex_t	 lock;
	pthread_cond_t	 more;		/* something waits, or the end is near */
	pthread_cond_t	 changed;	/* a thread has begun, or ended */
	struct jobs	 waiting, ended;
	unsigned	 running;	/* jobs */
	unsigned	 threads;	/* that are alive */
	bool		 ending;
} all = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER };

static struct weir_fd	 notice = { .fd = -1 };
static pthread_t	 threads[OFFLOAD_THREADS];
static unsigned		 n_threads;	/* that were made */

static void
jobs_init(struct jobs *q)
{
	q->first = NULL;
	q->tail = &q->first;
	q->n = 0;
}

static void
jobs_add(struct jobs *q, struct weir_job *j, uint8_t state)
{
	j->next = NULL;
	j->state = state;
	*q->tail = j;
	q->tail = &j->next;
	q->n++;
}

static struct weir_job *
jobs_take(struct jobs *q)
{
	struct weir_job *j = q->first;

	if (j == NULL)
		return NULL;
	q->first = j->next;
	if (q->first == NULL)
		q->tail = &q->first;
	q->n--;
	return j;
}

static void
jobs_remove(struct jobs *q, struct weir_job *j)
{
	struct weir_job **at = &q->first;

	while (*at != j)
		at = &(*at)->next;
	*at = j->next;
	if (q->tail == &j->next)
		q->tail = at;
	q->n--;
}

/* ---- in threads ---- */

static void
tell_loop(void)
{
	static const uint64_t one = 1;

	while (write(notice.fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* With the lock held; without it while the job runs. */
static void
run_one(struct weir_job *j)
{
	bool first;

	j->state = JOB_RUNS;
	all.running++;
	pthread_mutex_unlock(&all.lock);
	j->run(j);
	pthread_mutex_lock(&all.lock);
	all.running--;
	first = all.ended.n == 0;
	jobs_add(&all.ended, j, JOB_ENDED);
	if (first)		/* or the loop knows already */
		tell_loop();
}

static void *
thread_main(void *arg)
{
	struct weir_job *j;

	(void)arg;
	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), getpriority(PRIO_PROCESS, 0) + NICER);
	pthread_mutex_lock(&all.lock);
	all.threads++;
	pthread_cond_signal(&all.changed);
	while (!all.ending) {
		if ((j = jobs_take(&all.waiting)) != NULL)
			run_one(j);
		else
			pthread_cond_wait(&all.more, &all.lock);
	}
	all.threads--;
	pthread_cond_signal(&all.changed);
	pthread_mutex_unlock(&all.lock);
	return NULL;
}

/* ---- on the loop ---- */

static void
finish(struct weir_job *j)
{
	if (j->done != NULL)
		j->done(j);
	j->free(j);
}

static void
on_notice(struct weir_fd *f, unsigned ev)
{
	struct weir_job	*j;
	uint64_t	 n;
	unsigned	 most;

	(void)ev;
	if (read(f->fd, &n, sizeof(n)) < 0)
		return;
	pthread_mutex_lock(&all.lock);
	/* Only those that are here: who ends meanwhile comes with the next turn. */
	for (most = all.ended.n; most > 0 && (j = jobs_take(&all.ended)) != NULL; most--) {
		pthread_mutex_unlock(&all.lock);
		finish(j);
		pthread_mutex_lock(&all.lock);
	}
	if (all.ended.n != 0)
		tell_loop();
	pthread_mutex_unlock(&all.lock);
}

/* A thread that crashes is to leave a backtrace, as the loop does. */
static void
block_signals(sigset_t *before)
{
	static const int crash[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS };
	sigset_t	 set;
	unsigned	 i;

	sigfillset(&set);
	for (i = 0; i < WEIR_COUNT(crash); i++)
		sigdelset(&set, crash[i]);
	pthread_sigmask(SIG_SETMASK, &set, before);
}

static int
make_threads(void)
{
	pthread_attr_t	attr;
	sigset_t	before;
	int		err = 0;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	block_signals(&before);
	while (n_threads < OFFLOAD_THREADS && err == 0)
		if ((err = pthread_create(&threads[n_threads], &attr, thread_main, NULL)) == 0)
			n_threads++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	errno = err;
	return n_threads > 0 ? WEIR_OK : WEIR_FAIL;
}

int
offload_begin(void)
{
	pthread_condattr_t mono;

	if (n_threads > 0)
		return WEIR_OK;
	jobs_init(&all.waiting);
	jobs_init(&all.ended);
	all.ending = false;
	pthread_condattr_init(&mono);
	pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
	pthread_cond_init(&all.changed, &mono);
	notice = (struct weir_fd){ .on = on_notice };
	notice.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (notice.fd < 0 || fd_watch_level(&notice) != WEIR_OK || make_threads() != WEIR_OK) {
		int saved = errno;

		fd_end(&notice);
		errno = saved;
		return WEIR_FAIL;
	}
	/* What a thread does at its begin it would not be allowed to do after we are locked in. */
	pthread_mutex_lock(&all.lock);
	while (all.threads < n_threads)
		pthread_cond_wait(&all.changed, &all.lock);
	pthread_mutex_unlock(&all.lock);
	return WEIR_OK;
}

int
offload(struct weir_job *j)
{
	int rc = WEIR_AGAIN;

	if (unlikely(n_threads == 0) && offload_begin() != WEIR_OK) {
		log_crit(weir_log, "no threads can be made");
		return WEIR_FAIL;
	}
	pthread_mutex_lock(&all.lock);
	if (all.waiting.n < OFFLOAD_QUEUE) {
		jobs_add(&all.waiting, j, JOB_WAITS);
		pthread_cond_signal(&all.more);
		rc = WEIR_OK;
	}
	pthread_mutex_unlock(&all.lock);
	return rc;
}

void
offload_cancel(struct weir_job *j)
{
	bool waits;

	pthread_mutex_lock(&all.lock);
	waits = j->state == JOB_WAITS;
	if (waits)
		jobs_remove(&all.waiting, j);
	pthread_mutex_unlock(&all.lock);
	j->done = NULL;			/* threads do not look at it */
	if (waits)
		j->free(j);
}

/* Until no thread is left, or the time is over. */
static void
await_threads(unsigned max_ms)
{
	struct timespec	at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += max_ms / 1000;
	at.tv_nsec += (long)(max_ms % 1000) * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_sec++;
		at.tv_nsec -= 1000000000;
	}
	while (all.threads > 0 && pthread_cond_timedwait(&all.changed, &all.lock, &at) == 0)
		;
}

void
offload_end(unsigned max_ms)
{
	struct weir_job	*j;
	unsigned	 left, i;

	if (n_threads == 0)
		return;
	pthread_mutex_lock(&all.lock);
	all.ending = true;
	pthread_cond_broadcast(&all.more);
	await_threads(max_ms);
	left = all.threads;
	while ((j = jobs_take(&all.waiting)) != NULL || (j = jobs_take(&all.ended)) != NULL) {
		pthread_mutex_unlock(&all.lock);
		j->free(j);
		pthread_mutex_lock(&all.lock);
	}
	pthread_mutex_unlock(&all.lock);
	if (left > 0)
		return;			/* they still use what is here */
	for (i = 0; i < n_threads; i++)
		pthread_join(threads[i], NULL);
	n_threads = 0;
	fd_end(&notice);
}

void
offload_count(unsigned *waiting, unsigned *running)
{
	pthread_mutex_lock(&all.lock);
	*waiting = all.waiting.n;
	*running = all.running;
	pthread_mutex_unlock(&all.lock);
}
