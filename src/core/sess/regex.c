/*
 * regex.c - regular expressions by PCRE2, 8 bit, with JIT where the system lets us.
 *
 * One match block, context and JIT stack serve the whole process: matching never
 * waits and never nests.  The work of a match is bounded (S-190): with JIT by the number of
 * backtracks and by the JIT's own stack.  PCRE2's interpreter, which works where the system
 * forbids JIT, counts anew for each place where a match might begin, so there the
 * places are tried a few at a time, with an eye on the clock.  Neither recurses on the C stack.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <time.h>

#include "core/sess/regex.h"

#define MATCH_LIMIT	1000000		/* backtracks: 3 ms with JIT, 40 without */
#define AT_A_TIME	16		/* without JIT: beginnings between two looks at the clock */
#define MOST_MS		100
#define HEAP_LIMIT_KB	8192
#define JIT_STACK_MIN	(32u << 10)
#define JIT_STACK_MAX	(1u << 20)
#define PATTERN_MAX	65535

struct named {
	unsigned	 variable, group;
};

struct weir_regex {
	pcre2_code	*code;
	struct weir_str	 pattern;
	unsigned	 groups;
	unsigned	 n_named;
	struct named	*named;
	bool		 jit;		/* compiled to machine code */
	bool		 utf;		/* (*UTF): subjects must be checked */
};

bool regex_jit = true;

static pcre2_match_data		*found;		/* of the process */
static unsigned			 found_pairs;
static pcre2_match_context	*limits;

/*
 * Compiling.
 */

static void
regex_free(void *arg)
{
	struct weir_regex *re = arg;

	pcre2_code_free(re->code);
}

static int
compile_error(struct weir_conf *cf, const struct weir_node *node, unsigned w, int err, size_t at,
    struct weir_str pattern)
{
	char text[256];

	if (pcre2_get_error_message(err, (PCRE2_UCHAR *)text, sizeof(text)) < 0)
		memcpy(text, "unknown error", sizeof("unknown error"));
	if (at >= pattern.n)
		return conf_error(cf, node, w, "regex \"%.*s\": %s at its end", STR_ARG(pattern), text);
	return conf_error(cf, node, w, "regex \"%.*s\": %s at offset %zu, \"%.*s\"", STR_ARG(pattern),
	    text, at, STR_ARG(str_from(pattern, at)));
}

/* Each named group defines a variable. */
static int
define_names(struct weir_conf *cf, const struct weir_node *node, unsigned w, struct weir_regex *re)
{
	static const struct weir_var nothing = { .flags = VAR_WEAK };
	PCRE2_SPTR	table = NULL;
	uint32_t	n = 0, size = 0, i;
	struct weir_str	name;

	pcre2_pattern_info(re->code, PCRE2_INFO_NAMECOUNT, &n);
	pcre2_pattern_info(re->code, PCRE2_INFO_NAMEENTRYSIZE, &size);
	pcre2_pattern_info(re->code, PCRE2_INFO_NAMETABLE, &table);
	if (n == 0)
		return WEIR_OK;
	assert(vars_now != NULL);
	re->named = pool_alloc(cf->pool, n * sizeof(*re->named));
	for (i = 0; i < n; i++, table += size) {
		re->named[i].group = (unsigned)(table[0] << 8 | table[1]);
		name = str_c((const char *)table + 2);
		if (vars_define(vars_now, name, &nothing, &re->named[i].variable) != WEIR_OK)
			return conf_error(cf, node, w,
			    "the group \"%.*s\" has the name of a variable that cannot be changed",
			    STR_ARG(name));
	}
	re->n_named = n;
	return WEIR_OK;
}

int
regex_compile(struct weir_conf *cf, const struct weir_node *node, unsigned w, struct weir_str pattern,
    bool nocase, struct weir_regex **to)
{
	struct weir_regex	*re = POOL_NEW(cf->pool, weir_regex);
	uint32_t		 groups = 0, options = 0;
	int			 err;
	PCRE2_SIZE		 at;

	if (pattern.n > PATTERN_MAX)
		return conf_error(cf, node, w, "the regex is longer than %d bytes", PATTERN_MAX);
	re->pattern = pool_str(cf->pool, pattern);
	re->code = pcre2_compile((PCRE2_SPTR)re->pattern.p, pattern.n,
	    PCRE2_USE_OFFSET_LIMIT | (nocase ? PCRE2_CASELESS : 0), &err, &at, NULL);
	if (re->code == NULL)
		return compile_error(cf, node, w, err, at, pattern);
	pool_on_free(cf->pool, regex_free, re);
	pcre2_pattern_info(re->code, PCRE2_INFO_CAPTURECOUNT, &groups);
	pcre2_pattern_info(re->code, PCRE2_INFO_ALLOPTIONS, &options);
	re->groups = groups;
	re->utf = (options & PCRE2_UTF) != 0;
	re->jit = regex_jit && pcre2_jit_compile(re->code, PCRE2_JIT_COMPLETE) == 0;
	*to = re;
	return define_names(cf, node, w, re);
}

