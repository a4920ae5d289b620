/*
 * standalone.c - runs a fuzz driver where there is no libFuzzer.
 *
 *	driver [-n inputs] [-t seconds] [-s seed] [-o file] [-m max] file|folder ...
 *
 * First every file given is replayed as it is, then mutations of them are tried
 * until `inputs` of them have run or `seconds` are over.  The same seed makes
 * the same inputs, so a crash comes again.  An input that crashes, or takes longer
 * than ten seconds, is left in `file`.
 */
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { TOO_LONG_S = 10, MAX_SEEDS = 4096 };

struct input {
	uint8_t	*p;
	size_t	 n;
};

static struct input	 seeds[MAX_SEEDS];
static unsigned		 n_seeds;
static size_t		 max_len = 4096;
static uint64_t		 dice = 0x9e3779b97f4a7c15;
static const char	*crash_file = "crash";
static struct input	 now;			/* what is being tried, for the handlers */

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);
void __sanitizer_set_death_callback(void (*)(void)) __attribute__((weak));

/* xorshift64*, then a value below n. */
static size_t
roll(size_t n)
{
	dice ^= dice >> 12;
	dice ^= dice << 25;
	dice ^= dice >> 27;
	return n == 0 ? 0 : (dice * 0x2545f4914f6cdd1d >> 16) % n;
}

static void
keep_input(void)
{
	int fd = open(crash_file, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd != -1 && write(fd, now.p, now.n) == (ssize_t)now.n)
		dprintf(2, "the input is in %s\n", crash_file);
}

static void
on_signal(int sig)
{
	dprintf(2, "%s\n", sig == SIGALRM ? "an input takes too long" : "aborted");
	keep_input();
	signal(sig, SIG_DFL);
	raise(sig);
}

static void
try_input(const uint8_t *p, size_t n)
{
	/* A copy of exact size, so that one byte too far is seen. */
	now.p = malloc(n == 0 ? 1 : n);
	if (now.p == NULL)
		err(1, "malloc");
	memcpy(now.p, p, n);
	now.n = n;
	alarm(TOO_LONG_S);
	LLVMFuzzerTestOneInput(now.p, n);
	alarm(0);
	free(now.p);
	now.p = NULL;
}

static void
add_file(const char *path)
{
	struct input *in = &seeds[n_seeds];
	struct stat st;
	FILE *f;

	if (n_seeds == MAX_SEEDS)
		return;
	f = fopen(path, "rb");
	if (f == NULL || fstat(fileno(f), &st) != 0)
		err(1, "%s", path);
	in->n = (size_t)st.st_size;
	in->p = malloc(in->n + 1);
	if (in->p == NULL || fread(in->p, 1, in->n, f) != in->n)
		err(1, "%s", path);
	fclose(f);
	n_seeds++;
}

static void
add_path(const char *path)
{
	struct dirent **d;
	struct stat st;
	char name[4096];
	int i, n;

	if (stat(path, &st) != 0)
		err(1, "%s", path);
	if (!S_ISDIR(st.st_mode)) {
		add_file(path);
		return;
	}
	n = scandir(path, &d, NULL, alphasort);
	if (n < 0)
		err(1, "%s", path);
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof name, "%s/%s", path, d[i]->d_name);
		if (d[i]->d_name[0] != '.')
			add_file(name);
		free(d[i]);
	}
	free(d);
}

/* ---- mutations: each gets a buffer of max_len bytes and gives the new length ---- */

static size_t
flip_bit(uint8_t *p, size_t n)
{
	if (n > 0)
		p[roll(n)] ^= (uint8_t)(1u << roll(8));
	return n;
}

static size_t
set_byte(uint8_t *p, size_t n)
{
	static const char telling[] = "\0\t\n\r \"#%&'+,-./019:;<=>?@AZ[\\]az{}\x7f\x80\xff";

	if (n > 0)
		p[roll(n)] = roll(4) ? (uint8_t)telling[roll(sizeof telling - 1)] : (uint8_t)roll(256);
	return n;
}

