/*
 * autoindex.c - what is in a folder, as a page, XML or JSON.
 *
 * A folder may have any number of entries, and whoever asks for it holds nobody up: it is read some
 * entries at a time, one run of them each turn of the loop.  Each run is sorted by itself, and the body is a
 * source that merges the runs while it is read, so there never is a text of the whole.  What
 * the names take is bounded, for one listing and for all of the worker.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/json.h"
#include "http/req/files.h"

enum {
	RUN		= 256,			/* entries that are read in one turn */
	LISTING_MAX	= 16 << 20,		/* bytes for the entries of one listing */
	WORKER_MAX	= 64 << 20,		/* and of all listings of a worker */
	ENTRY_ROOM	= 4096,			/* the longest text of an entry: a name has 255 bytes */
	NAME_WIDTH	= 50			/* columns of the page */
};

enum format { FORMAT_HTML, FORMAT_XML, FORMAT_JSON, FORMAT_JSONP };
enum kind { KIND_DIR, KIND_FILE, KIND_OTHER };

struct autoindex_conf {
	bool		 on, exact_size, localtime;
	int		 format;
};

struct entry {
	int64_t		 mtime;
	uint64_t	 size;
	enum kind	 kind;
	struct weir_str	 name;
};

struct run {				/* of sorted entries: from at to end */
	unsigned	 at, end;
};

struct listing {
	struct weir_req	*r;
	DIR		*dir;		/* NULL: it is read */
	struct weir_str	 path;
	struct weir_task more;
	struct entry	**v;
	unsigned	 n, room;
	size_t		 bytes;		/* counted in all_bytes */
	struct run	*heap;		/* while it is sent, that with the first entry is on top */
	unsigned	 n_heap, heap_room;
	int		 status;	/* of an error; 0: none */
	bool		 stat_failed;	/* it was logged */
	/* while it is sent */
	struct weir_src	 src;
	struct weir_str	 callback;	/* of JSONP */
	bool		 began, first, ended;
};

struct text {				/* what is being written, with room enough */
	char		*p;
};

static size_t all_bytes;
static unsigned index_;
extern const struct weir_module autoindex_module;

/* ---- the order: folders first, then by name ---- */

static int
compare(const struct entry *a, const struct entry *b)
{
	if ((a->kind == KIND_DIR) != (b->kind == KIND_DIR))
		return a->kind == KIND_DIR ? -1 : 1;
	return str_cmp(a->name, b->name);
}

static int
compare_in_run(const void *a, const void *b)
{
	return compare(*(struct entry *const *)a, *(struct entry *const *)b);
}

static bool
run_before(const struct listing *l, const struct run *a, const struct run *b)
{
	return compare(l->v[a->at], l->v[b->at]) < 0;
}

static void
sift_down(struct listing *l, unsigned i)
{
	struct run	tmp;
	unsigned	child;

	for (; (child = 2 * i + 1) < l->n_heap; i = child) {
		if (child + 1 < l->n_heap && run_before(l, &l->heap[child + 1], &l->heap[child]))
			child++;
		if (!run_before(l, &l->heap[child], &l->heap[i]))
			return;
		tmp = l->heap[i];
		l->heap[i] = l->heap[child];
		l->heap[child] = tmp;
	}
}

static const struct entry *
next_entry(struct listing *l)
{
	const struct entry	*e;

	if (l->n_heap == 0)
		return NULL;
	e = l->v[l->heap[0].at];
	if (++l->heap[0].at == l->heap[0].end)
		l->heap[0] = l->heap[--l->n_heap];
	sift_down(l, 0);
	return e;
}

/* The entries from `begin` on are a run. */
static void
add_run(struct listing *l, unsigned begin)
{
	struct { struct run *v; unsigned n, room; } heap = { l->heap, l->n_heap, l->heap_room };

	if (begin == l->n)
		return;
	qsort(l->v + begin, l->n - begin, sizeof(struct entry *), compare_in_run);
	*POOL_PUSH(l->r->s.pool, &heap) = (struct run){ begin, l->n };
	l->heap = heap.v;
	l->n_heap = heap.n;
	l->heap_room = heap.room;
}

