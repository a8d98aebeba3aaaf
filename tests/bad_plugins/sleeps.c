/* SPDX-License-Identifier: Apache-2.0
 * Never comes back: asleep. */
#define NAME "sleeps"
#include "bad_plugin.h"

#include <unistd.h>

static void fault(struct things_source* source) {
    (void)source;
    for (;;)
        sleep(1000);
}
