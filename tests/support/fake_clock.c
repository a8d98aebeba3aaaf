// SPDX-License-Identifier: Apache-2.0
// LD_PRELOAD: the system clock and its synchronisation state as the 16 bytes of the file $FAKE_CLOCK say; a
// test rewrites them while the program runs. The clocks that count from boot go on as they are: a time
// namespace moves those.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

struct fake {
    volatile int64_t wall_ms;         // added to CLOCK_REALTIME
    volatile int64_t is_synchronised; // what adjtimex says
};

static struct fake none = {0, 1};
static struct fake* fake = &none;
static int (*real_clock_gettime)(clockid_t, struct timespec*);

__attribute__((constructor)) static void begin(void) {
    *(void**)&real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    const char* path = getenv("FAKE_CLOCK");
    const int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void* at = mmap(NULL, sizeof *fake, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (at != MAP_FAILED)
        fake = at;
}

static void add(struct timespec* t, int64_t ms) {
    int64_t ns = t->tv_nsec + ms % 1000 * 1000000;
    t->tv_sec += ms / 1000 + (ns >= 1000000000) - (ns < 0);
    t->tv_nsec = ns >= 1000000000 ? ns - 1000000000 : ns < 0 ? ns + 1000000000 : ns;
}

int clock_gettime(clockid_t clock, struct timespec* t) {
    if (!real_clock_gettime)
        begin();
    const int result = real_clock_gettime(clock, t);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        add(t, fake->wall_ms);
    return result;
}

time_t time(time_t* at) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (at)
        *at = t.tv_sec;
    return t.tv_sec;
}

int gettimeofday(struct timeval* restrict at, void* restrict zone) {
    (void)zone;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    at->tv_sec = t.tv_sec;
    at->tv_usec = t.tv_nsec / 1000;
    return 0;
}

int adjtimex(struct timex* state) {
    *state = (struct timex){0};
    state->status = fake->is_synchronised ? 0 : STA_UNSYNC;
    return fake->is_synchronised ? TIME_OK : TIME_ERROR;
}