/* ---- reading the folder ---- */

static void
close_dir(struct listing *l)
{
	if (l->dir != NULL)
		closedir(l->dir);
	l->dir = NULL;
}

static void
end_listing(void *listing)
{
	struct listing	*l = listing;

	close_dir(l);
	task_off(&l->more);
	all_bytes -= l->bytes;
	l->bytes = 0;
}

/* Where links are forbidden nothing is told about what they point to. */
static bool
look_at(struct listing *l, const char *name, struct stat *st)
{
	int	fd = dirfd(l->dir);
	bool	follow = REQ_CORE(l->r)->symlinks == SYMLINKS_ALL;

	if (follow && fstatat(fd, name, st, 0) == 0)
		return true;
	if ((!follow || errno == ENOENT || errno == ELOOP) &&
	    fstatat(fd, name, st, AT_SYMLINK_NOFOLLOW) == 0)
		return true;
	if (errno != ENOENT && !l->stat_failed) {
		log_crit(&l->r->s.log, "stat() \"%.*s/%s\" failed", STR_ARG(l->path), name);
		l->stat_failed = true;
	}
	return false;
}

/* False: there is no room for it. */
static bool
add_entry(struct listing *l, const char *name, const struct stat *st)
{
	size_t		 n = strlen(name), bytes = sizeof(struct entry) + n + 2 * sizeof(void *);
	struct weir_pool *pool = l->r->s.pool;
	struct entry	*e;

	if (l->bytes + bytes > LISTING_MAX || all_bytes + bytes > WORKER_MAX)
		return false;
	l->bytes += bytes;
	all_bytes += bytes;
	e = POOL_NEW(pool, entry);
	e->name = str_of(pool_dup(pool, name, n), n);
	e->mtime = st->st_mtime;
	e->size = (uint64_t)st->st_size;
	e->kind = S_ISDIR(st->st_mode) ? KIND_DIR : S_ISREG(st->st_mode) ? KIND_FILE : KIND_OTHER;
	*POOL_PUSH(pool, l) = NULL;
	l->v[l->n - 1] = e;
	return true;
}

/* The next entry of the folder.  False: there is none, or no room; the folder is closed. */
static bool
read_entry(struct listing *l)
{
	struct dirent	*d;
	struct stat	 st;

	errno = 0;
	if ((d = readdir(l->dir)) == NULL) {
		if (errno != 0) {
			log_crit(&l->r->s.log, "readdir() \"%.*s\" failed", STR_ARG(l->path));
			l->status = 500;
		}
		close_dir(l);
		return false;
	}
	if (d->d_name[0] == '.' || !look_at(l, d->d_name, &st) || add_entry(l, d->d_name, &st))
		return true;
	log_errorx(&l->r->s.log, "directory index of \"%.*s\" ends after %u entries: it would take "
	    "more than %u megabytes", STR_ARG(l->path), l->n,
	    (l->bytes + ENTRY_ROOM > LISTING_MAX ? LISTING_MAX : WORKER_MAX) >> 20);
	close_dir(l);
	return false;
}

static void
read_run(struct listing *l)
{
	unsigned	begin = l->n, i;

	for (i = 0; i < RUN && read_entry(l); i++)
		;
	add_run(l, begin);
}

static void
on_more(struct weir_task *t)
{
	struct listing	*l = WEIR_OF(t, struct listing, more);

	if (l->r->finished || (l->r->x != NULL && l->r->x->gone > 1))
		close_dir(l);		/* nobody wants it any more */
	else
		read_run(l);
	if (l->dir != NULL)
		task_post(t);
	else
		weir_resume(&l->r->s);
}

/* ---- writing ---- */

