/* SPDX-License-Identifier: Apache-2.0
 * Its table ends before what every plugin must offer. */
#define NAME "short_table"
#define OWN_ENTRY
#include "bad_plugin.h"

#include <stddef.h>

static void fault(struct things_source* source) {
    (void)source;
}

const things_plugin* things_plugin_entry(void) {
    static things_plugin table;
    table = good_table;
    table.size = offsetof(things_plugin, create);
    return &table;
}
