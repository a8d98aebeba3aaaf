/* SPDX-License-Identifier: Apache-2.0
 * Needs a function that nobody has. */
#define NAME "missing_symbol"
#include "bad_plugin.h"

void function_of_a_library_that_is_not_installed(void);

static void fault(struct things_source* source) {
    (void)source;
    function_of_a_library_that_is_not_installed();
}