static void
put_str(struct text *t, struct weir_str s)
{
	if (s.n != 0)
		memcpy(t->p, s.p, s.n);
	t->p += s.n;
}

static void
put_c(struct text *t, const char *s)
{
	put_str(t, str_c(s));
}

static void WEIR_PRINTF(2, 3)
put_f(struct text *t, const char *fmt, ...)
{
	va_list	ap;
	int	n;

	va_start(ap, fmt);
	n = vsnprintf(t->p, ENTRY_ROOM, fmt, ap);
	va_end(ap);
	assert(n >= 0 && n < ENTRY_ROOM);
	t->p += n;
}

static void
put_uri(struct text *t, struct weir_str s)
{
	static const char	free_signs[] = "-._~", hex[] = "0123456789ABCDEF";
	size_t			i;

	for (i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if ((unsigned)(c - '0') < 10 || (unsigned)(ascii_lower(c) - 'a') < 26 ||
		    (c != 0 && strchr(free_signs, c) != NULL)) {
			*t->p++ = (char)c;
			continue;
		}
		*t->p++ = '%';
		*t->p++ = hex[c >> 4];
		*t->p++ = hex[c & 15];
	}
}

static const char *
markup(char c)
{
	switch (c) {
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '&':
		return "&amp;";
	case '"':
		return "&quot;";
	default:
		return NULL;
	}
}

static void
put_html(struct text *t, struct weir_str s)
{
	const char	*as;
	size_t		 i;

	for (i = 0; i < s.n; i++)
		if ((as = markup(s.p[i])) != NULL)
			put_c(t, as);
		else
			*t->p++ = s.p[i];
}

/* The bytes of the first sign; 0: it is no UTF-8. */
static size_t
sign_len(struct weir_str s)
{
	return (unsigned char)s.p[0] < 0x80 ? 1 : utf8_len(s.p, s.n);
}

/* XML cannot hold all signs, and says that it is UTF-8. */
static void
put_xml(struct text *t, struct weir_str s)
{
	size_t	n;

	for (; s.n != 0; s = str_from(s, n)) {
		n = sign_len(s);
		if (n == 0 || ((unsigned char)s.p[0] < 0x20 && strchr("\t\n\r", s.p[0]) == NULL)) {
			put_c(t, "\xef\xbf\xbd");
			n = 1;
		} else if (s.p[0] == '\r') {
			put_c(t, "&#13;");
		} else {
			put_html(t, str_of(s.p, n));
		}
	}
}

/* How many signs it has, and how long the first `most` are; bytes when it is no UTF-8. */
static size_t
width(struct weir_str s, size_t most, size_t *bytes)
{
	size_t	i, n, len;

	*bytes = WEIR_MIN(s.n, most);
	for (i = n = 0; i < s.n; i += len, n++) {
		if (n == most)
			*bytes = i;
		if ((len = sign_len(str_from(s, i))) == 0) {
			*bytes = WEIR_MIN(s.n, most);
			return s.n;
		}
	}
	if (n <= most)
		*bytes = s.n;
	return n;
}

/* 1500, 15K, 3M */
static void
put_size(struct text *t, uint64_t size)
{
	static const struct { uint64_t from, unit; char name; } units[] = {
		{ (1u << 30) - 1, 1u << 30, 'G' }, { (1u << 20) - 1, 1u << 20, 'M' },
		{ 9999, 1u << 10, 'K' },
	};
	unsigned	i;

	for (i = 0; i < WEIR_COUNT(units); i++)
		if (size > units[i].from) {
			put_f(t, "%6llu%c", (unsigned long long)((size + units[i].unit / 2) /
			    units[i].unit), units[i].name);
			return;
		}
	put_f(t, "%7llu", (unsigned long long)size);
}

