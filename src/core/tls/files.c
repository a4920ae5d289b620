/*
 * files.c - files that several servers name are read once, and not again by a reload.
 *
 * A thousand servers may share one certificate; and what was read once is the same for all of them, even
 * when somebody replaces the file meanwhile.
 */
#include <sys/stat.h>

#include <openssl/crypto.h>
#include <openssl/err.h>

#include "core/base/hash.h"
#include "core/tls/files.h"

struct file {
	struct file	*next;
	const char	*path;
	struct stat	 st;
	char		*text;
	size_t		 n;
	struct weir_tls_objects objects;
};

/* Of one configuration; it lies in its pool. */
struct files {
	struct files	*before;	/* of the configuration that came before, and still is */
	struct weir_pool *pool;
	bool		 inherit;
	struct file	*v[256];
};

static struct files *newest;

static struct file **
slot_of(struct files *files, const char *path)
{
	return &files->v[siphash(path, strlen(path)) % WEIR_COUNT(files->v)];
}

static void
forget_file(struct file *f)
{
	OPENSSL_cleanse(f->text, f->n);
	X509_free(f->objects.leaf);
	OSSL_STACK_OF_X509_free(f->objects.rest);
	EVP_PKEY_free(f->objects.key);
}

static void
forget(void *arg)
{
	struct files *files = arg, **at = &newest;

	for (unsigned i = 0; i < WEIR_COUNT(files->v); i++)
		for (struct file *f = files->v[i]; f != NULL; f = f->next)
			forget_file(f);
	while (*at != files)
		at = &(*at)->before;
	*at = files->before;
}

static struct files *
files_of(struct weir_pool *pool)
{
	struct files *files = newest;

	if (files != NULL && files->pool == pool)
		return files;
	files = POOL_NEW(pool, files);
	files->pool = pool;
	files->before = newest;
	newest = files;
	pool_on_free(pool, forget, files);
	return files;
}

void
files_begin(struct weir_conf *cf, bool inherit)
{
	files_of(cf->pool)->inherit = inherit;
}

static struct file *
find(struct files *files, const char *path)
{
	for (struct file *f = *slot_of(files, path); f != NULL; f = f->next)
		if (strcmp(f->path, path) == 0)
			return f;
	return NULL;
}

/* Some file systems, and who sets times, know seconds only. */
static bool
is_same(const struct stat *a, const struct stat *b)
{
	long na = a->st_mtim.tv_nsec, nb = b->st_mtim.tv_nsec;

	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	    (na == nb || na == 0 || nb == 0);
}

/* What the configuration before knew of it, if that is still so. */
static bool
take_over(const struct files *files, struct file *f)
{
	struct file *old = files->inherit && files->before != NULL ? find(files->before, f->path) : NULL;
	struct stat st;

	if (old == NULL || stat(f->path, &st) != 0 || !is_same(&st, &old->st))
		return false;
	f->st = old->st;
	f->n = old->n;
	f->text = pool_bytes(files->pool, f->n + 1);
	memcpy(f->text, old->text, f->n);
	f->objects = old->objects;
	if (f->objects.leaf != NULL)
		X509_up_ref(f->objects.leaf);
	if (f->objects.rest != NULL)
		f->objects.rest = X509_chain_up_ref(f->objects.rest);
	if (f->objects.key != NULL)
		EVP_PKEY_up_ref(f->objects.key);
	return true;
}

static void
read_all(struct weir_pool *pool, BIO *from, struct file *f)
{
	BIO *all = BIO_new(BIO_s_mem());
	char part[4096], *text;
	int n;

	while ((n = BIO_read(from, part, sizeof part)) > 0)
		BIO_write(all, part, n);
	f->n = (size_t)BIO_get_mem_data(all, &text);
	f->text = pool_bytes(pool, f->n + 1);
	if (f->n != 0)
		memcpy(f->text, text, f->n);
	OPENSSL_cleanse(text, f->n);
	OPENSSL_cleanse(part, sizeof part);
	BIO_free(all);
}

static bool
read_file(struct weir_pool *pool, struct file *f)
{
	BIO *b = BIO_new_file(f->path, "r");
	FILE *fp;

	if (b == NULL)
		return false;
	if (BIO_get_fp(b, &fp) != 1 || fstat(fileno(fp), &f->st) != 0)
		memset(&f->st, 0, sizeof f->st);
	read_all(pool, b, f);
	BIO_free(b);
	return true;
}

static struct file *
get(struct weir_conf *cf, const char *path)
{
	struct files *files = files_of(cf->pool);
	struct file *f = find(files, path), **slot = slot_of(files, path);

	if (f != NULL)
		return f;
	f = POOL_NEW(cf->pool, file);
	f->path = pool_cstr(cf->pool, str_c(path));
	if (!take_over(files, f) && !read_file(cf->pool, f))
		return NULL;
	f->next = *slot;
	*slot = f;
	return f;
}

BIO *
file_open(struct weir_conf *cf, const char *path)
{
	struct file *f = get(cf, path);

	return f != NULL ? BIO_new_mem_buf(f->text, (int)f->n) : NULL;
}

struct weir_tls_objects *
file_objects(struct weir_conf *cf, const char *path)
{
	struct file *f = get(cf, path);

	return f != NULL ? &f->objects : NULL;
}
