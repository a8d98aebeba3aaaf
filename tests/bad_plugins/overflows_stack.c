/* SPDX-License-Identifier: Apache-2.0
 * Recurses without end. */
#define NAME "overflows_stack"
#include "bad_plugin.h"

static int deeper(volatile char* above) {
    volatile char room[4096];
    room[0] = above[0];
    return deeper(room) + room[0];
}

static void fault(struct things_source* source) {
    volatile char top[1] = {0};
    source->count += deeper(top);
}