static void
put_page_date(struct text *t, int64_t sec, bool local)
{
	struct weir_civil	c;
	time_t			when = (time_t)sec;
	struct tm		tm;

	if (local && localtime_r(&when, &tm) != NULL)
		sec += tm.tm_gmtoff;
	civil_of(&c, sec);
	put_f(t, "%02u-%s-%lld %02u:%02u", c.day, civil_months[c.month - 1], (long long)c.year, c.hour,
	    c.min);
}

static void
put_page_name(struct text *t, const struct entry *e)
{
	size_t	bytes, n = width(e->name, NAME_WIDTH - 3, &bytes);

	if (n > NAME_WIDTH) {
		put_html(t, str_of(e->name.p, bytes));
		put_c(t, "..&gt;</a>");
		n = NAME_WIDTH;
	} else {
		put_html(t, e->name);
		if (e->kind == KIND_DIR && n < NAME_WIDTH) {
			put_c(t, "/");
			n++;
		}
		put_c(t, "</a>");
	}
	put_f(t, "%*s", (int)(NAME_WIDTH - n + 1), "");
}

static void
put_html_entry(struct text *t, const struct listing *l, const struct entry *e)
{
	const struct autoindex_conf	*c = REQ_CONF(l->r, autoindex_conf, autoindex_module);

	put_c(t, "<a href=\"");
	put_uri(t, e->name);
	put_c(t, e->kind == KIND_DIR ? "/\">" : "\">");
	put_page_name(t, e);
	put_page_date(t, e->mtime, c->localtime);
	put_c(t, " ");
	if (e->kind == KIND_DIR)
		put_f(t, "%*s", c->exact_size ? 19 : 7, "-");
	else if (c->exact_size)
		put_f(t, "%19llu", (unsigned long long)e->size);
	else
		put_size(t, e->size);
	put_c(t, "\r\n");
}

static const char *const kind_names[] = { "directory", "file", "other" };

static void
put_xml_entry(struct text *t, const struct listing *l, const struct entry *e)
{
	struct weir_civil	c;

	(void)l;
	civil_of(&c, e->mtime);
	put_f(t, "<%s mtime=\"%04lld-%02u-%02uT%02u:%02u:%02uZ\"", kind_names[e->kind],
	    (long long)c.year, c.month, c.day, c.hour, c.min, c.sec);
	if (e->kind == KIND_FILE)
		put_f(t, " size=\"%llu\"", (unsigned long long)e->size);
	put_c(t, ">");
	put_xml(t, e->name);
	put_f(t, "</%s>\r\n", kind_names[e->kind]);
}

static void
put_json_entry(struct text *t, const struct listing *l, const struct entry *e)
{
	put_c(t, l->first ? "{ \"name\":\"" : ",\r\n{ \"name\":\"");
	t->p = json_escape(t->p, e->name);
	put_f(t, "\", \"type\":\"%s\", \"mtime\":\"", kind_names[e->kind]);
	http_date_put(t->p, (time_t)e->mtime);
	t->p += HTTP_DATE_LEN;
	put_c(t, "\"");
	if (e->kind == KIND_FILE)
		put_f(t, ", \"size\":%llu", (unsigned long long)e->size);
	put_c(t, " }");
}

static void
begin_html(struct weir_bufq *to, const struct listing *l)
{
	struct weir_str	where = uri_escape(l->r->s.pool, l->r->uri.path, ESCAPE_HTML);

	bufq_put_str(to, STR("<html>\r\n<head><title>Index of "));
	bufq_put_str(to, where);
	bufq_put_str(to, STR("</title></head>\r\n<body>\r\n<h1>Index of "));
	bufq_put_str(to, where);
	bufq_put_str(to, STR("</h1><hr><pre><a href=\"../\">../</a>\r\n"));
}

static void
begin_xml(struct weir_bufq *to, const struct listing *l)
{
	(void)l;
	bufq_put_str(to, STR("<?xml version=\"1.0\"?>\r\n<list>\r\n"));
}

