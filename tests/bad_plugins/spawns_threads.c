/* SPDX-License-Identifier: Apache-2.0
 * Calls the host from threads of its own, for as long as it lives. */
#define NAME "spawns_threads"
#include "bad_plugin.h"

#include <pthread.h>
#include <time.h>

static void* scribble(void* argument) {
    struct things_source* source = (struct things_source*)argument;
    const things_host* host = source->host;
    for (int i = 0; i < 200; ++i) {
        things_reading reading;
        memset(&reading, 0, sizeof reading);
        reading.size = sizeof reading;
        reading.value.kind = THINGS_INT;
        reading.value.i = -1;
        host->emit(host->context, &reading, 1);
        (void)host->interrupted(host->context);
        struct timespec time = {0, 100000};
        nanosleep(&time, 0);
    }
    return 0;
}

static void fault(struct things_source* source) {
    pthread_t threads[4];
    for (int i = 0; i < 4; ++i)
        pthread_create(&threads[i], 0, scribble, source);
    for (int i = 0; i < 4; ++i)
        pthread_join(threads[i], 0);
}