unsigned
regex_groups(const struct weir_regex *re)
{
	return re->groups;
}

struct weir_str
regex_pattern(const struct weir_regex *re)
{
	return re->pattern;
}

/*
 * Matching.
 */

/* Room for the results; false when there is no memory for it. */
static bool
make_room(unsigned pairs)
{
	pcre2_jit_stack *stack;

	if (limits == NULL) {
		if ((limits = pcre2_match_context_create(NULL)) == NULL)
			return false;
		pcre2_set_match_limit(limits, MATCH_LIMIT);
		pcre2_set_heap_limit(limits, HEAP_LIMIT_KB);
		/* Without a stack of its own the JIT has 32k on ours. */
		stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, NULL);
		pcre2_jit_stack_assign(limits, NULL, stack);
	}
	if (found_pairs >= pairs)
		return true;
	pcre2_match_data_free(found);
	found = pcre2_match_data_create(pairs, NULL);
	found_pairs = found != NULL ? pairs : 0;
	return found != NULL;
}

static int
failed(struct weir_log *log, const struct weir_regex *re, struct weir_str subject, int err)
{
	char text[128];

	if (pcre2_get_error_message(err, (PCRE2_UCHAR *)text, sizeof(text)) < 0)
		memcpy(text, "unknown error", sizeof("unknown error"));
	log_errorx(log, "the regex \"%.*s\" gave up on %zu bytes: %s", STR_ARG(re->pattern),
	    subject.n, text);
	return WEIR_FAIL;
}

static uint64_t
clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Without JIT.  As pcre2_match(), but for patterns that look back to where matching began (\G). */
static int
interpret(const struct weir_regex *re, PCRE2_SPTR p, size_t n)
{
	uint64_t	began = 0;
	size_t		at;
	int		rc;

	for (at = 0; ; at += AT_A_TIME) {
		while (re->utf && at < n && (p[at] & 0xc0) == 0x80)
			at++;		/* a beginning must be one of a character */
		pcre2_set_offset_limit(limits, at + AT_A_TIME - 1);
		rc = pcre2_match(re->code, p, n, at, PCRE2_NO_JIT | (at != 0 ? PCRE2_NO_UTF_CHECK : 0),
		    found, limits);
		if (rc != PCRE2_ERROR_NOMATCH || n - at < AT_A_TIME)
			break;
		if (began == 0)
			began = clock_ms();
		else if (clock_ms() - began > MOST_MS)
			rc = PCRE2_ERROR_MATCHLIMIT;
		if (rc != PCRE2_ERROR_NOMATCH)
			break;
	}
	pcre2_set_offset_limit(limits, PCRE2_UNSET);
	return rc;
}

static int
match(struct weir_log *log, const struct weir_regex *re, struct weir_str subject)
{
	PCRE2_SPTR	p = (PCRE2_SPTR)(subject.p != NULL ? subject.p : "");
	int		rc;

	if (!make_room(re->groups + 1))
		return failed(log, re, subject, PCRE2_ERROR_NOMEMORY);
	if (!re->jit)
		rc = interpret(re, p, subject.n);
	else if (re->utf)
		rc = pcre2_match(re->code, p, subject.n, 0, 0, found, limits);
	else
		rc = pcre2_jit_match(re->code, p, subject.n, 0, 0, found, limits);
	if (rc == PCRE2_ERROR_NOMATCH)
		return WEIR_AGAIN;
	return rc > 0 ? WEIR_OK : failed(log, re, subject, rc);
}

int
regex_test(struct weir_regex *re, struct weir_str subject)
{
	return match(weir_log, re, subject);
}

static void
keep_captures(struct weir_sess *s, const struct weir_regex *re, struct weir_str subject)
{
	const PCRE2_SIZE	*at = pcre2_get_ovector_pointer(found);
	unsigned		 pairs = re->groups + 1, i;

	s->cap = (struct weir_captures){ .subject = subject };
	if (re->groups == 0)
		return;
	/* Never written over: an expression may hold the captures of an earlier match. */
	s->cap.offs = pool_alloc(s->pool, 2 * pairs * sizeof(*s->cap.offs));
	s->cap.n = pairs;
	for (i = 0; i < 2 * pairs; i++)
		s->cap.offs[i] = at[i] == PCRE2_UNSET ? UINT32_MAX - (i & 1) : (uint32_t)at[i];
}

int
regex_match(struct weir_sess *s, struct weir_regex *re, struct weir_str subject)
{
	unsigned	i;
	int		rc;

	if (subject.p == NULL)
		subject = STR("");
	if (subject.n >= UINT32_MAX - 1)
		return failed(&s->log, re, subject, PCRE2_ERROR_BADOFFSET);
	if ((rc = match(&s->log, re, subject)) != WEIR_OK)
		return rc;
	keep_captures(s, re, subject);
	for (i = 0; i < re->n_named; i++)
		var_set(s, re->named[i].variable, sess_capture(&s->cap, re->named[i].group));
	return WEIR_OK;
}
