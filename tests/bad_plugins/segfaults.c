/* SPDX-License-Identifier: Apache-2.0
 * Reads from nowhere. */
#define NAME "segfaults"
#include "bad_plugin.h"

static void fault(struct things_source* source) {
    source->count += *(volatile int*)8;
}
