/* unit: src/core/shm/zone.c */
#include "unit.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "core/shm/zone.c"

static struct weir_log quiet;		/* without outputs */

static struct weir_zone_want
want(const char *name)
{
	return (struct weir_zone_want){ .name = str_c(name), .size = 65536, .kind = "test",
	    .version = 1, .tag = STR("$key") };
}

static struct weir_zone *
declare(struct weir_zones *zs, struct weir_zone_want w)
{
	const char *why;

	return zone_declare(zs, &w, &why);
}

static struct weir_zones *
set(void)
{
	return zones_new(pool_new(0));
}

static void
done(struct weir_zones *zs)
{
	pool_free(zs->pool);
}

/* A generation with one zone, opened. */
static struct weir_zone *
opened(struct weir_zone_want w, const struct weir_zones *old, struct weir_zones **zs)
{
	struct weir_zone *z;

	*zs = set();
	z = declare(*zs, w);
	assert_non_null(z);
	assert_int_equal(zones_open(*zs, old, &quiet), WEIR_OK);
	return z;
}

static void
test_declare(void **state)
{
	struct weir_zones	*zs = set();
	struct weir_zone_want	 w = want("a");
	const char		*why;

	(void)state;
	assert_non_null(declare(zs, w));
	assert_ptr_equal(declare(zs, w), zone_find(zs, STR("a")));
	assert_null(zone_find(zs, STR("b")));
	w.size = 131072;
	assert_null(zone_declare(zs, &w, &why));
	assert_string_equal(why, "the shared memory zone \"a\" is already declared with another size");
	w = want("a");
	w.tag = STR("$other");
	assert_null(zone_declare(zs, &w, &why));
	assert_string_equal(why, "the shared memory zone \"a\" is already declared with another key");
	w = want("a");
	w.kind = "other";
	assert_null(zone_declare(zs, &w, &why));
	assert_string_equal(why, "the shared memory zone \"a\" is already declared for a different use");
	w = want("b");
	w.size = 32767;
	assert_null(zone_declare(zs, &w, &why));
	assert_string_equal(why, "zone \"b\" is too small: it needs 32k at least");
	w.size = UINT64_MAX;
	assert_null(zone_declare(zs, &w, &why));
	assert_null(declare(zs, want("")));
	assert_null(declare(zs, want("0123456789012345678901234567890123456789012345678901234567890123")));
	done(zs);
}

static void
test_spec(void **state)
{
	struct weir_str	name;
	uint64_t	size;
	const char     *why;

	(void)state;
	assert_int_equal(zone_spec(STR("one:10m"), &name, &size, &why), WEIR_OK);
	assert_str(name, "one");
	assert_int_equal(size, 10 << 20);
	assert_int_equal(zone_spec(STR("a:b:32k"), &name, &size, &why), WEIR_OK);
	assert_str(name, "a:b");
	assert_int_equal(zone_spec(STR("one"), &name, &size, &why), WEIR_FAIL);
	assert_int_equal(zone_spec(STR(":1m"), &name, &size, &why), WEIR_FAIL);
	assert_int_equal(zone_spec(STR("one:"), &name, &size, &why), WEIR_FAIL);
	assert_int_equal(zone_spec(STR("one:x"), &name, &size, &why), WEIR_FAIL);
}

/* The next generation has the same memory, and it lives as long as one of both. */
static void
test_kept(void **state)
{
	struct weir_zones	*a, *b;
	struct weir_zone	*za = opened(want("z"), NULL, &a), *zb;
	void			*at = za->mem;

	(void)state;
	assert_true(za->fresh);
	assert_int_equal((uintptr_t)at % 64, 0);
	assert_true(za->room > 65536 - 1024 && za->room < 65536);
	memset(za->mem, 'x', za->room);
	zb = opened(want("z"), a, &b);
	assert_false(zb->fresh);
	assert_ptr_equal(zb->mem, at);
	assert_int_equal(za->map->refs, 2);
	done(a);
	assert_int_equal(((char *)zb->mem)[zb->room - 1], 'x');
	done(b);
	assert_true(list_empty(&maps));
}

static void
test_changed(void **state)
{
	struct weir_zone_want	 other[] = { want("z"), want("z"), want("z"), want("z") };
	struct weir_zones	*a, *b;
	struct weir_zone	*za = opened(want("z"), NULL, &a), *zb;
	unsigned		 i;

	(void)state;
	other[0].size = 70000;
	other[1].version = 2;
	other[2].kind = "else";
	other[3].tag = STR("$others");
	memset(za->mem, 'x', za->room);
	for (i = 0; i < WEIR_COUNT(other); i++) {
		zb = opened(other[i], a, &b);
		assert_true(zb->fresh);
		assert_int_equal(*(char *)zb->mem, 0);
		assert_int_equal(*(char *)za->mem, 'x');
		done(b);
	}
	done(a);
}

