/*
 * rewrite.c - set, if, return, break, rewrite: nginx's little language.
 *
 * The directives of a block are a program: they run in the order in which they were
 * written, those of a server before its location is known, those of a location in
 * it.  An `if` that holds runs its own program in the midst of the outer one, and in a location
 * makes what else stands in it the request's configuration.
 *
 * A rewritten URI is searched for a location when the program has ended, unless `break` said otherwise;
 * steps.c does that and counts.  Programs are not inherited.
 */
#include <stdlib.h>
#include <sys/stat.h>

#include "core/base/num.h"
#include "core/proc/cycle.h"
#include "http/req/files.h"
#include "http/req/steps.h"
#include "http/req/vars.h"

extern const struct weir_module rewrite_module;

enum outcome {
	GO_ON,
	STOP,		/* the program ends, the request goes on */
	ANSWERED	/* run.next says how */
};

struct run {
	struct weir_req		*r;
	bool			 log;		/* rewrite_log */
	enum weir_next		 next;
};

struct op;

struct program {
	struct op		*v;
	unsigned		 n, room;
};

struct op_set {
	unsigned		 var;
	const struct weir_var	*builtin;	/* with a set() of its own, or NULL */
	struct weir_expr	 value;
};

struct op_return {
	int			 status;
	struct weir_expr	 text;		/* or the URL of a redirect; when set */
};

struct op_rewrite {
	struct weir_regex	*re;
	struct weir_expr	 to;		/* the path; of a redirect everything */
	struct weir_expr	 args;		/* behind "?", when set; never of a redirect */
	bool			 keep_args;	/* the request's own follow */
	bool			 has_args;	/* the replacement has a "?" */
	int			 status;	/* of a redirect, else 0 */
	bool			 stop, stay;	/* last: stop; break: stop and stay */
};

struct condition {
	bool			 negated;
	unsigned		 var;
	struct weir_regex	*re;		/* ~ */
	struct weir_expr	 value;		/* =, when set; the path of a file test */
	char			 file;		/* f, d, e, x; 0: no file test */
};

struct op_if {
	struct condition	 cond;
	struct weir_location	*inner;		/* NULL on server level */
	const struct program	*program;	/* NULL: it has none */
};

struct op {
	unsigned		 seq;		/* of its node */
	enum outcome		(*fn)(struct run *, const struct op *);
	union {
		struct op_set		 set;
		struct op_return	 ret;
		struct op_rewrite	 rewrite;
		struct op_if		 iff;
	};
};

struct rewrite_conf {
	const struct weir_scope	*scope;		/* whose program it is */
	struct program		*program;
	bool			 log, warn;
};

static unsigned module_index;

static enum outcome
run_program(struct run *run, const struct program *p)
{
	enum outcome	out = GO_ON;
	unsigned	i;

	for (i = 0; p != NULL && i < p->n && out == GO_ON; i++)
		out = p->v[i].fn(run, &p->v[i]);
	return out;
}

static enum outcome
answer(struct run *run, enum weir_next next)
{
	run->next = next;
	return ANSWERED;
}

/* a, between, b in the request's pool. */
static struct weir_str
joined(struct weir_req *r, struct weir_str a, char between, struct weir_str b)
{
	char *p = pool_bytes(r->s.pool, a.n + 1 + b.n);

	if (a.n != 0)
		memcpy(p, a.p, a.n);
	p[a.n] = between;
	if (b.n != 0)
		memcpy(p + a.n + 1, b.p, b.n);
	return str_of(p, a.n + 1 + b.n);
}

/* ---- set, break ---- */

static enum outcome
run_set(struct run *run, const struct op *op)
{
	struct weir_sess *s = &run->r->s;
	struct weir_str	  value = expr_eval(s, &op->set.value);

	if (op->set.builtin != NULL)
		(void)op->set.builtin->set(s, value, op->set.builtin->data);
	else
		var_set(s, op->set.var, value);
	return GO_ON;
}

static enum outcome
run_break(struct run *run, const struct op *op)
{
	(void)op;
	run->r->uri_changed = false;
	return STOP;
}

/* ---- return ---- */

