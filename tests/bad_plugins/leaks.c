/* SPDX-License-Identifier: Apache-2.0
 * Takes 8 MiB a call and never gives it back. */
#define NAME "leaks"
#include "bad_plugin.h"

static void fault(struct things_source* source) {
    char* more = (char*)malloc(8u << 20);
    if (more == 0)
        abort();
    memset(more, 1, 8u << 20);
    source->count += more[4711];
}
