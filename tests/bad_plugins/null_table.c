/* SPDX-License-Identifier: Apache-2.0
 * Has no table. */
#include "things_plugin.h"

const things_plugin* things_plugin_entry(void) {
    return 0;
}
