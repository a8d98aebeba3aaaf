/* SPDX-License-Identifier: Apache-2.0
 * Gives up, with last words. */
#define NAME "aborts"
#include "bad_plugin.h"

#include <stdio.h>

static void fault(struct things_source* source) {
    (void)source;
    fputs("assertion failed: the moon is full\n", stderr);
    abort();
}
