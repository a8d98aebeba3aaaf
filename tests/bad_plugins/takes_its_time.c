/* SPDX-License-Identifier: Apache-2.0
 * Takes 1.1 s for a poll, having said so beforehand; then says whether the clock is believed. */
#define NAME "takes_its_time"
#include "bad_plugin.h"

#include <time.h>

static void fault(struct things_source* source) {
    if (source->count == 0) { /* in create */
        source->host->patience(source->host->context, 900);
        return;
    }
    struct timespec time = {1, 100000000};
    nanosleep(&time, 0);
    things_reading reading;
    memset(&reading, 0, sizeof reading);
    reading.size = sizeof reading;
    reading.value.kind = THINGS_BOOL;
    reading.value.i = source->host->clock_trusted(source->host->context);
    source->host->emit(source->host->context, &reading, 1);
}