static unsigned opens;

static void
on_open(struct weir_zone *z)
{
	assert_ptr_equal(z->owner, &opens);
	opens++;
}

/* One that cannot be mapped leaves the old generation as it was. */
static void
test_fails(void **state)
{
	struct weir_zone_want	 huge = want("huge"), w = want("z");
	struct weir_zones	*a, *b = set();
	struct weir_zone	*za;

	(void)state;
	w.open = on_open;
	w.owner = &opens;
	za = opened(w, NULL, &a);
	assert_int_equal(opens, 1);
	huge.size = (uint64_t)1 << 60;
	declare(b, want("z"));
	declare(b, huge);
	assert_int_equal(zones_open(b, a, &quiet), WEIR_FAIL);
	assert_int_equal(za->map->refs, 2);
	done(b);
	assert_int_equal(za->map->refs, 1);
	*(char *)za->mem = 1;
	done(a);
	assert_true(list_empty(&maps));
}

static void
test_children(void **state)
{
	struct weir_zones	*a;
	struct weir_zone	*z = opened(want("z"), NULL, &a);
	int			 status;
	pid_t			 pid;

	(void)state;
	assert_int_equal(zone_deaths(z), 0);
	pid = fork();
	if (pid == 0) {
		zones_close_fds();
		if (z->map->fd != -1)
			_exit(1);
		strcpy(z->mem, "from the child");
		zone_hurt(z);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_string_equal(z->mem, "from the child");
	assert_int_equal(zone_deaths(z), 1);
	zones_hurt(a);
	assert_int_equal(zone_deaths(z), 2);
	done(a);
}

/* As if a new binary got the descriptors: the memory shows up a second time. */
static void
test_inherited(void **state)
{
	struct weir_zone_want	 other = want("other");
	struct weir_zones	*a, *b = set();
	struct weir_zone	*za = opened(want("z"), NULL, &a), *zb;
	int			 fd = dup(za->map->fd), null = dup(fd);
	char			 text[64];

	(void)state;
	assert_true(fd >= 0);
	close(null);
	snprintf(text, sizeof(text), "%d", za->map->fd);
	assert_true(str_begins(zones_export(a, a->pool), str_c(text)));
	zones_keep_open(a);
	assert_int_equal(fcntl(za->map->fd, F_GETFD), 0);
	strcpy(za->mem, "kept");
	snprintf(text, sizeof(text), "%d;%d;0;x;;", fd, null);
	zones_inherit(text);
	assert_int_equal(n_inherited, 1);
	zb = declare(b, want("z"));
	other.size = 40000;
	declare(b, other);
	assert_int_equal(zones_open(b, NULL, &quiet), WEIR_OK);
	assert_false(zb->fresh);
	assert_ptr_not_equal(za->mem, zb->mem);
	assert_string_equal(zb->mem, "kept");
	assert_int_equal(n_inherited, 0);
	/* Nobody can make it smaller under the others. */
	assert_int_not_equal(ftruncate(fd, 4096), 0);
	done(a);
	assert_string_equal(zb->mem, "kept");
	done(b);
	assert_true(list_empty(&maps));
}

/* However many there are. */
static void
test_many_inherited(void **state)
{
	enum { MANY = 1100 };
	const struct rlimit	 room = { 2048, 2048 };
	struct weir_zones	*a, *b = set();
	struct weir_zone	*za = opened(want("z"), NULL, &a), *zb;
	struct weir_text	 text = { .pool = a->pool };

	(void)state;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &room), 0);
	strcpy(za->mem, "kept");
	for (int i = 0; i < MANY; i++)
		text_putf(&text, "%d;", dup(za->map->fd));
	zones_inherit(pool_cstr(a->pool, text_str(&text)));
	assert_int_equal(n_inherited, MANY);
	zb = declare(b, want("z"));
	assert_int_equal(zones_open(b, NULL, &quiet), WEIR_OK);
	assert_string_equal(zb->mem, "kept");
	assert_int_equal(n_inherited, 0);
	done(a);
	done(b);
	assert_true(list_empty(&maps));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_declare),
		cmocka_unit_test(test_spec),
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_changed),
		cmocka_unit_test(test_fails),
		cmocka_unit_test(test_children),
		cmocka_unit_test(test_inherited),
		cmocka_unit_test(test_many_inherited),
	};

	return RUN(tests);
}
