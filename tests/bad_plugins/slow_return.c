/* SPDX-License-Identifier: Apache-2.0
 * Ignores its deadline and comes back two seconds late. */
#define NAME "slow_return"
#include "bad_plugin.h"

#include <time.h>

static void fault(struct things_source* source) {
    (void)source;
    struct timespec time = {2, 0};
    nanosleep(&time, 0);
}
