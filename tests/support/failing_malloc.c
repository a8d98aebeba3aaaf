// SPDX-License-Identifier: Apache-2.0
// LD_PRELOAD: allocation number $FAIL_AT fails (and with $FAIL_FOR the so many after it), counted over all
// threads from the moment on at which the file $FAIL_AFTER exists, or from the start. $FAIL_WILD: it
// "succeeds" with an address that is none, as for a program that does not look. A crash says where it was on
// stderr.
#define _GNU_SOURCE
#include <errno.h>
#include <execinfo.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <ucontext.h>
#include <unistd.h>

extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
extern void* __libc_memalign(size_t, size_t);

static atomic_long count;
static atomic_int has_begun;
static long first = -1, last = -1;
static const char* after;
static int is_wild;

/// The place itself first: the way there may be more than the unwinder can follow.
static void tell_crash(int number, siginfo_t* info, void* context) {
    (void)info;
    void* frames[40];
#if defined(__x86_64__)
    frames[0] = (void*)((ucontext_t*)context)->uc_mcontext.gregs[REG_RIP];
    backtrace_symbols_fd(frames, 1, STDERR_FILENO);
#else
    (void)context;
#endif
    backtrace_symbols_fd(frames, backtrace(frames, 40), STDERR_FILENO);
    raise(number);
}

static void watch_crashes(void) {
    static char room[65536];
    void* frames[4];
    backtrace(frames, 4); // allocates at its first call
    const stack_t own = {.ss_sp = room, .ss_size = sizeof room};
    sigaltstack(&own, NULL);
    struct sigaction action = {.sa_sigaction = tell_crash,
                               .sa_flags = (int)(SA_SIGINFO | SA_ONSTACK | SA_RESETHAND | SA_NODEFER)};
    sigaction(SIGSEGV, &action, NULL);
}

__attribute__((constructor)) static void begin(void) {
    watch_crashes();
    const char* at = getenv("FAIL_AT");
    const char* more = getenv("FAIL_FOR");
    after = getenv("FAIL_AFTER");
    is_wild = getenv("FAIL_WILD") != NULL;
    has_begun = after == NULL;
    first = at ? atol(at) : -1;
    last = first + (more ? atol(more) : 0);
}

static int fails(void) {
    if (first < 0)
        return 0;
    if (!has_begun) {
        static atomic_long looks;
        if (atomic_fetch_add(&looks, 1) % 16 != 0 || access(after, F_OK) != 0)
            return 0;
        has_begun = 1;
    }
    const long number = atomic_fetch_add(&count, 1);
    return number >= first && number <= last;
}

static void* failed(void) {
    if (is_wild)
        return (void*)16;
    errno = ENOMEM;
    return NULL;
}

void* malloc(size_t size) {
    return fails() ? failed() : __libc_malloc(size);
}

void* calloc(size_t number, size_t size) {
    return fails() ? failed() : __libc_calloc(number, size);
}

void* realloc(void* old, size_t size) {
    return fails() ? failed() : __libc_realloc(old, size);
}

void* aligned_alloc(size_t alignment, size_t size) {
    return fails() ? failed() : __libc_memalign(alignment, size);
}

int posix_memalign(void** to, size_t alignment, size_t size) {
    void* got = fails() ? NULL : __libc_memalign(alignment, size);
    if (got == NULL)
        return ENOMEM;
    *to = got;
    return 0;
}
