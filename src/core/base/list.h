/*
 * list.h - doubly linked lists whose links sit inside their members.
 *
 * A head and a member are the same struct; an empty head, and a member that is
 * on no list, point at themselves.
 */
#ifndef WEIR_BASE_LIST_H
#define WEIR_BASE_LIST_H

#include "core/base/defs.h"

struct weir_link_node {
	struct weir_link_node *next, *prev;
};

#define weir_list weir_link_node

static inline void
list_init(struct weir_list *l)
{
	l->next = l->prev = l;
}

static inline bool
list_empty(const struct weir_list *l)
{
	return l->next == l;
}

static inline void
list_insert(struct weir_list *after, struct weir_list *n)
{
	n->prev = after;
	n->next = after->next;
	after->next->prev = n;
	after->next = n;
}

static inline void
list_push(struct weir_list *head, struct weir_list *n)	/* at the front */
{
	list_insert(head, n);
}

static inline void
list_append(struct weir_list *head, struct weir_list *n)
{
	list_insert(head->prev, n);
}

/* Takes a member off its list; harmless when it is on none. */
static inline void
list_remove(struct weir_list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	n->next = n->prev = n;
}

#define list_first(head, type, field)	WEIR_OF((head)->next, type, field)
#define list_last(head, type, field)	WEIR_OF((head)->prev, type, field)
#define list_each(at, head) \
	for ((at) = (head)->next; (at) != (head); (at) = (at)->next)
/* The body may remove `at`. */
#define list_each_safe(at, nxt, head) \
	for ((at) = (head)->next, (nxt) = (at)->next; (at) != (head); \
	    (at) = (nxt), (nxt) = (at)->next)

#endif
