/* SPDX-License-Identifier: Apache-2.0
 * Never comes back: a loop. */
#define NAME "hangs"
#include "bad_plugin.h"

static void fault(struct things_source* source) {
    volatile int64_t* count = &source->count;
    for (;;)
        ++*count;
}
