/* SPDX-License-Identifier: Apache-2.0
 * Writes to standard output and error, a lot. */
#define NAME "writes_stdout"
#include "bad_plugin.h"

#include <stdio.h>

static void fault(struct things_source* source) {
    for (int i = 0; i < 1000; ++i) {
        printf("a line that nobody asked for %d\n", (int)source->count);
        fprintf(stderr, "another one %d\n", (int)source->count);
    }
    fflush(stdout);
}
