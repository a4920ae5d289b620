/*
 * hello.h - writing ClientHellos, for tests of who reads them.
 */
#ifndef UNIT_HELLO_H
#define UNIT_HELLO_H

#include <stdio.h>
#include <stdlib.h>

#include "unit.h"

struct out {
	size_t		 n;
	unsigned char	 b[70000];
};

static void
put(struct out *o, unsigned v, unsigned bytes)
{
	assert_true(o->n + bytes <= sizeof o->b);
	for (unsigned i = bytes; i-- > 0; )
		o->b[o->n++] = (unsigned char)(v >> 8 * i);
}

static void
put_bytes(struct out *o, const void *p, size_t n)
{
	assert_true(o->n + n <= sizeof o->b);
	if (n != 0)
		memcpy(o->b + o->n, p, n);
	o->n += n;
}

/* The length of what comes until put_end() is written here, in so many bytes. */
static size_t
put_begin(struct out *o, unsigned bytes)
{
	put(o, 0, bytes);
	return o->n;
}

static void
put_end(struct out *o, size_t at, unsigned bytes)
{
	size_t n = o->n - at;

	for (unsigned i = 0; i < bytes; i++)
		o->b[at - 1 - i] = (unsigned char)(n >> 8 * i);
}

/* Numbers in hex, with anything between them: "1301,c02b". */
static void
say_hexes(struct out *o, const char *list, unsigned bytes)
{
	char *end;

	for (const char *p = list; *p != '\0'; p = end) {
		put(o, (unsigned)strtoul(p, &end, 16), bytes);
		end += *end != '\0';
	}
}

static void
say_list(struct out *o, const char *list, unsigned each, unsigned bytes)
{
	size_t at = put_begin(o, bytes);

	say_hexes(o, list, each);
	put_end(o, at, bytes);
}

/* Lists in hex; NULL: there is no such extension.  What of `extensions` has no content of its own is empty. */
struct say {
	unsigned	 version;
	const char	*ciphers, *extensions, *versions, *groups, *formats, *signatures, *shares;
	const char	*name, *alpn;		/* "h2 http/1.1" */
	size_t		 padding;		/* of extension 21 */
};

static void
say_alpn(struct out *o, const char *names)
{
	size_t at = put_begin(o, 2);

	for (const char *p = names; *p != '\0'; ) {
		size_t n = strcspn(p, " ");

		put(o, (unsigned)n, 1);
		put_bytes(o, p, n);
		p += n + (p[n] == ' ');
	}
	put_end(o, at, 2);
}

static void
say_name(struct out *o, const char *name, size_t n)
{
	size_t list = put_begin(o, 2), at;

	put(o, 0, 1);
	at = put_begin(o, 2);
	put_bytes(o, name, n);
	put_end(o, at, 2);
	put_end(o, list, 2);
}

static void
say_shares(struct out *o, const char *groups)
{
	size_t list = put_begin(o, 2);
	char *end;

	for (const char *p = groups; *p != '\0'; p = end) {
		put(o, (unsigned)strtoul(p, &end, 16), 2);
		put(o, 1, 2);
		put(o, 0, 1);
		end += *end != '\0';
	}
	put_end(o, list, 2);
}

static void
say_body(struct out *o, const struct say *s, unsigned type)
{
	static const unsigned char zeros[65536];

	if (type == 0 && s->name != NULL)
		say_name(o, s->name, strlen(s->name));
	else if (type == 10 && s->groups != NULL)
		say_list(o, s->groups, 2, 2);
	else if (type == 11 && s->formats != NULL)
		say_list(o, s->formats, 1, 1);
	else if (type == 13 && s->signatures != NULL)
		say_list(o, s->signatures, 2, 2);
	else if (type == 16 && s->alpn != NULL)
		say_alpn(o, s->alpn);
	else if (type == 43 && s->versions != NULL)
		say_list(o, s->versions, 2, 1);
	else if (type == 51 && s->shares != NULL)
		say_shares(o, s->shares);
	else if (type == 21)
		put_bytes(o, zeros, s->padding);
}

static void
say_extensions(struct out *o, const struct say *s)
{
	size_t all = put_begin(o, 2), at;
	char *end;

	for (const char *p = s->extensions; *p != '\0'; p = end) {
		unsigned type = (unsigned)strtoul(p, &end, 16);

		put(o, type, 2);
		at = put_begin(o, 2);
		say_body(o, s, type);
		put_end(o, at, 2);
		end += *end != '\0';
	}
	put_end(o, all, 2);
}

/* The message with its header. */
static void
say_hello(struct out *o, const struct say *s)
{
	size_t at;

	o->n = 0;
	put(o, 1, 1);
	at = put_begin(o, 3);
	put(o, s->version != 0 ? s->version : 0x0303, 2);
	put_bytes(o, "0123456789abcdef0123456789ABCDEF", 32);
	say_list(o, "5e 55", 1, 1);
	say_list(o, s->ciphers != NULL ? s->ciphers : "1301", 2, 2);
	say_list(o, "0", 1, 1);
	if (s->extensions != NULL)
		say_extensions(o, s);
	put_end(o, at, 3);
}

/* The message in records of `size` bytes. */
WEIR_UNUSED static void
put_records(struct out *to, const struct out *message, size_t size)
{
	to->n = 0;
	for (size_t at = 0; at < message->n; at += size) {
		size_t n = WEIR_MIN(size, message->n - at);

		put(to, 0x160301, 3);
		put(to, (unsigned)n, 2);
		put_bytes(to, message->b + at, n);
	}
}

#endif