static void
begin_json(struct weir_bufq *to, const struct listing *l)
{
	if (l->callback.n != 0) {
		/* A comment first, so that the bytes at the begin are not of the client's choice. */
		bufq_put_str(to, STR("/* callback */\r\n"));
		bufq_put_str(to, l->callback);
		bufq_put_str(to, STR("("));
	}
	bufq_put_str(to, STR("[\r\n"));
}

static const struct writer {
	const char	*type;
	void		(*begin)(struct weir_bufq *, const struct listing *);
	void		(*entry)(struct text *, const struct listing *, const struct entry *);
	const char	*end;
} writers[] = {
	[FORMAT_HTML] = { "text/html", begin_html, put_html_entry,
	    "</pre><hr></body>\r\n</html>\r\n" },
	[FORMAT_XML] = { "text/xml; charset=utf-8", begin_xml, put_xml_entry, "</list>\r\n" },
	[FORMAT_JSON] = { "application/json", begin_json, put_json_entry, "\r\n]" },
	[FORMAT_JSONP] = { "application/javascript", begin_json, put_json_entry, "\r\n]);" },
};

static const struct writer *
writer_of(const struct listing *l)
{
	int	format = REQ_CONF(l->r, autoindex_conf, autoindex_module)->format;

	return &writers[format == FORMAT_JSONP && l->callback.n == 0 ? FORMAT_JSON : format];
}

static ssize_t
list_read(struct weir_src *src, struct weir_bufq *to, size_t max)
{
	struct listing		*l = WEIR_OF(src, struct listing, src);
	const struct writer	*w = writer_of(l);
	const struct entry	*e;
	uint64_t		 before = to->len;
	char			 buf[ENTRY_ROOM];
	struct text		 t;

	if (l->ended)
		return WEIR_EOF;
	if (!l->began)
		w->begin(to, l);
	l->began = true;
	while (to->len - before < max && (e = next_entry(l)) != NULL) {
		t.p = buf;
		w->entry(&t, l, e);
		bufq_put(to, buf, (size_t)(t.p - buf));
		l->first = false;
	}
	if (to->len - before < max) {
		bufq_put_str(to, str_c(w->end));
		l->ended = true;
	}
	return (ssize_t)(to->len - before);
}

static void
list_want(struct weir_src *src, bool on)
{
	(void)src, (void)on;
}

static void
list_stop(struct weir_src *src)
{
	WEIR_OF(src, struct listing, src)->ended = true;
}

static const struct weir_src_ops list_ops = { list_read, list_want, list_stop, NULL, NULL };

/* ---- the request ---- */

/* ?callback=name: a name, and no script.  False: it is none. */
static bool
read_callback(struct weir_str args, struct weir_str *to)
{
	struct weir_str	item;
	ssize_t		end;
	size_t		i;

	for (*to = STR_NONE; args.n != 0; args = str_from(args, item.n + 1)) {
		end = str_chr(args, '&');
		item = end >= 0 ? str_of(args.p, (size_t)end) : args;
		if (str_ibegins(item, STR("callback="))) {
			*to = str_from(item, 9);
			break;
		}
	}
	for (i = 0; i < to->n; i++) {
		unsigned char c = (unsigned char)to->p[i];

		if ((unsigned)(c - '0') >= 10 && (unsigned)(ascii_lower(c) - 'a') >= 26 && c != '_' &&
		    c != '.')
			return false;
	}
	return true;
}

static enum weir_next
respond(struct listing *l)
{
	struct weir_req	*r = l->r;
	unsigned	 i;

	if (l->status != 0)
		return req_error(r, l->status);
	for (i = l->n_heap / 2; i-- > 0; )
		sift_down(l, i);
	l->src.ops = &list_ops;
	l->first = true;
	r->rsp.status = 200;
	r->rsp.length = -1;
	r->content_type = str_c(writer_of(l)->type);
	r->charset_done = REQ_CONF(r, autoindex_conf, autoindex_module)->format == FORMAT_XML;
	r->body = &l->src;
	return req_respond(r);
}

