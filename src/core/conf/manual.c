/*
 * manual.c - weir.conf(5), from the tables, in mdoc(7).
 *
 * What a module's table says about a directive is all that the page says about
 * it: type, bounds, default, places, sentence.  Texts of the tables
 * are plain; whatever would mean something to roff is escaped here.
 */
#include "core/conf/parts.h"

/* In arguments of macros a quote ends a quoted argument. */
static void
put_text(FILE *f, struct weir_str s, bool quoted)
{
	bool	start = true;
	size_t	i;

	for (i = 0; i < s.n; i++) {
		if (start && (s.p[i] == '.' || s.p[i] == '\''))
			fputs("\\&", f);
		start = false;
		if (s.p[i] == '\\')
			fputs("\\e", f);
		else if (s.p[i] == '"' && quoted)
			fputs("\\(dq", f);
		else if (s.p[i] == '\n') {
			fputc(quoted ? ' ' : '\n', f);
			start = true;
		} else
			fputc(s.p[i], f);
	}
}

/* The length of the first sentence of a text. */
static size_t
sentence(const char *s)
{
	size_t n;

	for (n = 0; s[n] != '\0'; n++)
		if (s[n] == '.' && (s[n + 1] == ' ' || s[n + 1] == '\n'))
			return n + 1;
	return n;
}

/* mdoc wants each sentence on a line of its own. */
static void
put_sentences(FILE *f, const char *s)
{
	size_t n;

	while (*s != '\0') {
		n = sentence(s);
		put_text(f, str_of(s, n), false);
		fputc('\n', f);
		for (s += n; *s == ' ' || *s == '\n'; s++)
			;
	}
}

/* What the arguments are called when the table does not say. */
static void
put_args(FILE *f, const struct weir_cmd *cmd)
{
	static const char *const names[] = {
		[CONF_FLAG] = "on | off", [CONF_INT] = "number", [CONF_SIZE] = "size",
		[CONF_MSEC] = "time", [CONF_STR] = "string", [CONF_PATH] = "path",
		[CONF_ENUM] = "", [CONF_BITS] = "", [CONF_LIST] = "word ...", [CONF_CUSTOM] = "",
	};
	const struct weir_choice *c;
	const char		 *separator = "";

	if (cmd->args != NULL) {
		put_text(f, str_c(cmd->args), true);
		return;
	}
	put_text(f, str_c(names[cmd->type]), true);
	if (names[cmd->type][0] != '\0')
		separator = " | ";
	for (c = cmd->choices; c != NULL && c->name != NULL; c++, separator = " | ") {
		fputs(separator, f);
		put_text(f, str_c(c->name), true);
	}
	if (cmd->type == CONF_BITS)
		fputs(" ...", f);
}

static void
put_syntax(FILE *f, const struct weir_cmd *cmd)
{
	bool	block = (cmd->flags & (CONF_BLOCK | CONF_RAW)) != 0;
	bool	args = cmd->args != NULL ? cmd->args[0] != '\0' : cmd->type != CONF_CUSTOM;

	fprintf(f, "Syntax:\n.Ic %s\n", cmd->name);
	if (args) {
		fputs(".Li \"", f);
		put_args(f, cmd);
		fputs("\"\n", f);
	}
	/* Many tables write the braces into args. */
	if (block && (cmd->args == NULL || strchr(cmd->args, '{') == NULL))
		fputs(".Li \"{ ... }\"\n", f);
	fputs(".br\n", f);
}

static void
put_default(FILE *f, const struct weir_cmd *cmd)
{
	const char *def = cmd->def;

	if (def == NULL && cmd->type == CONF_FLAG)
		def = "off";
	if (def == NULL) {
		fputs("Default: none\n.br\n", f);
		return;
	}
	fprintf(f, "Default:\n.Li \"%s ", cmd->name);
	put_text(f, str_c(def), true);
	fputs(def[0] == '{' ? "\"\n.br\n" : ";\"\n.br\n", f);
}

