/* unit: objs/modules.c */
/*
 * conf.c - any text as a configuration: lexed, bound by a small table, dumped.
 *
 * It is never a crash, and every text that is refused was complained about.
 */
#include "../unit/conf_test.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* Texts that could reach files of this machine are none of ours. */
static bool
reaches_out(struct weir_str s)
{
	return str_find(s, STR("include")) >= 0 && str_chr(s, '/') >= 0;
}

/* What must hold of every node: the binder and set() functions build on it. */
static void
check_nodes(const struct weir_node *n)
{
	unsigned i;

	for (; n != NULL; n = n->next) {
		assert(n->n != 0 && n->file != NULL);
		for (i = 0; i < n->n; i++) {
			assert(n->w[i].s.p[n->w[i].s.n] == '\0');
			assert(memchr(n->w[i].s.p, '\0', n->w[i].s.n) == NULL);
			assert(n->w[i].line != 0 && n->w[i].col != 0);
		}
		assert(n->block || n->child == NULL);
		check_nodes(n->child);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static FILE	*nowhere;
	struct weir_str	 text = str_of((const char *)data, size);
	FILE		*loud = stderr;
	struct run	*r;
	int		 rc;

	if (reaches_out(text))
		return 0;
	if (nowhere == NULL) {
		nowhere = fopen("/dev/null", "w");
		assert(nowhere != NULL);
		conf_modules_init();
	}
	r = run_new();
	/* What is said, with lines and carets, is written and not kept. */
	stderr = nowhere;
	rc = conf_read_text(&r->cf, "fuzz.conf", text);
	check_nodes(r->cf.root->child);
	if (conf_bind(&r->cf) != WEIR_OK)
		rc = WEIR_FAIL;
	stderr = loud;
	assert((rc == WEIR_OK) == (r->cf.errors == 0));
	conf_dump(&r->cf, nowhere);
	run_free(r);
	return 0;
}
