/* SPDX-License-Identifier: Apache-2.0
 * Crashes while it is loaded, before anybody asked it anything. */
#define NAME "crashes_on_load"
#include "bad_plugin.h"

static void fault(struct things_source* source) {
    (void)source;
}

__attribute__((constructor)) static void on_load(void) {
    abort();
}
