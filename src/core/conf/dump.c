/*
 * dump.c - the files as they were read, for -T: in nginx's format, which scripts know.
 */
#include "core/conf/conf.h"

void
conf_dump(const struct weir_conf *cf, FILE *to)
{
	const struct weir_conf_file *f;

	for (f = cf->files; f != NULL; f = f->next) {
		fprintf(to, "# configuration file %s:\n", f->path);
		fwrite(f->text.p, 1, f->text.n, to);
		fputc('\n', to);
	}
}
