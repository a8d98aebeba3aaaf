/* SPDX-License-Identifier: Apache-2.0
 * Ends the process it lives in. */
#define NAME "exits"
#include "bad_plugin.h"

static void fault(struct things_source* source) {
    (void)source;
    exit(3);
}
