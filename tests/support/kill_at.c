// SPDX-License-Identifier: Apache-2.0
// Ends the process it is loaded into, as kill -9 would, right before a chosen system call of those by which a
// gateway touches the outside: what it writes, syncs, sends and receives. The test maps the file named by
// KILL_AT and sets its one number: 0 does nothing, N dies before the N-th call from now on.
//   LD_PRELOAD=kill_at.so KILL_AT=FILE program
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static _Atomic int* left;

__attribute__((constructor)) static void map(void) {
    const char* path = getenv("KILL_AT");
    const int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void* page = mmap(NULL, sizeof *left, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (page != MAP_FAILED)
        left = page;
}

static void step(void) {
    if (left && atomic_load(left) > 0 && atomic_fetch_sub(left, 1) == 1)
        kill(getpid(), SIGKILL);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define COUNTED(type, name, parameters, ...)                                                                 \
    type name parameters {                                                                                   \
        static __typeof__(&name) real;                                                                       \
        if (!real)                                                                                           \
            real = REAL(name);                                                                               \
        step();                                                                                              \
        return real(__VA_ARGS__);                                                                            \
    }

COUNTED(ssize_t, write, (int fd, const void* data, size_t size), fd, data, size)
COUNTED(ssize_t, pwrite64, (int fd, const void* data, size_t size, off64_t at), fd, data, size, at)
COUNTED(ssize_t, pwrite, (int fd, const void* data, size_t size, off_t at), fd, data, size, at)
COUNTED(ssize_t, send, (int fd, const void* data, size_t size, int flags), fd, data, size, flags)
COUNTED(ssize_t, sendmsg, (int fd, const struct msghdr* message, int flags), fd, message, flags)
COUNTED(ssize_t, recv, (int fd, void* data, size_t size, int flags), fd, data, size, flags)
COUNTED(ssize_t, recvmsg, (int fd, struct msghdr* message, int flags), fd, message, flags)
COUNTED(ssize_t, read, (int fd, void* data, size_t size), fd, data, size)
COUNTED(int, fsync, (int fd), fd)
COUNTED(int, fdatasync, (int fd), fd)
COUNTED(int, unlink, (const char* path), path)
