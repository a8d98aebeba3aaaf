/* SPDX-License-Identifier: Apache-2.0
 * Calls itself otherwise than its file. */
#define NAME "modbus"
#include "bad_plugin.h"

static void fault(struct things_source* source) {
    (void)source;
}
