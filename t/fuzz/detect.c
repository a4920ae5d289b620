/*
 * detect.c - any bytes as the begin of a connection.
 *
 * What was said of fewer bytes holds for more of them, and with enough of them something is said.
 */
#include <stdlib.h>

#include "core/net/detect.h"

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	enum weir_detected before = DETECT_MORE;

	for (size_t i = 0; i <= WEIR_MIN(n, 300u); i++) {
		char *part = malloc(i + 1);
		enum weir_detected now;

		memcpy(part, p, i);
		now = detect(part, i);
		free(part);
		if (now >= N_DETECTED || (before != DETECT_MORE && now != before) || (now == DETECT_MORE && i >= DETECT_MOST))
			abort();
		before = now;
	}
	return 0;
}
