/*
 * lexer.c - text to nodes: nginx's grammar.
 *
 * A directive is words and then `;` or a block in braces.  A word ends at white space,
 * `;` or `{`; it may stand in single or double quotes, and what follows a
 * quoted word must be white space, `;`, `{` or `)`.  `}` and `#` mean
 * something only where a word could begin.  `${` never opens a block.  A
 * backslash takes the meaning from the next character and stays in the word,
 * except in \" \' \\ \t \r \n.
 *
 * `include` is done here, so that it works in every block and those who bind never see
 * it.  A block must be closed in the file that opened it.
 *
 * Everything is bounded: the size of a file (file.c) and of all of them, words, nesting,
 * the depth and the number of includes.
 */
#include <errno.h>
#include <glob.h>
#include <unistd.h>

#include "core/conf/parts.h"

#define TOTAL_MAX	((size_t)256 << 20)
#define WORD_BYTES_MAX	((size_t)64 << 10)
#define NESTING_MAX	100
#define INCLUDE_DEPTH	32
#define INCLUDES_MAX	100000

struct source {				/* a text that is being read */
	const struct weir_conf_file *file;
	const struct loaded	*loaded;	/* NULL: no file */
	struct source		*by;		/* which included it */
	const char		*p, *end, *line_start;
	uint32_t		 line;
	unsigned		 base;		/* nesting where it began */
};

struct block {
	struct weir_node	*node, **tail;	/* tail: where the next directive goes */
};

struct words {
	struct weir_conf_word	*v;
	unsigned		 n, room;
};

struct lexer {
	struct weir_conf	*cf;
	struct weir_hash	 loaded;	/* by path */
	size_t			 total;		/* bytes read so far */
	unsigned		 includes;
	struct words		 words;		/* of the directive that is being read */
	unsigned		 depth;
	struct block		 block[NESTING_MAX + 1];
};

enum token { WORD, SEMICOLON, OPEN, CLOSE, END, LOST };

static struct place
place_at(const struct source *s, const char *p)
{
	return (struct place){ s->file, s->line, (uint32_t)(p - s->line_start) + 1, 1 };
}

static struct place
place_of_word(const struct source *s, const struct weir_conf_word *w)
{
	return (struct place){ s->file, w->line, w->col, w->s.n + (w->quoted ? 2 : 0) };
}

/* The structure is lost: nobody should look at the nodes. */
static enum token
lose(struct lexer *lx)
{
	lx->cf->broken = true;
	return LOST;
}

/*
 * Words.
 */

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void
newline(struct source *s, const char *nl)
{
	s->line++;
	s->line_start = nl + 1;
}

/* What \c stands for, or 0 when the backslash stays. */
static char
escape(char c)
{
	switch (c) {
	case '"':
	case '\'':
	case '\\':
		return c;
	case 't':
		return '\t';
	case 'r':
		return '\r';
	case 'n':
		return '\n';
	}
	return 0;
}

static struct weir_str
unescape(struct weir_pool *pool, const char *from, const char *end)
{
	char	*start = pool_bytes(pool, (size_t)(end - from) + 1), *to = start, c;
	size_t	 n;

	while (from < end) {
		const char *b = memchr(from, '\\', (size_t)(end - from));

		n = (size_t)((b != NULL ? b : end) - from);
		memcpy(to, from, n);
		to += n;
		from += n;
		if (b == NULL)
			break;
		if (end - from >= 2 && (c = escape(from[1])) != 0) {
			*to++ = c;
			from += 2;
		} else
			*to++ = *from++;
	}
	*to = '\0';
	return str_of(start, (size_t)(to - start));
}

static enum token
too_long(struct lexer *lx, const struct source *s, const struct weir_conf_word *w)
{
	struct place at = place_of_word(s, w);

	error_at(lx->cf, &at, w->quoted
	    ? "too long parameter, probably the closing quote is missing"
	    : "too long parameter");
	return lose(lx);
}