static bool
is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* req_add() drops and logs what would split the response (S-204). */
static enum outcome
redirect(struct run *run, int status, struct weir_str to)
{
	if (to.n != 0)
		req_add(run->r, "Location", to);
	return answer(run, req_error(run->r, status));
}

static enum outcome
run_return(struct run *run, const struct op *op)
{
	struct weir_req	*r = run->r;
	int		 status = op->ret.status;
	struct weir_str	 text = STR("");

	if (op->ret.text.set)
		text = expr_eval(&r->s, &op->ret.text);
	if (op->ret.text.set && is_redirect(status))
		return redirect(run, status, text);
	if (status >= 400 && text.n == 0)
		return answer(run, req_error(r, status));
	return answer(run, req_respond_text(r, status, req_type(r), text));
}

/* ---- rewrite ---- */

/*
 * nginx escapes captures where they become arguments or a redirect, but only if the
 * request's path had something that decoding may have changed the meaning of.
 */
static bool
was_quoted(const struct weir_req *r)
{
	struct weir_str target = r->msg->target;
	ssize_t		q = str_chr(target, '?');

	if (q >= 0)
		target.n = (size_t)q;
	return str_chr(target, '%') >= 0 || str_chr(target, '+') >= 0;
}

static struct weir_str
escape_capture(struct weir_sess *s, struct weir_str v)
{
	return uri_escape(s->pool, v, ESCAPE_ARGS);
}

static struct weir_str
eval_quoted(struct weir_req *r, const struct weir_expr *e)
{
	return expr_eval_with(&r->s, e, was_quoted(r) ? escape_capture : NULL);
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)ascii_lower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/*
 * %XX of visible characters above '%' become themselves, up to the "?", so that an argument can
 * hold the URL to go to; all others stay escaped.
 */
static struct weir_str
unescape_redirect(struct weir_req *r, struct weir_str s)
{
	char	*p = pool_bytes(r->s.pool, s.n), *at = p;
	size_t	 i = 0;
	int	 hi, lo, c = 0;

	while (i < s.n && c != '?') {
		hi = s.p[i] == '%' && s.n - i > 2 ? hex_value(s.p[i + 1]) : -1;
		lo = hi >= 0 ? hex_value(s.p[i + 2]) : -1;
		c = lo >= 0 ? hi << 4 | lo : s.p[i];
		if (lo < 0 || (c > '%' && c < 0x7f)) {
			*at++ = (char)c;
			i += lo < 0 ? 1 : 3;
			continue;
		}
		memcpy(at, s.p + i, 3);
		at += 3;
		i += 3;
	}
	if (i < s.n)
		memcpy(at, s.p + i, s.n - i);
	return str_of(p, (size_t)(at - p) + s.n - i);
}

static enum outcome
rewrite_to_redirect(struct run *run, const struct op_rewrite *op)
{
	struct weir_req	*r = run->r;
	struct weir_str	 to = eval_quoted(r, &op->to);

	if (str_chr(to, '%') >= 0)
		to = unescape_redirect(r, to);
	if (op->keep_args && r->uri.args.n != 0)
		to = joined(r, to, op->has_args ? '&' : '?', r->uri.args);
	if (run->log)
		log_notice(&r->s.log, "rewritten redirect: \"%.*s\"", STR_ARG(to));
	return redirect(run, op->status, to);
}

/* Does a path have a segment ".."?  A file's name is made of it. */
static bool
goes_up(struct weir_str path)
{
	size_t i;

	for (i = 0; i + 1 < path.n; i++)
		if (path.p[i] == '.' && path.p[i + 1] == '.' && (i == 0 || path.p[i - 1] == '/') &&
		    (i + 2 == path.n || path.p[i + 2] == '/'))
			return true;
	return false;
}

/* Why it cannot be a path, or NULL. */
static const char *
path_error(struct weir_str path)
{
	if (path.n == 0)
		return "the rewritten URI has a zero length";
	if (path.p[0] != '/')
		return "the rewritten URI does not begin with \"/\"";
	if (memchr(path.p, '\0', path.n) != NULL)
		return "the rewritten URI holds a NUL";
	return goes_up(path) ? "the rewritten URI has a segment \"..\"" : NULL;
}

