/*
 * script.c - set, if, return, break, rewrite at work: nginx's little language.
 *
 * A rewritten URI is searched for a location when the script has ended, unless `break` said otherwise;
 * steps.c does that and counts.
 */
#include <sys/stat.h>

#include "core/proc/cycle.h"
#include "http/req/files.h"
#include "http/req/script.h"
#include "http/req/steps.h"
#include "http/req/vars.h"

static enum weir_outcome
run_ops(struct weir_run *run, const struct weir_script *p)
{
	enum weir_outcome	out = SCRIPT_GO_ON;
	unsigned	i;

	for (i = 0; p != NULL && i < p->n && out == SCRIPT_GO_ON; i++)
		out = p->v[i].fn(run, &p->v[i]);
	return out;
}

static enum weir_outcome
answer(struct weir_run *run, enum weir_next next)
{
	run->next = next;
	return SCRIPT_ANSWERED;
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

/* ---- captures, escaped ---- */

/*
 * nginx escapes captures where they become arguments or a redirect, and in what `set` and `if` evaluate until a
 * rewrite has matched; but only if the request's path had something that decoding may have changed the
 * meaning of.
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

static struct weir_str
eval(struct weir_run *run, const struct weir_expr *e)
{
	return run->quote && e->uses_captures ? eval_quoted(run->r, e) : expr_eval(&run->r->s, e);
}

/* ---- set, break ---- */

enum weir_outcome
script_set(struct weir_run *run, const struct weir_op *op)
{
	struct weir_sess *s = &run->r->s;
	struct weir_str	  value = eval(run, &op->set.value);

	if (op->set.builtin != NULL)
		(void)op->set.builtin->set(s, value, op->set.builtin->data);
	else
		var_set(s, op->set.var, value);
	return SCRIPT_GO_ON;
}

enum weir_outcome
script_break(struct weir_run *run, const struct weir_op *op)
{
	(void)op;
	run->r->uri_changed = false;
	return SCRIPT_STOP;
}

/* ---- return ---- */

static bool
is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* req_add() drops and logs what would split the response (S-204). */
static enum weir_outcome
redirect(struct weir_run *run, int status, struct weir_str to)
{
	if (to.n != 0)
		req_add(run->r, "Location", to);
	return answer(run, req_error(run->r, status));
}

enum weir_outcome
script_return(struct weir_run *run, const struct weir_op *op)
{
	struct weir_req	*r = run->r;
	int		 status = op->ret.status;
	struct weir_str	 text = STR("");

	if (op->ret.text.set)
		text = expr_eval(&r->s, &op->ret.text);
	if (is_redirect(status))
		return redirect(run, status, text);
	if (status >= 400 && text.n == 0)
		return answer(run, req_error(r, status));
	return answer(run, req_respond_text(r, status, status == 204 ? STR_NONE : req_type(r), text));
}

/* ---- rewrite ---- */

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

static enum weir_outcome
rewrite_to_redirect(struct weir_run *run, const struct weir_op_rewrite *op)
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

static enum weir_outcome
rewrite_uri(struct weir_run *run, const struct weir_op_rewrite *op)
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
	return op->stop ? SCRIPT_STOP : SCRIPT_GO_ON;
}

static int
match_logged(struct weir_run *run, struct weir_regex *re, struct weir_str subject)
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

enum weir_outcome
script_rewrite(struct weir_run *run, const struct weir_op *op)
{
	int rc = match_logged(run, op->rewrite.re, run->r->uri.path);

	if (rc == WEIR_AGAIN)
		return SCRIPT_GO_ON;
	if (rc == WEIR_FAIL)
		return answer(run, req_error(run->r, 500));
	run->quote = false;
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
test_file(struct weir_run *run, const struct weir_condition *c)
{
	struct weir_req *r = run->r;
	struct weir_str	path = eval(run, &c->value);
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
test(struct weir_run *run, const struct weir_condition *c)
{
	struct weir_sess *s = &run->r->s;
	bool		  holds;
	int		  rc;

	if (c->file != 0) {
		holds = test_file(run, c);
	} else if (c->re != NULL) {
		rc = match_logged(run, c->re, var_get(s, c->var, NULL));
		if (rc == WEIR_FAIL)
			return rc;
		holds = rc == WEIR_OK;
	} else if (c->value.set) {
		struct weir_str v = var_get(s, c->var, NULL);

		holds = str_eq(v, eval(run, &c->value));
	} else {
		holds = expr_true(var_get(s, c->var, NULL));
	}
	return holds != c->negated ? WEIR_OK : WEIR_AGAIN;
}

/*
 * Of two `if`s of a location the later counts.  Where the earlier has a proxy_pass, and neither the later nor the location, nginx is
 * still to pass the request on and does not know to whom: a file instead of that is not what anybody meant.
 */
static bool
strands(const struct weir_req *r, const struct weir_location *to)
{
	const struct weir_location *from = r->loc;

	if (to->passes || to->parent->passes)
		return false;
	return r->stranded || (from->passes && from->kind == LOC_PSEUDO && from->parent == to->parent);
}

enum weir_outcome
script_if(struct weir_run *run, const struct weir_op *op)
{
	int rc = test(run, &op->iff.cond);

	if (rc == WEIR_FAIL)
		return answer(run, req_error(run->r, 500));
	if (rc == WEIR_AGAIN)
		return SCRIPT_GO_ON;
	if (op->iff.inner != NULL) {
		bool stranded = strands(run->r, op->iff.inner);

		req_set_location(run->r, op->iff.inner);
		run->r->stranded = stranded;
	}
	return run_ops(run, op->iff.script);
}

/* ---- as a whole ---- */

enum weir_next
script_run(struct weir_req *r, const struct weir_script *p, bool log)
{
	struct weir_run run = { .r = r, .log = log, .quote = true };

	return run_ops(&run, p) == SCRIPT_ANSWERED ? run.next : WEIR_NEXT;
}
