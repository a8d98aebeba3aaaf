/* SPDX-License-Identifier: Apache-2.0
 * Stops its process (SIGSTOP), as a debugger would. */
#define NAME "stops_itself"
#include "bad_plugin.h"

#include <signal.h>

static void fault(struct things_source* source) {
    (void)source;
    raise(SIGSTOP);
}
