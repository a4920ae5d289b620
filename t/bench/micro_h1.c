#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/pool.h"
#include "http/h1/parse.h"
#include "http/msg/uri.h"

static const char five[] =
	"GET /index.html?x=1 HTTP/1.1\r\n"
	"Host: www.example.com\r\n"
	"User-Agent: bench/1.0\r\n"
	"Accept: */*\r\n"
	"Accept-Encoding: gzip\r\n"
	"Connection: keep-alive\r\n"
	"\r\n";

static const char twenty[] =
	"GET /assets/js/application.min.js?v=20240117 HTTP/1.1\r\n"
	"Host: www.example.com\r\n"
	"Connection: keep-alive\r\n"
	"Cache-Control: max-age=0\r\n"
	"Sec-CH-UA: \"Chromium\";v=\"120\", \"Not=A?Brand\";v=\"24\"\r\n"
	"Sec-CH-UA-Mobile: ?0\r\n"
	"Sec-CH-UA-Platform: \"Linux\"\r\n"
	"Upgrade-Insecure-Requests: 1\r\n"
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"
	" Chrome/120.0.0.0 Safari/537.36\r\n"
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8\r\n"
	"Sec-Fetch-Site: same-origin\r\n"
	"Sec-Fetch-Mode: navigate\r\n"
	"Sec-Fetch-User: ?1\r\n"
	"Sec-Fetch-Dest: document\r\n"
	"Referer: https://www.example.com/some/where/else\r\n"
	"Accept-Encoding: gzip, deflate, br\r\n"
	"Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n"
	"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; seen=1\r\n"
	"If-None-Match: \"5f3e-60a1b2c3d4e5f\"\r\n"
	"If-Modified-Since: Wed, 17 Jan 2024 10:00:00 GMT\r\n"
	"X-Requested-With: XMLHttpRequest\r\n"
	"\r\n";

static const struct h1_limits limits = {
	.line = 8192, .total = 32768, .fields = 100, .ignore_invalid = true,
};

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void
one(const char *text, size_t n)
{
	struct weir_bufq q = { NULL, NULL, 0 };
	struct weir_pool *pool = pool_new(4096);
	struct weir_str first;
	struct weir_msg msg;
	struct weir_uri uri;
	const char *why;
	size_t room, scanned = 0, end;
	char *head;

	memcpy(bufq_room(&q, 1, &room), text, n);
	bufq_added(&q, n);
	first = bufq_first(&q);
	end = h1_head_end(first.p, first.n, &scanned);
	head = pool_bytes(pool, end);
	bufq_take(&q, head, end);
	if (h1_parse_request(pool, head, end, &limits, &msg).status != 0 ||
	    uri_parse(pool, msg.target, true, &uri, &why) != WEIR_OK)
		abort();
	pool_free(pool);
}

static void
parse_only(const char *text, size_t n)
{
	struct weir_pool *pool = pool_new(4096);
	struct weir_msg msg;

	if (h1_parse_request(pool, (char *)(uintptr_t)text, n, &limits, &msg).status != 0)
		abort();
	pool_free(pool);
}

static void
end_only(const char *text, size_t n)
{
	size_t scanned = 0;

	if (h1_head_end(text, n, &scanned) != n)
		abort();
}

static void
run(const char *name, void (*f)(const char *, size_t), const char *text, size_t n, unsigned loops)
{
	uint64_t begin = now_ns();
	unsigned i;

	for (i = 0; i < loops; i++)
		f(text, n);
	printf("%-28s %6zu bytes %8.1f ns\n", name, n, (double)(now_ns() - begin) / loops);
}

int
main(int argc, char **argv)
{
	unsigned loops = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000000;

	run("end, 5 fields", end_only, five, sizeof(five) - 1, loops);
	run("end, 20 fields", end_only, twenty, sizeof(twenty) - 1, loops);
	run("parse, 5 fields", parse_only, five, sizeof(five) - 1, loops);
	run("parse, 20 fields", parse_only, twenty, sizeof(twenty) - 1, loops);
	run("queue to message, 5 fields", one, five, sizeof(five) - 1, loops);
	run("queue to message, 20 fields", one, twenty, sizeof(twenty) - 1, loops);
	return 0;
}
