/* SPDX-License-Identifier: Apache-2.0
 * Looks for what is none of its business. Each point says what to try in its key `reach`, and its reading is
 * 1 if that was possible: a path (a file is read, a socket connected to, a directory listed, a port written
 * to), with an @ before it so that the settings do not name it; or `environment`, `descriptors` (more than
 * its own), `landlock` (its version), or something done to the gateway (to itself, where that is the same):
 * `memory`, `signal`, `limits`, `scheduler`, `priority`, `affinity`; or `keys`, `io_uring`, `session` (a
 * child that leaves the group), `mode` and `truncate` (of a file). In earnest, for the campaign `attacks`:
 * `starve` (the gateway of descriptors), `linger` (a child that outlives all), `drive PORT` (another source's
 * device), `freeze` (whoever wakes this source). */
#define _GNU_SOURCE
#define NAME "snoops"
#define OWN_ENTRY
#include "bad_plugin.h"
#include "freeze.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char reach[32][256];

static void fault(struct things_source* source) {
    (void)source;
}

static int can_connect(const char* path) {
    struct sockaddr_un address = {AF_UNIX, ""};
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0) { /* a pair can be had: is one of the two good for another peer? */
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) != 0)
            return 0;
        close(pair[1]);
        fd = pair[0];
    }
    const int connected = connect(fd, (struct sockaddr*)&address, sizeof address) == 0;
    close(fd);
    return connected;
}

static int can_open(const char* path) {
    struct stat status;
    const int is_port = stat(path, &status) == 0 && S_ISCHR(status.st_mode);
    const int fd = open(path, is_port ? O_RDWR | O_NOCTTY | O_NONBLOCK : O_RDONLY);
    if (is_port) {
        close(fd);
        return fd >= 0;
    }
    char byte;
    if (fd < 0)
        return can_connect(path);
    const int did = read(fd, &byte, 1) >= 0;
    close(fd);
    return did || faccessat(AT_FDCWD, path, R_OK | X_OK, 0) == 0;
}

static int has_more_descriptors(void) {
    for (int fd = 5; fd < 1024; ++fd)
        if (fcntl(fd, F_GETFD) >= 0)
            return 1;
    return 0;
}

/* A host process is told by its lack of an environment. */
static pid_t gateway(void) {
    return getenv("CREDENTIALS_DIRECTORY") || getenv("NOTIFY_SOCKET") ? getpid() : getppid();
}

/* To change nothing is also refused, where to change something would be. */
static int can_limit(pid_t process) {
    struct rlimit limit;
    return syscall(SYS_prlimit64, process, RLIMIT_NOFILE, 0, &limit) == 0;
}

static int can_schedule(pid_t process) {
    const struct sched_param none = {0};
    return sched_setscheduler(process, SCHED_BATCH, &none) == 0 &&
           sched_setscheduler(process, SCHED_OTHER, &none) == 0;
}

static int can_pin(pid_t process) {
    cpu_set_t all;
    return sched_getaffinity(process, sizeof all, &all) == 0 &&
           sched_setaffinity(process, sizeof all, &all) == 0;
}

