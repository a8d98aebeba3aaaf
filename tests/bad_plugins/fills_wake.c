/* SPDX-License-Identifier: Apache-2.0
 * Turns the descriptor that wakes it against whoever writes to it.
 */
#define NAME "fills_wake"
#include "bad_plugin.h"
#include "freeze.h"

static void fault(struct things_source* source) {
    freeze(source->host->wake_fd);
}