static void
put_bounds(FILE *f, const struct weir_cmd *cmd)
{
	const char *unit = cmd->type == CONF_SIZE ? " bytes" :
	    cmd->type == CONF_MSEC ? " milliseconds" : "";

	if (cmd->min == 0 && cmd->max == 0)
		return;
	if (cmd->max == 0)
		fprintf(f, "Bounds: at least %lld%s\n.br\n", (long long)cmd->min, unit);
	else
		fprintf(f, "Bounds: %lld to %lld%s\n.br\n", (long long)cmd->min,
		    (long long)cmd->max, unit);
}

static void
put_cmd(FILE *f, const struct weir_cmd *cmd)
{
	char places[PLACES_MAX];

	fprintf(f, ".It Ic %s\n", cmd->name);
	put_syntax(f, cmd);
	put_default(f, cmd);
	put_bounds(f, cmd);
	fprintf(f, "Context: %s\n.Pp\n", places_text(places, cmd->in, ", "));
	put_sentences(f, cmd->doc);
	if ((cmd->flags & CONF_MULTI) != 0 && (cmd->flags & CONF_BLOCK) == 0)
		fputs("May be given several times; those of a block replace what it would inherit.\n", f);
	if ((cmd->flags & CONF_NOINHERIT) != 0)
		fputs("Blocks inside do not inherit it.\n", f);
}

static void
put_module(FILE *f, const struct weir_module *m)
{
	const struct weir_cmd *cmd;

	if (m->cmds == NULL || m->cmds->name == NULL)
		return;
	fprintf(f, ".Ss Module %s\n", m->name);
	if (m->doc != NULL)
		put_sentences(f, m->doc);
	fputs(".Bl -tag -width Ds\n", f);
	for (cmd = m->cmds; cmd->name != NULL; cmd++)
		put_cmd(f, cmd);
	fputs(".El\n", f);
}

static const char head[] =
    ".\\\" Written by weir --manual from the tables of directives.\n"
    ".Dd November 21, 2026\n"
    ".Dt WEIR.CONF 5\n"
    ".Os\n"
    ".Sh NAME\n"
    ".Nm weir.conf\n"
    ".Nd configuration of weir\n"
    ".Sh DESCRIPTION\n"
    "The configuration of\n"
    ".Xr weir 8\n"
    "is a text of directives.\n"
    "A simple directive is a name and its arguments, ended by a semicolon.\n"
    "A block directive has, instead of the semicolon, more directives in braces.\n"
    "From\n"
    ".Sq #\n"
    "to the end of the line is a comment.\n"
    ".Pp\n"
    "Arguments are separated by white space.\n"
    "One that holds white space, a semicolon or a brace stands in single or double quotes.\n"
    "A backslash takes the meaning from the character behind it;\n"
    ".Ql \\et ,\n"
    ".Ql \\er\n"
    "and\n"
    ".Ql \\en\n"
    "are a tab, a carriage return and a newline.\n"
    ".Bl -tag -width Ds\n"
    ".It size\n"
    "A number of bytes, or of kilo-, mega- or gigabytes with\n"
    ".Ql k ,\n"
    ".Ql m\n"
    "or\n"
    ".Ql g\n"
    "behind it.\n"
    ".It time\n"
    "A number of seconds, or numbers with the units\n"
    ".Ql ms , s , m , h , d , w , M\n"
    "(30 days) or\n"
    ".Ql y\n"
    "(365 days), the largest first:\n"
    ".Ql 1h30m .\n"
    ".It path\n"
    "What does not begin with a slash begins at the prefix, option\n"
    ".Fl p\n"
    "of\n"
    ".Xr weir 8 .\n"
    ".El\n"
    ".Pp\n"
    "A block inherits what is set around it, and what it sets itself takes precedence.\n"
    "In every block\n"
    ".Ic include\n"
    "followed by a file or a pattern stands for the directives of that file or\n"
    "of all files that match, in alphabetical order;\n"
    "relative names begin at the folder of the configuration file.\n"
    ".Pp\n"
    ".Ql weir -t\n"
    "tells every mistake with its place.\n"
    ".Sh DIRECTIVES\n";

static const char tail[] =
    ".Sh SEE ALSO\n"
    ".Xr weir 8\n";

void
conf_manual(FILE *f)
{
	unsigned i;

	fputs(head, f);
	for (i = 0; i < weir_n_modules; i++)
		put_module(f, weir_modules[i]);
	fputs(tail, f);
}
