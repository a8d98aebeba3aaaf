/* SPDX-License-Identifier: Apache-2.0
 * Emits a million readings in each call. */
#define NAME "floods"
#include "bad_plugin.h"

static void fault(struct things_source* source) {
    things_reading* many = (things_reading*)calloc(100000, sizeof *many);
    for (int i = 0; i < 100000; ++i) {
        many[i].size = sizeof *many;
        many[i].value.kind = THINGS_INT;
        many[i].value.i = i;
    }
    for (int i = 0; i < 10; ++i)
        source->host->emit(source->host->context, many, 100000);
    free(many);
}
