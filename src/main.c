/*
 * main.c - the command line: nginx's options, texts and exit codes.
 *
 * What the options ask for is done by the room proc.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <string.h>

#include "config.h"
#ifdef HAVE_OPENSSL
#include <openssl/crypto.h>
#endif
#ifdef HAVE_ZLIB
#include <zlib.h>
#endif

#include "core/conf/conf.h"
#include "core/proc/proc.h"
#include "core/tls/tls.h"

struct command_line {
	struct weir_options	 o;
	bool			 version, configured, help;
};

/* Options with an argument, in the same word or in the next. */
static const struct valued {
	char		 letter;
	size_t		 at;
	const char	*needs;
} valued[] = {
	{ 'p', offsetof(struct weir_options, prefix), "directory name" },
	{ 'e', offsetof(struct weir_options, error_log), "file name" },
	{ 'c', offsetof(struct weir_options, conf_path), "file name" },
	{ 'g', offsetof(struct weir_options, globals), "parameter" },
	{ 's', offsetof(struct weir_options, signal), "parameter" },
};

static const char *const signals[] = { "stop", "quit", "reopen", "reload" };

static bool
set_flag(struct command_line *c, char letter)
{
	switch (letter) {
	case '?':
	case 'h':
		c->help = true;
		break;
	case 'v':
		break;
	case 'V':
		c->configured = true;
		break;
	case 'T':
		c->o.dump = true;
		c->o.test = true;
		return true;
	case 't':
		c->o.test = true;
		return true;
	case 'q':
		c->o.quiet = true;
		return true;
	default:
		return false;
	}
	c->version = true;
	return true;
}

static const struct valued *
find_valued(char letter)
{
	size_t i;

	for (i = 0; i < WEIR_COUNT(valued); i++)
		if (valued[i].letter == letter)
			return &valued[i];
	return NULL;
}

static int
check_signal(const char *name)
{
	size_t i;

	for (i = 0; i < WEIR_COUNT(signals); i++)
		if (strcmp(name, signals[i]) == 0)
			return WEIR_OK;
	fprintf(stderr, "weir: invalid option: \"-s %s\"\n", name);
	return WEIR_FAIL;
}

/* `rest` follows the letter in its word; if that is empty, the next word is the value. */
static int
set_value(struct command_line *c, const struct valued *v, const char *rest, char ***argv)
{
	const char *value = *rest != '\0' ? rest : *++*argv;

	if (value == NULL || *value == '\0') {
		fprintf(stderr, "weir: option \"-%c\" requires %s\n", v->letter, v->needs);
		return WEIR_FAIL;
	}
	*(const char **)((char *)&c->o + v->at) = value;
	return v->letter == 's' ? check_signal(value) : WEIR_OK;
}

static int
read_word(struct command_line *c, char ***argv)
{
	const char		*p = **argv;
	const struct valued	*v;

	if (*p++ != '-' || *p == '\0') {
		fprintf(stderr, "weir: invalid option: \"%s\"\n", **argv);
		return WEIR_FAIL;
	}
	for (; *p != '\0'; p++) {
		if (set_flag(c, *p))
			continue;
		if ((v = find_valued(*p)) != NULL)
			return set_value(c, v, p + 1, argv);
		fprintf(stderr, "weir: invalid option: \"%c\"\n", *p);
		return WEIR_FAIL;
	}
	return WEIR_OK;
}

static void
show_help(void)
{
	fputs("Usage: weir [-?hvVtTq] [-s signal] [-p prefix]\n"
	    "            [-e filename] [-c filename] [-g directives]\n"
	    "\n"
	    "Options:\n"
	    "  -?,-h         : this help\n"
	    "  -v            : show version and exit\n"
	    "  -V            : show version, libraries and configure arguments, and exit\n"
	    "  -t            : test the configuration and exit\n"
	    "  -T            : test the configuration, print all its files and exit\n"
	    "  -q            : say nothing but errors while testing\n"
	    "  -s signal     : signal the running master: stop, quit, reopen, reload\n"
	    "  -p prefix     : where relative paths begin (default: " WEIR_PREFIX "/)\n"
	    "  -e filename   : error log (default: " WEIR_ERROR_LOG_PATH ")\n"
	    "  -c filename   : configuration (default: " WEIR_CONF_PATH ")\n"
	    "  -g directives : directives that stand before the configuration\n"
	    "\n", stderr);
}

/* The libraries as they were built with, and those that may be others by now as they are. */
static void
show_libraries(void)
{
	char pcre2[64];

	fprintf(stderr, "built with %s\n", WEIR_LIBRARIES);
	if (pcre2_config(PCRE2_CONFIG_VERSION, NULL) <= (int)sizeof(pcre2) &&
	    pcre2_config(PCRE2_CONFIG_VERSION, pcre2) > 0)
		fprintf(stderr, "running with pcre2 %s", pcre2);
#ifdef HAVE_OPENSSL
	fprintf(stderr, ", %s", OpenSSL_version(OPENSSL_VERSION));
#endif
#ifdef HAVE_ZLIB
	fprintf(stderr, ", zlib %s", zlibVersion());
#endif
	fputc('\n', stderr);
}

static void
show_version(const struct command_line *c)
{
	fprintf(stderr, "weir version: weir/%s\n", WEIR_VERSION);
	if (c->help)
		show_help();
	if (!c->configured)
		return;
	fprintf(stderr, "built by %s\n", WEIR_COMPILER);
	show_libraries();
	fprintf(stderr, "configure arguments: %s\n", WEIR_CONFIGURE);
}

/* For the build and the tests: what the tables of directives say. */
static const struct {
	const char	*word;
	void		(*print)(FILE *);
} printers[] = {
	{ "--manual", conf_manual },
	{ "--directives", conf_directives },
};

static bool
print_tables(const char *word)
{
	size_t i;

	for (i = 0; word != NULL && i < WEIR_COUNT(printers); i++)
		if (strcmp(word, printers[i].word) == 0) {
			printers[i].print(stdout);
			return true;
		}
	return false;
}

int
main(int argc, char **argv)
{
	struct command_line	  c = { .o.argv = argv };
	char			**at = argv;

	(void)argc;
	tls_memory();
	conf_modules_init();
	if (argv[0] != NULL && print_tables(argv[1]))
		return fflush(stdout) != 0 || ferror(stdout);
	while (*at != NULL && *++at != NULL)
		if (read_word(&c, &at) != WEIR_OK)
			return 1;
	if (c.version) {
		show_version(&c);
		if (!c.o.test)
			return 0;
	}
	if (c.o.test)
		return proc_test(&c.o);
	return c.o.signal != NULL ? proc_signal(&c.o) : proc_main(&c.o);
}