static enum outcome
rewrite_uri(struct run *run, const struct op_rewrite *op)
{
	struct weir_req		*r = run->r;
	struct weir_captures	 cap = r->s.cap;
	struct weir_str		 path = expr_eval(&r->s, &op->to), args = r->uri.args;
	const char		*why = path_error(path);

	if (why != NULL) {
		log_errorx(&r->s.log, "%s: \"%.*s\"", why, STR_ARG(path));
		return answer(run, req_error(r, 500));
	}
	if (op->args.set) {
		r->s.cap = cap;		/* a map in the path may have matched something else */
		args = eval_quoted(r, &op->args);
	}
	if (op->args.set && op->keep_args && r->uri.args.n != 0)
		args = args.n != 0 ? joined(r, args, '&', r->uri.args) : r->uri.args;
	else if (!op->args.set && !op->keep_args)
		args = STR_NONE;
	r->uri.path = path;
	r->uri.args = req_clean_args(r, args);
	r->uri.has_args = args.n != 0;
	r->uri.plain = false;
	r->internal = true;
	r->uri_changed = !op->stay;
	if (run->log)
		log_notice(&r->s.log, "rewritten data: \"%.*s\", args: \"%.*s\"",
		    STR_ARG(path), STR_ARG(args));
	return op->stop ? STOP : GO_ON;
}

static int
match_logged(struct run *run, struct weir_regex *re, struct weir_str subject)
{
	struct weir_sess *s = &run->r->s;
	int		  rc = regex_match(s, re, subject);

	if (rc == WEIR_AGAIN)
		s->cap.n = 0;
	if (run->log && rc != WEIR_FAIL)
		log_notice(&s->log, "\"%.*s\" %s \"%.*s\"", STR_ARG(regex_pattern(re)),
		    rc == WEIR_OK ? "matches" : "does not match", STR_ARG(subject));
	return rc;
}

static enum outcome
run_rewrite(struct run *run, const struct op *op)
{
	int rc = match_logged(run, op->rewrite.re, run->r->uri.path);

	if (rc == WEIR_AGAIN)
		return GO_ON;
	if (rc == WEIR_FAIL)
		return answer(run, req_error(run->r, 500));
	if (op->rewrite.status != 0)
		return rewrite_to_redirect(run, &op->rewrite);
	return rewrite_uri(run, &op->rewrite);
}

/* ---- if ---- */

static bool
has_kind(const struct stat *st, char kind)
{
	switch (kind) {
	case 'f':
		return S_ISREG(st->st_mode);
	case 'd':
		return S_ISDIR(st->st_mode);
	case 'x':
		return (st->st_mode & S_IXUSR) != 0;
	default:
		return true;
	}
}

static bool
test_file(struct weir_req *r, const struct condition *c)
{
	struct weir_str	path = expr_eval(&r->s, &c->value);
	struct stat	st;
	const char     *p;

	if (path.n == 0 || memchr(path.p, '\0', path.n) != NULL)
		return false;
	if (path.p[0] != '/')
		path = joined(r, str_c(weir_cycle->prefix), '/', path);
	p = pool_cstr(r->s.pool, path);
	if (req_stat(r, str_c(p), &st) == 0)
		return has_kind(&st, c->file);
	if (errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG && errno != ELOOP)
		log_crit(&r->s.log, "stat() \"%s\" failed", p);
	return false;
}

/* WEIR_OK, WEIR_AGAIN: it does not hold, or WEIR_FAIL. */
static int
test(struct run *run, const struct condition *c)
{
	struct weir_sess *s = &run->r->s;
	bool		  holds;
	int		  rc;

	if (c->file != 0) {
		holds = test_file(run->r, c);
	} else if (c->re != NULL) {
		rc = match_logged(run, c->re, var_get(s, c->var, NULL));
		if (rc == WEIR_FAIL)
			return rc;
		holds = rc == WEIR_OK;
	} else if (c->value.set) {
		struct weir_str v = var_get(s, c->var, NULL);

		holds = str_eq(v, expr_eval(s, &c->value));
	} else {
		holds = expr_true(var_get(s, c->var, NULL));
	}
	return holds != c->negated ? WEIR_OK : WEIR_AGAIN;
}

