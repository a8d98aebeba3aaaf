/* SPDX-License-Identifier: Apache-2.0
 * Closes descriptors that are not its own. To be run in isolation only. */
#define NAME "closes_descriptors"
#include "bad_plugin.h"

#include <unistd.h>

static void fault(struct things_source* source) {
    (void)source;
    for (int fd = 0; fd < 1024; ++fd)
        close(fd);
}
