/*
 * files.c - files that several servers name are read once.
 *
 * A thousand servers may share one certificate; and what was read once is the same for all of them, even
 * when somebody replaces the file meanwhile.
 */
#include <openssl/bio.h>
#include <openssl/crypto.h>

#include "core/base/hash.h"
#include "core/tls/files.h"

struct file {
	struct file	*next;
	const char	*path;
	char		*text;
	size_t		 n;
};

/* Of the configuration that is being read. */
static struct {
	struct weir_pool *pool;
	struct file	*v[256];
} files;

static struct file **
slot_of(const char *path)
{
	return &files.v[siphash(path, strlen(path)) % WEIR_COUNT(files.v)];
}

static void
forget(void *pool)
{
	for (unsigned i = 0; i < WEIR_COUNT(files.v); i++)
		for (struct file *f = files.pool == pool ? files.v[i] : NULL; f != NULL; f = f->next)
			OPENSSL_cleanse(f->text, f->n);
	if (files.pool == pool)
		memset(&files, 0, sizeof files);
}

static struct file *
find(struct weir_pool *pool, const char *path)
{
	struct file *f;

	if (files.pool != pool) {
		memset(&files, 0, sizeof files);
		files.pool = pool;
		pool_on_free(pool, forget, pool);
	}
	for (f = *slot_of(path); f != NULL; f = f->next)
		if (strcmp(f->path, path) == 0)
			return f;
	return NULL;
}

static struct file *
read_all(struct weir_pool *pool, BIO *from)
{
	struct file *f = POOL_NEW(pool, file);
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
	return f;
}

BIO *
file_open(struct weir_conf *cf, const char *path)
{
	struct file *f = find(cf->pool, path), **slot = slot_of(path);

	if (f == NULL) {
		BIO *b = BIO_new_file(path, "r");

		if (b == NULL)
			return NULL;
		f = read_all(cf->pool, b);
		BIO_free(b);
		f->path = pool_cstr(cf->pool, str_c(path));
		f->next = *slot;
		*slot = f;
	}
	return BIO_new_mem_buf(f->text, (int)f->n);
}