static enum token
unclosed_quote(struct lexer *lx, const struct source *s, const struct weir_conf_word *w, char quote)
{
	struct place at = { s->file, w->line, w->col, 1 };

	error_at(lx->cf, &at, "unexpected end of file, expecting the closing %c of this one", quote);
	return lose(lx);
}

/* From behind the opening quote to behind the closing one. */
static enum token
quoted_word(struct lexer *lx, struct source *s, struct weir_conf_word *w)
{
	char		 quote = *s->p++;
	const char	*from = s->p, *p;

	w->quoted = true;
	for (p = from; p < s->end && *p != quote; p++) {
		if (*p == '\\' && p + 1 < s->end)
			p++;
		if (*p == '\n')
			newline(s, p);
		if ((size_t)(p - from) > WORD_BYTES_MAX)
			return too_long(lx, s, w);
	}
	if (p == s->end)
		return unclosed_quote(lx, s, w, quote);
	w->s = unescape(lx->cf->pool, from, p);
	s->p = p + 1;
	return WORD;
}

static bool
after_quoted(struct lexer *lx, struct source *s)
{
	struct place	at;
	char		c;

	if (s->p == s->end)
		return true;
	c = *s->p;
	if (is_space(c) || c == ';' || c == '{' || c == ')')
		return true;
	at = place_at(s, s->p);
	error_at(lx->cf, &at, "unexpected \"%c\" after a quoted parameter", c);
	return false;
}

static enum token
plain_word(struct lexer *lx, struct source *s, struct weir_conf_word *w)
{
	const char *from = s->p, *p;

	for (p = from; p < s->end && !is_space(*p) && *p != ';' && *p != '{'; p++) {
		if (*p == '$')
			while (p + 1 < s->end && p[1] == '{')
				p++;
		if (*p != '\\' || p + 1 == s->end)
			continue;
		p++;
		if (*p == '\n')
			newline(s, p);
	}
	w->s = str_of(from, (size_t)(p - from));
	if (w->s.n > WORD_BYTES_MAX)
		return too_long(lx, s, w);
	w->s = unescape(lx->cf->pool, from, p);
	s->p = p;
	return WORD;
}

static void
skip_space(struct source *s)
{
	const char *nl;

	for (; s->p < s->end; s->p++) {
		if (*s->p == '#') {
			nl = memchr(s->p, '\n', (size_t)(s->end - s->p));
			s->p = nl != NULL ? nl : s->end - 1;
		} else if (!is_space(*s->p))
			return;
		if (*s->p == '\n')
			newline(s, s->p);
	}
}

static enum token
word(struct lexer *lx, struct source *s)
{
	struct weir_conf_word	*w = POOL_PUSH(lx->cf->pool, &lx->words);

	w->line = s->line;
	w->col = (uint32_t)(s->p - s->line_start) + 1;
	if (*s->p != '"' && *s->p != '\'')
		return plain_word(lx, s, w);
	if (quoted_word(lx, s, w) == LOST)
		return LOST;
	return after_quoted(lx, s) ? WORD : lose(lx);
}

/* For punctuation s->p stays on it, so that its place can be told. */
static enum token
next_token(struct lexer *lx, struct source *s)
{
	skip_space(s);
	if (s->p == s->end)
		return END;
	switch (*s->p) {
	case ';':
		return SEMICOLON;
	case '{':
		return OPEN;
	case '}':
		return CLOSE;
	}
	return word(lx, s);
}

/*
 * Directives.
 */

static void	read_source(struct lexer *, struct source *);

static void
source_init(struct source *s, const struct weir_conf_file *f, unsigned base)
{
	*s = (struct source){ .file = f, .line = 1, .base = base };
	s->p = f->text.p;
	s->end = f->text.p + f->text.n;
	if (f->text.n >= 3 && memcmp(s->p, "\xef\xbb\xbf", 3) == 0)
		s->p += 3;
	s->line_start = s->p;
}

