// SPDX-License-Identifier: Apache-2.0
// Lets exceptions out, as no plugin may.
#define NAME "throws"
#include "bad_plugin.h"

#include <stdexcept>

static void fault(things_source* /*source*/) {
    throw std::runtime_error("thrown on purpose");
}
