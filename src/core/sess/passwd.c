/*
 * passwd.c - is this the password whose hash is stored?
 */
#include "config.h"
#include "core/base/base64.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/num.h"
#include "core/ev/offload.h"
#include "core/sess/passwd.h"

/* ---- what hashes cost: rough microseconds, good enough for comparing ---- */

/* Of "$2y$12$...": the twelve. */
static uint64_t
cost_bcrypt(struct weir_str s)
{
	uint64_t n;

	if (s.n < 7 || s.p[6] != '$' || num_u64(str_of(s.p + 4, 2), &n) != WEIR_OK)
		return 1;
	return (uint64_t)60 << WEIR_MIN(n, 31u);
}

/* "$6$rounds=N$salt$...": two rounds take one. */
static uint64_t
cost_sha(struct weir_str s)
{
	uint64_t n = 5000;
	ssize_t	 end;

	s = str_from(s, 3);
	if (!str_begins(s, STR("rounds=")))
		return n / 2;
	s = str_from(s, 7);
	end = str_chr(s, '$');
	if (end < 0 || num_u64(str_of(s.p, (size_t)end), &n) != WEIR_OK)
		return 1;
	return WEIR_MIN(n, 999999999u) / 2;
}

/* The value of a digit of crypt(3)'s alphabet. */
static unsigned
crypt_digit(char c)
{
	static const char digits[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	const char	 *p = c != '\0' ? strchr(digits, c) : NULL;

	return p != NULL ? (unsigned)(p - digits) : 0;
}

/* "$y$j9T$...": 2^(value of the 9 + 1) blocks of a size that the T says. */
static uint64_t
cost_yescrypt(struct weir_str s)
{
	ssize_t	 at = str_chr(str_from(s, 1), '$');
	uint64_t blocks;

	s = str_from(s, (size_t)at + 2);
	if (s.n < 4)
		return 1;
	blocks = (uint64_t)1 << WEIR_MIN(crypt_digit(s.p[1]) + 1, 31u);
	return blocks * (crypt_digit(s.p[2]) + 1) / 10;
}

static uint64_t
cost_fixed_few(struct weir_str s)
{
	(void)s;
	return 500;
}

static uint64_t
cost_fixed_many(struct weir_str s)
{
	(void)s;
	return 50000;
}

static const struct kind {
	const char	*prefix;
	uint64_t	(*cost)(struct weir_str);	/* NULL: compared at once */
} kinds[] = {
	{ "{PLAIN}", NULL }, { "{SHA}", NULL }, { "{SSHA}", NULL },
	{ "$apr1$", cost_fixed_few }, { "$1$", cost_fixed_few },
	{ "$2y$", cost_bcrypt }, { "$2b$", cost_bcrypt }, { "$2a$", cost_bcrypt }, { "$2x$", cost_bcrypt },
	{ "$5$", cost_sha }, { "$6$", cost_sha },
	{ "$y$", cost_yescrypt }, { "$gy$", cost_yescrypt },
	{ "$7$", cost_fixed_many }, { "$md5", cost_fixed_many }, { "$sha1$", cost_fixed_many },
};

uint64_t
passwd_cost(struct weir_str stored)
{
	unsigned i;

	for (i = 0; i < WEIR_COUNT(kinds); i++)
		if (str_begins(stored, str_c(kinds[i].prefix)))
			return kinds[i].cost != NULL ? WEIR_MAX(kinds[i].cost(stored), 1u) : 0;
	return 1;		/* DES, or nothing that crypt(3) knows */
}

#if HAVE_CRYPT && HAVE_OPENSSL

#include <crypt.h>
#include <openssl/evp.h>

#define SHA1_LEN 20
#define MD5_LEN	 16

static EVP_MD *md5, *sha1;

/*
 * The time depends on the length of `given` only, which its owner knows.
 */
static bool
same(struct weir_str given, struct weir_str stored)
{
	volatile unsigned char	diff = given.n != stored.n;
	size_t			i;

	for (i = 0; i < given.n; i++)
		diff |= (unsigned char)(given.p[i] ^ (stored.n != 0 ? stored.p[i % stored.n] : 0));
	return diff == 0;
}

/* ---- compared at once ---- */

/* `text` is base64 of the SHA-1 of password and salt, and the salt. */
static enum weir_passwd_answer
check_sha1(struct weir_str password, struct weir_str text, bool salted)
{
	char		raw[BASE64_ROOM(PASSWD_HASH_MAX)];
	unsigned char	got[SHA1_LEN];
	EVP_MD_CTX     *c;
	ssize_t		n = text.n <= PASSWD_HASH_MAX ? base64_read(raw, text, false) : -1;
	bool		ok;

	if (n < SHA1_LEN || (!salted && n != SHA1_LEN) || (c = EVP_MD_CTX_new()) == NULL)
		return PASSWD_UNFIT;
	ok = EVP_DigestInit_ex(c, sha1, NULL) == 1 && EVP_DigestUpdate(c, password.p, password.n) == 1 &&
	    EVP_DigestUpdate(c, raw + SHA1_LEN, (size_t)n - SHA1_LEN) == 1 &&
	    EVP_DigestFinal_ex(c, got, NULL) == 1;
	EVP_MD_CTX_free(c);
	if (!ok)
		return PASSWD_UNFIT;
	return same(str_of((char *)got, SHA1_LEN), str_of(raw, SHA1_LEN)) ? PASSWD_YES : PASSWD_NO;
}

static enum weir_passwd_answer
check_at_once(struct weir_str password, struct weir_str stored)
{
	if (str_begins(stored, STR("{PLAIN}")))
		return same(password, str_from(stored, 7)) ? PASSWD_YES : PASSWD_NO;
	if (str_begins(stored, STR("{SHA}")))
		return check_sha1(password, str_from(stored, 5), false);
	return check_sha1(password, str_from(stored, 6), true);
}

/* ---- $apr1$: the MD5 scheme of $1$, under another name ---- */

#define APR1_SALT_MAX	8
#define APR1_LEN	(6 + APR1_SALT_MAX + 1 + 22)

static void
put_digits(char **to, unsigned v, unsigned n)
{
	static const char digits[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

	for (; n > 0; n--, v >>= 6)
		*(*to)++ = digits[v & 63];
}

/* The bytes of a digest in the order that the scheme wants. */
static char *
put_digest(char *to, const unsigned char d[MD5_LEN])
{
	unsigned i;

	for (i = 0; i < 5; i++)
		put_digits(&to, (unsigned)d[i] << 16 | (unsigned)d[i + 6] << 8 |
		    d[i == 4 ? 5 : i + 12], 4);
	put_digits(&to, d[11], 2);
	return to;
}

struct md5 {
	EVP_MD_CTX	*c;
	bool		 ok;
};

static void
md5_begin(struct md5 *m)
{
	m->ok &= EVP_DigestInit_ex(m->c, md5, NULL) == 1;
}

static void
md5_add(struct md5 *m, const void *p, size_t n)
{
	m->ok &= EVP_DigestUpdate(m->c, p, n) == 1;
}

static void
md5_end(struct md5 *m, unsigned char to[MD5_LEN])
{
	m->ok &= EVP_DigestFinal_ex(m->c, to, NULL) == 1;
}

static void
apr1_first(struct md5 *m, struct weir_str pw, struct weir_str salt, unsigned char d[MD5_LEN])
{
	size_t i;

	md5_begin(m);
	md5_add(m, pw.p, pw.n);
	md5_add(m, salt.p, salt.n);
	md5_add(m, pw.p, pw.n);
	md5_end(m, d);
	md5_begin(m);
	md5_add(m, pw.p, pw.n);
	md5_add(m, "$apr1$", 6);
	md5_add(m, salt.p, salt.n);
	for (i = pw.n; i > 0; i -= WEIR_MIN(i, MD5_LEN))
		md5_add(m, d, WEIR_MIN(i, MD5_LEN));
	for (i = pw.n; i != 0; i >>= 1)
		md5_add(m, i & 1 ? "" : pw.p, 1);
	md5_end(m, d);
}

static void
apr1_round(struct md5 *m, struct weir_str pw, struct weir_str salt, unsigned i,
    unsigned char d[MD5_LEN])
{
	md5_begin(m);
	if (i & 1)
		md5_add(m, pw.p, pw.n);
	else
		md5_add(m, d, MD5_LEN);
	if (i % 3 != 0)
		md5_add(m, salt.p, salt.n);
	if (i % 7 != 0)
		md5_add(m, pw.p, pw.n);
	if (i & 1)
		md5_add(m, d, MD5_LEN);
	else
		md5_add(m, pw.p, pw.n);
	md5_end(m, d);
}

/* Writes up to APR1_LEN bytes; their number, or 0. */
static size_t
apr1(struct weir_str pw, struct weir_str stored, char to[APR1_LEN])
{
	struct md5	m = { EVP_MD_CTX_new(), true };
	struct weir_str	salt = str_from(stored, 6);
	ssize_t		end = str_chr(salt, '$');
	unsigned char	d[MD5_LEN];
	char	       *at = to;
	unsigned	i;

	if (m.c == NULL)
		return 0;
	salt.n = WEIR_MIN(end >= 0 ? (size_t)end : salt.n, APR1_SALT_MAX);
	apr1_first(&m, pw, salt, d);
	for (i = 0; i < 1000; i++)
		apr1_round(&m, pw, salt, i, d);
	EVP_MD_CTX_free(m.c);
	memcpy(at, "$apr1$", 6);
	at += 6;
	if (salt.n != 0)
		memcpy(at, salt.p, salt.n);
	at += salt.n;
	*at++ = '$';
	at = put_digest(at, d);
	return m.ok ? (size_t)(at - to) : 0;
}

static enum weir_passwd_answer
check_apr1(struct weir_str password, struct weir_str stored)
{
	char	got[APR1_LEN];
	size_t	n = apr1(password, stored, got);

	if (n == 0 || n != stored.n)
		return PASSWD_UNFIT;
	return same(str_of(got, n), stored) ? PASSWD_YES : PASSWD_NO;
}

/* ---- in a thread ---- */

struct weir_passwd {
	struct weir_job	 job;
	void		(*done)(void *, enum weir_passwd_answer);
	void		*arg;
	enum weir_passwd_answer answer;
	bool		 never;		/* such a password cannot be right; only the time is wanted */
	bool		 has_stored;
	size_t		 n;		/* of the password */
	char		 password[PASSWD_MAX + 1];
	char		 stored[PASSWD_HASH_MAX + 1], dummy[PASSWD_HASH_MAX + 1];
};

static enum weir_passwd_answer
check_crypt(const struct weir_passwd *p, const char *stored)
{
	struct crypt_data	data;
	enum weir_passwd_answer	answer = PASSWD_UNFIT;
	const char	       *got;

	memset(&data, 0, sizeof(data));
	got = crypt_r(p->password, stored, &data);
	if (got != NULL && got[0] != '*' && strlen(got) == strlen(stored))
		answer = same(str_c(got), str_c(stored)) ? PASSWD_YES : PASSWD_NO;
	explicit_bzero(&data, sizeof(data));
	return answer;
}

static enum weir_passwd_answer
hash(const struct weir_passwd *p, const char *stored)
{
	if (str_begins(str_c(stored), STR("$apr1$")))
		return check_apr1(str_of(p->password, p->n), str_c(stored));
	return check_crypt(p, stored);
}

static void
run(struct weir_job *j)
{
	struct weir_passwd	*p = WEIR_OF(j, struct weir_passwd, job);

	if (p->has_stored)
		p->answer = hash(p, p->stored);
	if (p->answer == PASSWD_YES && p->never)
		p->answer = PASSWD_NO;
	if (p->answer != PASSWD_YES && p->dummy[0] != '\0')
		(void)hash(p, p->dummy);	/* for its time */
	explicit_bzero(p->password, sizeof(p->password));
}

static void
job_done(struct weir_job *j)
{
	struct weir_passwd *p = WEIR_OF(j, struct weir_passwd, job);

	p->done(p->arg, p->answer);
}

static void
job_free(struct weir_job *j)
{
	struct weir_passwd *p = WEIR_OF(j, struct weir_passwd, job);

	explicit_bzero(p, sizeof(*p));
	mem_free(p);
}

/* What has a NUL in it or is too long for crypt(3) is cut, and is wrong. */
static void
take_password(struct weir_passwd *p, struct weir_str password)
{
	p->n = WEIR_MIN(password.n, (size_t)PASSWD_MAX);
	if (p->n != 0)
		memcpy(p->password, password.p, p->n);
	p->never = password.n > PASSWD_MAX || strlen(p->password) != p->n;
}

static void
take_hash(char to[PASSWD_HASH_MAX + 1], struct weir_str stored)
{
	if (stored.n != 0 && stored.n <= PASSWD_HASH_MAX)
		memcpy(to, stored.p, stored.n);
}

enum weir_passwd_answer
passwd_check(const struct weir_passwd_ask *ask, struct weir_passwd **check)
{
	enum weir_passwd_answer	answer = PASSWD_NO;
	uint64_t		dummy = ask->dummy.n != 0 ? passwd_cost(ask->dummy) : 0;
	uint64_t		cost = ask->stored.p != NULL ? passwd_cost(ask->stored) : 0;
	struct weir_passwd     *p;

	if (ask->stored.p != NULL && cost == 0)
		answer = check_at_once(ask->password, ask->stored);
	if (answer == PASSWD_YES || (cost == 0 && dummy == 0))
		return answer;
	p = mem_zalloc(sizeof(*p));
	p->answer = answer;
	p->done = ask->done;
	p->arg = ask->arg;
	take_password(p, ask->password);
	if ((p->has_stored = cost != 0))
		take_hash(p->stored, ask->stored);
	if (dummy > cost)
		take_hash(p->dummy, ask->dummy);
	p->job = (struct weir_job){ .run = run, .done = job_done, .free = job_free };
	if (offload(&p->job) != WEIR_OK) {
		job_free(&p->job);
		return PASSWD_BUSY;
	}
	*check = p;
	return PASSWD_LATER;
}

void
passwd_cancel(struct weir_passwd *p)
{
	offload_cancel(&p->job);
}

int
passwd_start(void)
{
	if (md5 == NULL)
		md5 = EVP_MD_fetch(NULL, "MD5", NULL);
	if (sha1 == NULL)
		sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
	if (md5 != NULL && sha1 != NULL)
		return WEIR_OK;
	log_critx(weir_log, "OpenSSL has no MD5 or no SHA1, which hashes of passwords need");
	return WEIR_FAIL;
}

#endif