/* "a > b > c": who included whom, the outermost first. */
static struct weir_str
chain(struct lexer *lx, const struct source *s, const char *last)
{
	struct weir_str text = str_c(last);

	for (; s != NULL; s = s->by)
		text = pool_printf(lx->cf->pool, "%s > %.*s", s->file->path, STR_ARG(text));
	return text;
}

static int
check_include(struct lexer *lx, const struct source *s, const struct weir_node *n,
    const struct loaded *l)
{
	const struct source	*up;
	struct weir_str		 names;
	unsigned		 deep = 0;

	for (up = s; up != NULL; up = up->by, deep++) {
		if (up->loaded == NULL || up->loaded->dev != l->dev || up->loaded->ino != l->ino)
			continue;
		names = chain(lx, s, l->file.path);
		return conf_error(lx->cf, n, 1, "include loop: %.*s", STR_ARG(names));
	}
	if (deep >= INCLUDE_DEPTH) {
		names = chain(lx, s, l->file.path);
		return conf_error(lx->cf, n, 1, "more than %d levels of include: %.*s",
		    INCLUDE_DEPTH, STR_ARG(names));
	}
	if (lx->includes++ >= INCLUDES_MAX || weir_add(lx->total, l->file.text.n, &lx->total) ||
	    lx->total > TOTAL_MAX) {
		/* Once is enough, and the rest would go on for long. */
		lx->cf->broken = true;
		return conf_error(lx->cf, n, 1, "too much is included: more than %d files or "
		    "%zu megabytes", INCLUDES_MAX, TOTAL_MAX >> 20);
	}
	return WEIR_OK;
}

static void
include_file(struct lexer *lx, struct source *s, const struct weir_node *n, const char *path)
{
	const struct loaded *l = file_load(lx->cf, &lx->loaded, n, path);
	struct source	 in;

	if (l == NULL || check_include(lx, s, n, l) != WEIR_OK)
		return;
	source_init(&in, &l->file, lx->depth);
	in.loaded = l;
	in.by = s;
	read_source(lx, &in);
}

/* A directory that is not there matches nothing; one that may not be read is a mistake. */
static int
glob_error(const char *path, int err)
{
	(void)path;
	return err != ENOENT && err != ENOTDIR;
}

static void
include_glob(struct lexer *lx, struct source *s, const struct weir_node *n, const char *pattern)
{
	glob_t	 g;
	size_t	 i;
	int	 rc = glob(pattern, 0, glob_error, &g);

	if (rc != 0 && rc != GLOB_NOMATCH)
		conf_error(lx->cf, n, 1, "glob() \"%s\" failed: %s", pattern,
		    rc == GLOB_NOSPACE ? "no memory" : "a directory cannot be read");
	for (i = 0; rc == 0 && i < g.gl_pathc && !lx->cf->broken; i++)
		include_file(lx, s, n, pool_cstr(lx->cf->pool, str_c(g.gl_pathv[i])));
	globfree(&g);
}

static void
include(struct lexer *lx, struct source *s, const struct weir_node *n)
{
	struct weir_str path;

	if (n->n != 2) {
		conf_error(lx->cf, n, 0, "invalid number of arguments in \"include\" directive, "
		    "it takes one file or pattern");
		return;
	}
	path = conf_path(lx->cf, n->w[1].s, true);
	if (strpbrk(path.p, "*?[") != NULL)
		include_glob(lx, s, n, path.p);
	else
		include_file(lx, s, n, path.p);
}

/* The words so far, as a node; they are forgotten. */
static struct weir_node *
node_new(struct lexer *lx, const struct source *s)
{
	struct weir_node *n = POOL_NEW(lx->cf->pool, weir_node);

	n->n = lx->words.n;
	n->w = pool_dup(lx->cf->pool, lx->words.v, n->n * sizeof(*n->w));
	n->file = s->file;
	n->end_line = s->line;
	n->seq = ++lx->cf->seq;
	lx->words.n = 0;
	return n;
}

