/* SPDX-License-Identifier: Apache-2.0
 * Cannot make a source, and says why. */
#define NAME "create_fails"
#define OWN_ENTRY
#include "bad_plugin.h"

static void fault(struct things_source* source) {
    (void)source;
}

static int no_create(const things_host* host, const things_source_config* config, things_source** source) {
    (void)config, (void)source;
    host->problem(host->context, THINGS_SOURCE, 0, "in", "is not what I wanted");
    return THINGS_INVALID;
}

const things_plugin* things_plugin_entry(void) {
    static things_plugin table;
    table = good_table;
    table.create = no_create;
    return &table;
}
