/* SPDX-License-Identifier: Apache-2.0
 * Never comes back: waits for a lock that it holds. */
#define NAME "deadlocks"
#include "bad_plugin.h"

#include <pthread.h>

static void fault(struct things_source* source) {
    (void)source;
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&mutex);
    pthread_mutex_lock(&mutex);
}