static void
append(struct lexer *lx, struct weir_node *n)
{
	*lx->block[lx->depth].tail = n;
	lx->block[lx->depth].tail = &n->next;
}

static enum token
unexpected(struct lexer *lx, const struct source *s)
{
	struct place at = place_at(s, s->p);

	error_at(lx->cf, &at, "unexpected \"%c\"", *s->p);
	return lose(lx);
}

static enum token
end_simple(struct lexer *lx, struct source *s)
{
	struct weir_node *n;

	if (lx->words.n == 0) {
		/* Too much of a good thing: nothing is lost. */
		struct place at = place_at(s, s->p++);

		error_at(lx->cf, &at, "unexpected \";\"");
		return SEMICOLON;
	}
	s->p++;
	n = node_new(lx, s);
	if (str_eq(n->w[0].s, STR("include")))
		include(lx, s, n);
	else
		append(lx, n);
	return lx->cf->broken ? LOST : SEMICOLON;
}

static enum token
open_block(struct lexer *lx, struct source *s)
{
	struct weir_node *n;

	if (lx->words.n == 0)
		return unexpected(lx, s);
	if (lx->depth == NESTING_MAX) {
		struct place at = place_at(s, s->p);

		error_at(lx->cf, &at, "blocks are nested more than %d deep", NESTING_MAX);
		return lose(lx);
	}
	s->p++;
	n = node_new(lx, s);
	n->block = true;
	if (str_eq(n->w[0].s, STR("include")))
		conf_error(lx->cf, n, 0, "directive \"include\" is not terminated by \";\"");
	append(lx, n);
	lx->block[++lx->depth] = (struct block){ n, &n->child };
	return OPEN;
}

static enum token
close_block(struct lexer *lx, struct source *s)
{
	if (lx->words.n != 0) {
		const struct weir_conf_word	*last = &lx->words.v[lx->words.n - 1];
		struct place			 at = place_of_word(s, last);

		error_at(lx->cf, &at, "directive \"%.64s\" is not terminated by \";\" before \"}\"",
		    lx->words.v[0].s.p);
		append(lx, node_new(lx, s));
	}
	if (lx->depth == s->base)
		return unexpected(lx, s);
	s->p++;
	lx->block[lx->depth--].node->end_line = s->line;
	return CLOSE;
}

/* What is missing at the end, told where it was begun. */
static void
end_of_text(struct lexer *lx, struct source *s)
{
	const char	*end = s->loaded != NULL ? "file" : "parameter";
	struct place	 at = place_at(s, s->end);

	if (lx->words.n != 0) {
		at = place_of_word(s, &lx->words.v[0]);
		error_at(lx->cf, &at, "unexpected end of %s, expecting \";\"%s to end \"%.64s\"",
		    end, s->loaded != NULL ? " or \"{\"" : "", lx->words.v[0].s.p);
		lx->words.n = 0;
		lose(lx);
	}
	if (lx->depth > s->base) {
		at = place_of_word(s, &lx->block[lx->depth].node->w[0]);
		error_at(lx->cf, &at, "unexpected end of %s, expecting \"}\" to close this \"%.64s\"",
		    end, lx->block[lx->depth].node->w[0].s.p);
		lx->depth = s->base;
		lose(lx);
	}
}

static bool
is_utf16(const char *p)
{
	return memcmp(p, "\xff\xfe", 2) == 0 || memcmp(p, "\xfe\xff", 2) == 0;
}

/* Text has no NUL; what has is something else. */
static bool
is_text(struct lexer *lx, struct source *s)
{
	const char	*nul, *nl;
	struct place	 at;

	nul = s->p < s->end ? memchr(s->p, '\0', (size_t)(s->end - s->p)) : NULL;
	if (nul == NULL)
		return true;
	if (s->p - s->file->text.p == 0 && s->file->text.n >= 2 && is_utf16(s->file->text.p)) {
		at = place_at(s, s->p);
		error_at(lx->cf, &at, "this is UTF-16: save it as UTF-8");
		lose(lx);
		return false;
	}
	while ((nl = memchr(s->line_start, '\n', (size_t)(nul - s->line_start))) != NULL)
		newline(s, nl);
	at = place_at(s, nul);
	error_at(lx->cf, &at, "a NUL byte: this is no text");
	lose(lx);
	return false;
}