static size_t
cut_out(uint8_t *p, size_t n)
{
	size_t at = roll(n), k = roll(n - at < 32 ? n - at : 32);

	memmove(p + at, p + at + k, n - at - k);
	return n - k;
}

static size_t
cut_off(uint8_t *p, size_t n)
{
	(void)p;
	return roll(n + 1);
}

/* Put k bytes of q in at some place. */
static size_t
put_in(uint8_t *p, size_t n, const uint8_t *q, size_t k)
{
	size_t at = roll(n + 1);

	if (k > max_len - n)
		k = max_len - n;
	memmove(p + at + k, p + at, n - at);
	memcpy(p + at, q, k);
	return n + k;
}

static size_t
repeat(uint8_t *p, size_t n)
{
	uint8_t copy[64];
	size_t at = roll(n), k = roll(n - at < sizeof copy ? n - at : sizeof copy);

	memcpy(copy, p + at, k);
	return put_in(p, n, copy, k);
}

static size_t
splice_in(uint8_t *p, size_t n)
{
	const struct input *o = &seeds[roll(n_seeds)];
	size_t at = roll(o->n);

	return put_in(p, n, o->p + at, roll(o->n - at + 1));
}

static size_t
number_in(uint8_t *p, size_t n)
{
	static const char *const numbers[] = { "0", "-1", "1", "255", "65535", "65536",
	    "4294967295", "4294967296", "9223372036854775807", "9223372036854775808",
	    "18446744073709551615", "18446744073709551616", "ffffffff", "ffffffffffffffff" };
	const char *s = numbers[roll(sizeof numbers / sizeof numbers[0])];

	return put_in(p, n, (const uint8_t *)s, strlen(s));
}

static size_t (*const mutations[])(uint8_t *, size_t) = {
	flip_bit, set_byte, set_byte, cut_out, cut_off, repeat, splice_in, number_in,
};

static void
mutate_one(uint8_t *buf)
{
	const struct input *in = &seeds[roll(n_seeds)];
	size_t n = in->n < max_len ? in->n : max_len, k = 1 + roll(6);

	memcpy(buf, in->p, n);
	while (k-- > 0)
		n = mutations[roll(sizeof mutations / sizeof mutations[0])](buf, n);
	try_input(buf, n);
}

static void
usage(void)
{
	fprintf(stderr, "usage: driver [-n inputs] [-t seconds] [-s seed] [-o file] [-m max]"
	    " file|folder ...\n");
	exit(2);
}

int
main(int argc, char **argv)
{
	unsigned long long runs = 0, limit = 0;
	time_t end = 0;
	uint8_t *buf;
	unsigned i;
	int c;

	while ((c = getopt(argc, argv, "n:t:s:o:m:")) != -1) {
		switch (c) {
		case 'n': limit = strtoull(optarg, NULL, 10); break;
		case 't': end = time(NULL) + atoi(optarg); break;
		case 's': dice ^= strtoull(optarg, NULL, 10) * 0x100000001b3; break;
		case 'o': crash_file = optarg; break;
		case 'm': max_len = strtoul(optarg, NULL, 10); break;
		default: usage();
		}
	}
	if (optind == argc || max_len == 0)
		usage();
	if (limit == 0 && end == 0)
		limit = 20000;
	for (; optind < argc; optind++)
		add_path(argv[optind]);
	if (n_seeds == 0)
		errx(1, "no inputs");
	signal(SIGALRM, on_signal);
	signal(SIGABRT, on_signal);
	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(keep_input);

	for (i = 0; i < n_seeds; i++, runs++)
		try_input(seeds[i].p, seeds[i].n);
	buf = malloc(max_len);
	if (buf == NULL)
		err(1, "malloc");
	while ((limit == 0 || runs < limit) && (end == 0 || time(NULL) < end)) {
		mutate_one(buf);
		runs++;
	}
	printf("runs: %llu\n", runs);
	free(buf);
	for (i = 0; i < n_seeds; i++)
		free(seeds[i].p);
	return 0;
}