static enum outcome
run_if(struct run *run, const struct op *op)
{
	int rc = test(run, &op->iff.cond);

	if (rc == WEIR_FAIL)
		return answer(run, req_error(run->r, 500));
	if (rc == WEIR_AGAIN)
		return GO_ON;
	if (op->iff.inner != NULL)
		req_set_location(run->r, op->iff.inner);
	return run_program(run, op->iff.program);
}

/* ---- hooks ---- */

static enum weir_next
run_of(struct weir_sess *s, const struct weir_scope *scope)
{
	const struct rewrite_conf	*c = SESS_CONF(s, module_index);
	struct run			 run = { req_of(s), c->log, WEIR_NEXT };

	if (c->scope != scope)
		return WEIR_NEXT;
	return run_program(&run, c->program) == ANSWERED ? run.next : WEIR_NEXT;
}

static enum weir_next
on_server_rewrite(struct weir_sess *s)
{
	return run_of(s, req_of(s)->server->scope);
}

static enum weir_next
on_rewrite(struct weir_sess *s)
{
	struct weir_req *r = req_of(s);

	return r->loc != NULL ? run_of(s, r->loc->scope) : WEIR_NEXT;
}

/* ---- configuration ---- */

/* A new operation at the end of the scope's own program. */
static struct op *
add(struct weir_conf *cf, struct weir_scope *scope, const struct weir_node *node,
    enum outcome (*fn)(struct run *, const struct op *))
{
	struct rewrite_conf	*c = conf_own(cf, scope, &rewrite_module);
	struct op		*op;

	if (c->scope != scope) {
		c->scope = scope;
		c->program = POOL_NEW(cf->pool, program);
	}
	op = POOL_PUSH(cf->pool, c->program);
	op->seq = node->seq;
	op->fn = fn;
	return op;
}

/* "$name" to the name; complains. */
static int
variable_name(struct weir_conf *cf, const struct weir_node *node, unsigned w, struct weir_str word,
    struct weir_str *name)
{
	size_t i;

	*name = str_from(word, 1);
	for (i = 0; i < name->n; i++)
		if (!(ascii_lower((unsigned char)name->p[i]) >= 'a' &&
		    ascii_lower((unsigned char)name->p[i]) <= 'z') && name->p[i] != '_' &&
		    !(name->p[i] >= '0' && name->p[i] <= '9'))
			break;
	if (word.n < 2 || word.p[0] != '$' || i != name->n)
		return conf_error(cf, node, w, "invalid variable name \"%.*s\"", STR_ARG(word));
	return WEIR_OK;
}

/* What a variable is that `set` defines and nobody has set yet. */
static int
get_unset(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct rewrite_conf *c = SESS_CONF(s, module_index);

	if (c->warn)
		log_warnx(&s->log, "using uninitialized \"%s\" variable", (const char *)data);
	*to = STR("");
	return WEIR_OK;
}

static int
set_set(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct weir_var	def = { .get = get_unset, .flags = VAR_WEAK };
	struct op_set	set = { .var = 0 };
	struct weir_str	name;

	(void)conf;
	if (variable_name(cf, node, 1, node->w[1].s, &name) != WEIR_OK)
		return WEIR_FAIL;
	def.data = pool_cstr(cf->pool, name);
	if (vars_define(vars_now, name, &def, &set.var) != WEIR_OK)
		return conf_error(cf, node, 1, "the duplicate \"%.*s\" variable: it is built in and "
		    "cannot be set", STR_ARG(name));
	set.builtin = vars_builtin(vars_now, name);
	if (set.builtin != NULL && set.builtin->set == NULL)
		set.builtin = NULL;
	if (expr_compile(cf, node, 2, node->w[2].s, &set.value) != WEIR_OK)
		return WEIR_FAIL;
	add(cf, scope, node, run_set)->set = set;
	return WEIR_OK;
}

static int
set_break(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)conf;
	add(cf, scope, node, run_break);
	return WEIR_OK;
}