static void
read_source(struct lexer *lx, struct source *s)
{
	enum token t;

	if (!is_text(lx, s))
		return;
	do {
		t = next_token(lx, s);
		if (t == SEMICOLON)
			t = end_simple(lx, s);
		else if (t == OPEN)
			t = open_block(lx, s);
		else if (t == CLOSE)
			t = close_block(lx, s);
	} while (t != END && t != LOST);
	if (t == END)
		end_of_text(lx, s);
	lx->words.n = 0;
}

static void
lexer_init(struct lexer *lx, struct weir_conf *cf)
{
	memset(lx, 0, sizeof(*lx));
	lx->cf = cf;
	hash_init(&lx->loaded, cf->pool, false);
	lx->block[0].node = POOL_NEW(cf->pool, weir_node);
	lx->block[0].tail = &lx->block[0].node->child;
}

static void
read_literal(struct lexer *lx, const char *name, struct weir_str text)
{
	struct weir_conf_file	*f = POOL_NEW(lx->cf->pool, weir_conf_file);
	struct source		 s;

	f->path = name;
	f->text = text;
	source_init(&s, f, 0);
	read_source(lx, &s);
}

static int
finish(struct lexer *lx)
{
	struct weir_conf *cf = lx->cf;

	cf->root = lx->block[0].node;
	if (!cf->broken)
		return WEIR_OK;
	error_count(cf);
	return WEIR_FAIL;
}

int
conf_read(struct weir_conf *cf, const char *path, const char *globals)
{
	struct lexer	 lx;
	const struct loaded *l;
	struct source	 s;

	lexer_init(&lx, cf);
	cf->files_tail = &cf->files;
	if (globals != NULL)
		read_literal(&lx, "command line", str_c(globals));
	l = file_load(cf, &lx.loaded, NULL, pool_cstr(cf->pool, str_c(path)));
	if (l == NULL)
		lose(&lx);
	else if (!cf->broken) {
		source_init(&s, &l->file, 0);
		s.loaded = l;
		read_source(&lx, &s);
	}
	return finish(&lx);
}

int
conf_read_text(struct weir_conf *cf, const char *name, struct weir_str text)
{
	struct lexer lx;

	lexer_init(&lx, cf);
	cf->files_tail = &cf->files;
	read_literal(&lx, pool_cstr(cf->pool, str_c(name)), pool_str(cf->pool, text));
	return finish(&lx);
}

int
conf_read_lines(struct weir_conf *cf, const struct weir_node *by, const char *path, struct weir_node **to)
{
	struct lexer	 lx;
	const struct loaded *l;
	struct source	 s;
	unsigned	 errors = cf->errors;

	*to = NULL;
	if (access(path, F_OK) != 0 && errno == ENOENT)
		return WEIR_OK;
	lexer_init(&lx, cf);
	if ((l = file_load(cf, &lx.loaded, by, path)) == NULL)
		return WEIR_FAIL;
	source_init(&s, &l->file, 0);
	s.loaded = l;
	read_source(&lx, &s);
	*to = lx.block[0].node->child;
	return cf->errors == errors ? WEIR_OK : WEIR_FAIL;
}

struct weir_node *
lexer_node(struct weir_conf *cf, const char *name, struct weir_str text)
{
	struct lexer		 lx;
	struct weir_node	*n;

	lexer_init(&lx, cf);
	read_literal(&lx, name, text);
	n = lx.block[0].node->child;
	return n != NULL && n->next == NULL ? n : NULL;
}
