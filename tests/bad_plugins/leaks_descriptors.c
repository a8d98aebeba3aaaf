/* SPDX-License-Identifier: Apache-2.0
 * Opens files and never closes them. */
#define NAME "leaks_descriptors"
#include "bad_plugin.h"

#include <fcntl.h>

static void fault(struct things_source* source) {
    (void)source;
    for (int i = 0; i < 100; ++i)
        if (open("/dev/null", O_RDONLY) < 0)
            abort();
}