/* A replacement that says itself that it is elsewhere. */
static bool
is_url(struct weir_str s)
{
	return str_begins(s, STR("http://")) || str_begins(s, STR("https://")) ||
	    str_begins(s, STR("$scheme"));
}

static int
set_return(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct op_return ret = { .status = 302 };
	struct weir_str	 first = node->w[1].s;
	uint64_t	 status;
	unsigned	 w = node->n - 1;

	(void)conf;
	if (num_u64(first, &status) == WEIR_OK && status >= 200 && status <= 999)
		ret.status = (int)status;
	else if (node->n != 2 || !is_url(first))
		return conf_error(cf, node, 1, "invalid return code \"%.*s\"", STR_ARG(first));
	if ((node->n == 3 || is_url(first)) &&
	    expr_compile(cf, node, w, node->w[w].s, &ret.text) != WEIR_OK)
		return WEIR_FAIL;
	add(cf, scope, node, run_return)->ret = ret;
	return WEIR_OK;
}

static const struct {
	const char	*word;
	int		 status;
	bool		 stop, stay;
} rewrite_flags[] = {
	{ "last", 0, true, false }, { "break", 0, true, true },
	{ "redirect", 302, true, false }, { "permanent", 301, true, false },
};

static int
read_flag(struct weir_conf *cf, const struct weir_node *node, struct op_rewrite *rw)
{
	unsigned i;

	for (i = 0; i < WEIR_COUNT(rewrite_flags); i++) {
		if (!str_eq(node->w[3].s, str_c(rewrite_flags[i].word)))
			continue;
		if (rewrite_flags[i].status != 0)
			rw->status = rewrite_flags[i].status;
		rw->stop = rewrite_flags[i].stop;
		rw->stay = rewrite_flags[i].stay;
		return WEIR_OK;
	}
	return conf_error(cf, node, 3, "invalid parameter \"%.*s\": it is one of last, break, redirect "
	    "and permanent", STR_ARG(node->w[3].s));
}

static int
set_rewrite(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct op_rewrite rw = { .keep_args = true };
	struct weir_str	  to = node->w[2].s;
	ssize_t		  q;

	(void)conf;
	if (regex_compile(cf, node, 1, node->w[1].s, false, &rw.re) != WEIR_OK)
		return WEIR_FAIL;
	if (is_url(to))
		rw.status = 302;
	if (node->n == 4 && read_flag(cf, node, &rw) != WEIR_OK)
		return WEIR_FAIL;
	if (to.n != 0 && to.p[to.n - 1] == '?') {
		rw.keep_args = false;	/* "the last ? drops the original arguments" */
		to.n--;
	}
	q = str_chr(to, '?');
	rw.has_args = q >= 0;
	if (rw.status == 0 && q >= 0) {
		if (expr_compile(cf, node, 2, str_from(to, (size_t)q + 1), &rw.args) != WEIR_OK)
			return WEIR_FAIL;
		to.n = (size_t)q;
	}
	if (expr_compile(cf, node, 2, to, &rw.to) != WEIR_OK)
		return WEIR_FAIL;
	add(cf, scope, node, run_rewrite)->rewrite = rw;
	return WEIR_OK;
}

/* The words of a condition, without its brackets. */
struct words {
	struct weir_str	 v[4];
	unsigned	 at[4];		/* numbers of their words */
	unsigned	 n;
};

static int
strip_brackets(struct weir_conf *cf, const struct weir_node *node, struct words *to)
{
	struct weir_str s;
	unsigned	w;

	to->n = 0;
	for (w = 1; w < node->n; w++) {
		s = node->w[w].s;
		if (w == 1) {
			if (s.n == 0 || s.p[0] != '(')
				return conf_error(cf, node, w, "invalid condition \"%.*s\": it begins "
				    "with \"(\"", STR_ARG(s));
			s = str_from(s, 1);
		}
		if (w == node->n - 1) {
			if (s.n == 0 || s.p[s.n - 1] != ')')
				return conf_error(cf, node, w, "invalid condition \"%.*s\": it ends "
				    "with \")\"", STR_ARG(s));
			s.n--;
		}
		if (s.n == 0 && (w == 1 || w == node->n - 1))
			continue;	/* the bracket stood alone */
		if (to->n == WEIR_COUNT(to->v))
			return conf_error(cf, node, w, "unexpected \"%.*s\" in condition", STR_ARG(s));
		to->v[to->n] = s;
		to->at[to->n++] = w;
	}
	return to->n != 0 ? WEIR_OK : conf_error(cf, node, 1, "the condition is empty");
}

