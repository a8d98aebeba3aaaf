/* SPDX-License-Identifier: Apache-2.0
 * Built for another major version of the contract; calling it would be fatal. */
#define NAME "wrong_major"
#define OWN_ENTRY
#include "bad_plugin.h"

static void fault(struct things_source* source) {
    (void)source;
    abort();
}

const things_plugin* things_plugin_entry(void) {
    static things_plugin table;
    table = good_table;
    table.abi_major = THINGS_ABI_MAJOR + 1;
    table.name = (const char*)8; /* nothing in there may be looked at */
    return &table;
}