static int can_leave(void) {
    int status = 0;
    const pid_t child = fork();
    if (child == 0)
        _exit(setsid() < 0 && setpgid(0, 0) != 0);
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static int can_set_up_io_uring(void) {
    char parameters[256] = {0};
    const int fd = (int)syscall(425, 1, parameters);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static int starve(void) {
    const struct rlimit few = {8, 8};
    return syscall(SYS_prlimit64, gateway(), RLIMIT_NOFILE, &few, 0) == 0;
}

static int linger(void) {
    static int children; /* enough is enough */
    if (children >= 5)
        return 1;
    const pid_t child = fork();
    if (child == 0) {
        if (setsid() < 0)
            _exit(1);
        execl("/bin/sleep", "lingers", "3600", (char*)0);
        _exit(1);
    }
    usleep(50 * 1000);
    if (child < 0 || waitpid(child, 0, WNOHANG) != 0)
        return 0;
    ++children;
    return 1;
}

static int drive(const char* path) {
    static const unsigned char frame[] = {0x01, 0x06, 0x00, 0x02, 0x00, 0x4d, 0xe9, 0xff};
    const int port = open(path, O_WRONLY | O_NOCTTY | O_NONBLOCK);
    const int did = port >= 0 && write(port, frame, sizeof frame) == (ssize_t)sizeof frame;
    close(port);
    return did;
}

static int try(const char* what, int wake) {
    char memory[64];
    snprintf(memory, sizeof memory, "/proc/%d/mem", (int)gateway());
    if (strcmp(what, "environment") == 0)
        return getenv("CREDENTIALS_DIRECTORY") != 0 || getenv("NOTIFY_SOCKET") != 0;
    if (strcmp(what, "descriptors") == 0)
        return has_more_descriptors();
    if (strcmp(what, "memory") == 0)
        return open(memory, O_RDONLY) >= 0;
    if (strcmp(what, "signal") == 0)
        return kill(gateway(), 0) == 0;
    if (strcmp(what, "limits") == 0)
        return can_limit(gateway());
    if (strcmp(what, "scheduler") == 0)
        return can_schedule(gateway());
    if (strcmp(what, "priority") == 0)
        return setpriority(PRIO_PROCESS, gateway(), getpriority(PRIO_PROCESS, gateway())) == 0;
    if (strcmp(what, "affinity") == 0)
        return can_pin(gateway());
    if (strcmp(what, "keys") == 0)
        return syscall(SYS_keyctl, 0 /* the id of a keyring */, -3 /* the session's */, 1) >= 0;
    if (strcmp(what, "io_uring") == 0)
        return can_set_up_io_uring();
    if (strcmp(what, "session") == 0)
        return can_leave();
    if (strncmp(what, "truncate ", 9) == 0) /* by its path: nothing is opened, which Landlock could refuse */
        return truncate(what + 9, 0) == 0;
    if (strncmp(what, "mode ", 5) == 0)
        return chmod(what + 5, 0600) == 0;
    if (strcmp(what, "starve") == 0)
        return starve();
    if (strcmp(what, "linger") == 0)
        return linger();
    if (strcmp(what, "freeze") == 0)
        return freeze(wake), 1;
    if (strncmp(what, "drive @", 7) == 0)
        return drive(what + 7);
    if (strcmp(what, "landlock") == 0)
        return (int)syscall(444, 0, 0, 1);
    return can_open(*what == '@' ? what + 1 : what);
}

static int snoop(things_source* source, const uint32_t* points, uint32_t count, int64_t deadline_ms) {
    (void)deadline_ms;
    for (uint32_t i = 0; i < count; ++i) {
        things_reading reading;
        memset(&reading, 0, sizeof reading);
        reading.size = sizeof reading;
        reading.point = points[i];
        reading.value.kind = THINGS_INT;
        reading.value.i = try(reach[points[i]], source->host->wake_fd);
        source->host->emit(source->host->context, &reading, 1);
    }
    return THINGS_OK;
}

static int create(const things_host* host, const things_source_config* config, things_source** source) {
    for (uint32_t i = 0; i < config->point_count && i < 32; ++i)
        for (uint32_t k = 0; k < config->points[i]->setting_count; ++k)
            strncpy(reach[i], config->points[i]->settings[k]->value.text, sizeof reach[i] - 1);
    return good_create(host, config, source);
}

const things_plugin* things_plugin_entry(void) {
    static const things_key reach_key = {
        sizeof(things_key), THINGS_POINT, "reach", THINGS_TYPE_TEXT, THINGS_REQUIRED, "", "", 0, 0, "", "",
        "What to try."};
    static const things_key* const keys[] = {&reach_key};
    static things_plugin table;
    table = good_table;
    table.key_count = 1;
    table.keys = keys;
    table.create = create;
    table.poll = snoop;
    return &table;
}