/* -f path, !-f path */
static int
read_file_test(struct weir_conf *cf, const struct weir_node *node, const struct words *words,
    struct condition *c)
{
	struct weir_str op = words->v[0];

	c->negated = op.p[0] == '!';
	c->file = op.p[op.n - 1];
	if (strchr("fdex", c->file) == NULL)
		return conf_error(cf, node, words->at[0], "invalid condition \"%.*s\"", STR_ARG(op));
	if (words->n != 2)
		return conf_error(cf, node, words->at[words->n - 1], "\"%.*s\" takes one path",
		    STR_ARG(op));
	return expr_compile(cf, node, words->at[1], words->v[1], &c->value);
}

/* $variable, $variable = text, $variable ~ regex */
static int
read_comparison(struct weir_conf *cf, const struct weir_node *node, const struct words *words,
    struct condition *c)
{
	struct weir_str name, op, value;

	if (variable_name(cf, node, words->at[0], words->v[0], &name) != WEIR_OK)
		return WEIR_FAIL;
	c->var = vars_use(vars_now, name);
	vars_used_at(vars_now, c->var, node, words->at[0]);
	if (words->n == 1)
		return WEIR_OK;
	op = words->v[1];
	if (words->n > 3)
		return conf_error(cf, node, words->at[3], "unexpected \"%.*s\" in condition",
		    STR_ARG(words->v[3]));
	value = words->n == 3 ? words->v[2] : STR("");
	c->negated = op.n > 1 && op.p[0] == '!';
	if (c->negated)
		op = str_from(op, 1);
	if (str_eq(op, STR("=")))
		return expr_compile(cf, node, words->at[words->n - 1], value, &c->value);
	if (str_eq(op, STR("~")) || str_eq(op, STR("~*")))
		return regex_compile(cf, node, words->at[words->n - 1], value, op.n == 2, &c->re);
	return conf_error(cf, node, words->at[1], "unexpected \"%.*s\" in condition",
	    STR_ARG(words->v[1]));
}

static int
read_condition(struct weir_conf *cf, const struct weir_node *node, struct condition *c)
{
	struct words words;

	if (strip_brackets(cf, node, &words) != WEIR_OK)
		return WEIR_FAIL;
	if (words.v[0].n > 1 && words.v[0].p[0] == '$')
		return read_comparison(cf, node, &words, c);
	if ((words.v[0].n == 2 && words.v[0].p[0] == '-') ||
	    (words.v[0].n == 3 && words.v[0].p[0] == '!' && words.v[0].p[1] == '-'))
		return read_file_test(cf, node, &words, c);
	return conf_error(cf, node, words.at[0], "invalid condition \"%.*s\"", STR_ARG(words.v[0]));
}

static struct weir_location *
inner_location(struct weir_conf *cf, struct weir_scope *scope, const struct weir_node *node)
{
	struct weir_location *loc = POOL_NEW(cf->pool, weir_location);

	loc->parent = scope->owner;
	loc->kind = LOC_PSEUDO;
	loc->name = loc->parent->name;
	loc->node = node;
	return loc;
}

static int
set_if(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	bool			   in_server = scope->in == IN_SERVER;
	struct weir_location	  *loc = in_server ? NULL : inner_location(cf, scope, node);
	struct op_if		   iff = { .inner = loc };
	const struct rewrite_conf *c;
	struct weir_scope	  *inner;
	bool			   ok = read_condition(cf, node, &iff.cond) == WEIR_OK;

	(void)conf;
	/* What stands inside is read in any case, for the mistakes in it. */
	inner = conf_block(cf, scope, node, in_server ? IN_IF_SERVER : IN_IF, loc);
	if (inner == NULL || !ok)
		return WEIR_FAIL;
	if (loc != NULL) {
		loc->scope = inner;
		loc->conf = inner->conf;
	}
	c = conf_of(inner, &rewrite_module);
	iff.program = c->scope == inner ? c->program : NULL;
	add(cf, scope, node, run_if)->iff = iff;
	return WEIR_OK;
}

