/*
 * wheel.h - what the loop asks of the timers.  Everybody else uses loop.h.
 */
#ifndef WEIR_EV_WHEEL_H
#define WEIR_EV_WHEEL_H

#include "core/ev/loop.h"

void	wheel_init(void);
/* Call what is due by weir_now_ms. */
void	wheel_run(void);
/* Milliseconds until something may be due, -1: never. */
int	wheel_wait(void);

#endif