static struct listing *
new_listing(struct weir_req *r)
{
	struct listing	*l = POOL_NEW(r->s.pool, listing);

	l->r = r;
	task_init(&l->more, on_more);
	pool_on_free(r->s.pool, end_listing, l);
	return l;
}

static enum weir_next
begin(struct weir_req *r, struct listing **keep)
{
	struct listing	*l = new_listing(r);
	int		 fd, status = req_path(r, r->uri.path, &l->path);

	if (status != 0)
		return req_error(r, status);
	if (l->path.n > 1)
		l->path = str_c(pool_cstr(r->s.pool, str_of(l->path.p, l->path.n - 1)));
	if (REQ_CONF(r, autoindex_conf, autoindex_module)->format == FORMAT_JSONP &&
	    !read_callback(r->uri.args, &l->callback))
		return req_error(r, 400);
	fd = req_open_folder(r, l->path);
	if (fd < 0 || (l->dir = fdopendir(fd)) == NULL) {
		status = req_file_error(r, "opendir()", l->path);
		if (fd >= 0)
			close(fd);
		return req_error(r, status);
	}
	if (r->method_id == M_HEAD)
		close_dir(l);
	else
		read_run(l);
	if (l->dir == NULL)
		return respond(l);
	*keep = l;
	task_post(&l->more);
	return WEIR_WAIT;
}

static enum weir_next
on_content(struct weir_sess *s)
{
	struct weir_req	 *r = req_of(s);
	struct listing	**keep, *l;

	if (!REQ_CONF(r, autoindex_conf, autoindex_module)->on || !str_ends(r->uri.path, STR("/")) ||
	    (r->method_id != M_GET && r->method_id != M_HEAD))
		return WEIR_NEXT;
	keep = sess_ctx_make(s, index_, sizeof(*keep));
	if ((l = *keep) == NULL)
		return begin(r, keep);
	if (l->dir != NULL)
		return WEIR_WAIT;
	*keep = NULL;		/* an error page may be a folder, too */
	return respond(l);
}

static const struct weir_choice formats[] = {
	{ "html", FORMAT_HTML }, { "xml", FORMAT_XML }, { "json", FORMAT_JSON },
	{ "jsonp", FORMAT_JSONP }, { NULL, 0 }
};

static const struct weir_cmd cmds[] = {
	{ "autoindex", IN_HTTP_ANY, CONF_FLAG, CONF_AT(autoindex_conf, on), .def = "off",
	  .doc = "Show what is in a folder that has no index file.  Names that begin with a dot are left "
	  "out.  A listing takes up to 16 megabytes, all listings of a worker 64; what does not fit is "
	  "missing, and the error log says so." },
	{ "autoindex_exact_size", IN_HTTP_ANY, CONF_FLAG, CONF_AT(autoindex_conf, exact_size),
	  .def = "on", .doc = "In the HTML format, tell sizes in bytes, or rounded to kilobytes, megabytes "
	  "and gigabytes?" },
	{ "autoindex_format", IN_HTTP_ANY, CONF_ENUM, CONF_AT(autoindex_conf, format),
	  .def = "html", .choices = formats,
	  .doc = "What a listing is written as.  With jsonp it is the argument of the function that the "
	  "request's argument callback names; without that it is JSON." },
	{ "autoindex_localtime", IN_HTTP_ANY, CONF_FLAG, CONF_AT(autoindex_conf, localtime),
	  .def = "off", .doc = "In the HTML format, are times local or UTC?" },
	{ 0 }
};

static bool
idle(const void *conf)
{
	return !((const struct autoindex_conf *)conf)->on;
}

static const struct weir_hook hooks[] = { { ON_CONTENT, on_content, idle }, { 0 } };

const struct weir_module autoindex_module = {
	.name = "autoindex", .index = &index_, .conf_size = sizeof(struct autoindex_conf),
	.cmds = cmds, .hooks = hooks,
	.doc = "Listings of folders.",
};
