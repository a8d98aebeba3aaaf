/* SPDX-License-Identifier: Apache-2.0 */
/* To be preloaded into a program under test: counts its calls to files (and sockets) whose path holds a text,
 * and at a given one fails, writes half, delays, pretends, or kills the process, before or after the call.
 * What to do stands in a file that both sides map, so that a test changes it while the program runs;
 * tests/support/faulty_calls.py is its other side and describes the fields. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    call_open = 1,
    call_write = 2,
    call_sync = 4,
    call_truncate = 8,
    call_unlink = 16,
    call_rename = 32,
    call_read = 64,
    call_send = 128,
    call_receive = 256
};
enum { act_none, act_error, act_short, act_delay, act_kill_before, act_kill_after, act_pretend };

struct control {
    _Atomic uint64_t count, hits;
    uint64_t at;
    uint32_t calls, action, error, sticky, delay_ms, unused;
    char path[64];
};

static struct control* control;

__attribute__((constructor)) static void map_control(void) {
    const char* name = getenv("THINGS_FAULTY_CALLS");
    const int file = name == NULL ? -1 : open(name, O_RDWR | O_CLOEXEC);
    if (file < 0)
        return;
    void* at = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (at != MAP_FAILED)
        control = at;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* What is to be done about this call. */
static uint32_t meet(uint32_t call, const char* path) {
    struct control* c = control;
    if (c == NULL || (c->calls & call) == 0 || path == NULL || strstr(path, c->path) == NULL)
        return act_none;
    const uint64_t number = atomic_fetch_add(&c->count, 1) + 1;
    if (c->at == 0 || number < c->at || (number > c->at && !c->sticky))
        return act_none;
    atomic_fetch_add(&c->hits, 1);
    if (c->action == act_kill_before)
        kill(getpid(), SIGKILL);
    if (c->action == act_delay) {
        const struct timespec pause = {c->delay_ms / 1000, (long)(c->delay_ms % 1000) * 1000000};
        nanosleep(&pause, NULL);
    }
    return c->action;
}

static uint32_t meet_file(uint32_t call, int file) {
    char link[32], path[512];
    if (control == NULL || (control->calls & call) == 0)
        return act_none;
    const int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    const ssize_t size = readlink(link, path, sizeof path - 1);
    errno = before;
    if (size < 0)
        return act_none;
    path[size] = 0;
    return meet(call, path);
}

static int is_failing(uint32_t action) {
    if (action != act_error)
        return 0;
    errno = (int)control->error;
    return 1;
}

static void after(uint32_t action) {
    if (action == act_kill_after)
        kill(getpid(), SIGKILL);
}

static size_t shortened(uint32_t action, size_t size) {
    return action == act_short && size > 1 ? size / 2 : size;
}

#define AROUND(type, pretended, action_of, call)                                                             \
    const uint32_t action = action_of;                                                                       \
    if (is_failing(action))                                                                                  \
        return -1;                                                                                           \
    if (action == act_pretend)                                                                               \
        return pretended;                                                                                    \
    const type result = call;                                                                                \
    after(action);                                                                                           \
    return result

static int open_at(__typeof__(&open) real, const char* path, int flags, va_list more) {
    const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0;
    AROUND(int, -1, meet(call_open, path), real(path, flags, mode));
}

#define OPEN(name)                                                                                           \
    int name(const char* path, int flags, ...) {                                                             \
        va_list more;                                                                                        \
        va_start(more, flags);                                                                               \
        const int file = open_at(REAL(name), path, flags, more);                                             \
        va_end(more);                                                                                        \
        return file;                                                                                         \
    }
OPEN(open)
OPEN(open64)

ssize_t write(int file, const void* bytes, size_t size) {
    AROUND(ssize_t, (ssize_t)size, meet_file(call_write, file),
           REAL(write)(file, bytes, shortened(action, size)));
}
ssize_t pwrite(int file, const void* bytes, size_t size, off_t at) {
    AROUND(ssize_t, (ssize_t)size, meet_file(call_write, file),
           REAL(pwrite)(file, bytes, shortened(action, size), at));
}
ssize_t pwrite64(int file, const void* bytes, size_t size, off64_t at) {
    AROUND(ssize_t, (ssize_t)size, meet_file(call_write, file),
           REAL(pwrite64)(file, bytes, shortened(action, size), at));
}
ssize_t read(int file, void* bytes, size_t size) {
    AROUND(ssize_t, (ssize_t)size, meet_file(call_read, file), REAL(read)(file, bytes, size));
}
ssize_t send(int file, const void* bytes, size_t size, int flags) {
    AROUND(ssize_t, (ssize_t)size, meet_file(call_send, file), REAL(send)(file, bytes, size, flags));
}
ssize_t sendmsg(int file, const struct msghdr* message, int flags) {
    AROUND(ssize_t, -1, meet_file(call_send, file), REAL(sendmsg)(file, message, flags));
}
ssize_t recv(int file, void* bytes, size_t size, int flags) {
    AROUND(ssize_t, -1, meet_file(call_receive, file), REAL(recv)(file, bytes, size, flags));
}
ssize_t recvmsg(int file, struct msghdr* message, int flags) {
    AROUND(ssize_t, -1, meet_file(call_receive, file), REAL(recvmsg)(file, message, flags));
}
int fsync(int file) {
    AROUND(int, 0, meet_file(call_sync, file), REAL(fsync)(file));
}
int fdatasync(int file) {
    AROUND(int, 0, meet_file(call_sync, file), REAL(fdatasync)(file));
}
int ftruncate(int file, off_t size) {
    AROUND(int, 0, meet_file(call_truncate, file), REAL(ftruncate)(file, size));
}
int ftruncate64(int file, off64_t size) {
    AROUND(int, 0, meet_file(call_truncate, file), REAL(ftruncate64)(file, size));
}
int unlink(const char* path) {
    AROUND(int, 0, meet(call_unlink, path), REAL(unlink)(path));
}
int remove(const char* path) {
    AROUND(int, 0, meet(call_unlink, path), REAL(remove)(path));
}
int rename(const char* from, const char* to) {
    AROUND(int, 0, meet(call_rename, to), REAL(rename)(from, to));
}
