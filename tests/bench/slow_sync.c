// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

// LD_PRELOAD: every fsync and fdatasync takes THINGS_SYNC_MS longer, as on a card that is busy with itself.

static void dawdle(void) {
    const char* text = getenv("THINGS_SYNC_MS");
    const long ms = text != NULL ? strtol(text, NULL, 10) : 500;
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static int call(const char* name, int fd) {
    int (*real)(int) = NULL;
    *(void**)&real = dlsym(RTLD_NEXT, name);
    dawdle();
    return real(fd);
}

int fsync(int fd) {
    return call("fsync", fd);
}

int fdatasync(int fd) {
    return call("fdatasync", fd);
}
