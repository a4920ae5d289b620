/*
 * steps.h - moving a request between its steps; for the files of this room.
 */
#ifndef WEIR_HTTP_REQ_STEPS_H
#define WEIR_HTTP_REQ_STEPS_H

#include "http/req/req.h"

enum weir_step {
	STEP_SERVER_REWRITE, STEP_ROUTE, STEP_REWRITE, STEP_PREACCESS, STEP_ACCESS, STEP_CONTENT
};

/* Go on from that step: at once when nothing runs, else when the step that runs has returned. */
void	req_go(struct weir_req *, enum weir_step);
/* The task that frees a request. */
void	req_free(struct weir_task *);
/* A request of an exchange, at its default server; nothing runs yet. */
struct weir_req *req_make(struct weir_xchg *);
/* Be in this place (NULL: the server's level): its configuration, log and timeouts apply. */
void	req_set_location(struct weir_req *, struct weir_location *);

#endif