static int
by_seq(const void *a, const void *b)
{
	unsigned x = ((const struct op *)a)->seq, y = ((const struct op *)b)->seq;

	return x < y ? -1 : x > y;
}

/* Simple directives were bound before blocks: back to the order of writing. */
static int
done(struct weir_conf *cf, struct weir_scope *scope, void *conf)
{
	struct rewrite_conf *c = conf;

	(void)cf;
	if (c->scope == scope)
		qsort(c->program->v, c->program->n, sizeof(*c->program->v), by_seq);
	return WEIR_OK;
}

#define IN_REWRITE	(IN_SERVER | IN_LOCATION | IN_IF_SERVER | IN_IF)

static const struct weir_cmd cmds[] = {
	{ "set", IN_REWRITE, CONF_CUSTOM, .args_min = 2, .args_max = 2, .set = set_set,
	  .flags = CONF_MULTI, .args = "$variable value",
	  .doc = "Give a variable a value, which may contain variables." },
	{ "if", IN_SERVER | IN_LOCATION, CONF_CUSTOM, .args_min = 1, .args_max = CONF_ANY,
	  .set = set_if, .flags = CONF_MULTI | CONF_BLOCK, .args = "(condition) { ... }",
	  .doc = "What stands inside holds when the condition does: $variable (neither empty nor "
	  "\"0\"); $variable = text, != text; $variable ~ regex, ~* (any case), !~, !~*; -f file, -d "
	  "folder, -e anything, -x executable, and each with ! before it." },
	{ "return", IN_REWRITE, CONF_CUSTOM, .args_min = 1, .args_max = 2, .set = set_return,
	  .flags = CONF_MULTI, .args = "code [text] | code URL | URL",
	  .doc = "Answer: with a status and a text, or with a redirect (301, 302, 303, 307, 308; 302 for a URL "
	  "alone).  444 closes the connection without a word." },
	{ "break", IN_REWRITE, CONF_CUSTOM, .set = set_break, .flags = CONF_MULTI, .args = "",
	  .doc = "Do not run what else of set, if, return and rewrite stands in this block." },
	{ "rewrite", IN_REWRITE, CONF_CUSTOM, .args_min = 2, .args_max = 3, .set = set_rewrite,
	  .flags = CONF_MULTI, .args = "regex replacement [last | break | redirect | permanent]",
	  .doc = "Change a URI that matches.  The request's arguments follow those of the "
	  "replacement unless it ends with \"?\".  last: then look for its location at once; break: "
	  "stay in this one; redirect, permanent: tell the client, with 302 or 301, as is done for "
	  "replacements that begin with http://, https:// or $scheme.  After ten changes the answer is "
	  "500." },
	{ "rewrite_log", IN_HTTP_ANY | IN_IF_SERVER | IN_IF, CONF_FLAG, CONF_AT(rewrite_conf, log),
	  .def = "off", .doc = "Tell the error log, at level notice, what these directives do." },
	{ "uninitialized_variable_warn", IN_HTTP_ANY | IN_IF_SERVER | IN_IF, CONF_FLAG,
	  CONF_AT(rewrite_conf, warn), .def = "on",
	  .doc = "Warn in the error log when a variable is used that was not set." },
	{ 0 }
};

static const struct weir_hook hooks[] = {
	{ ON_SERVER_REWRITE, on_server_rewrite },
	{ ON_REWRITE, on_rewrite },
	{ .fn = NULL }
};

const struct weir_module rewrite_module = {
	.name = "rewrite", .index = &module_index, .conf_size = sizeof(struct rewrite_conf),
	.cmds = cmds, .done = done, .hooks = hooks,
	.doc = "Change URIs, set variables, answer at once.",
};
