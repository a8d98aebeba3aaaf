/* SPDX-License-Identifier: Apache-2.0
 * Looks for what is none of its business, and emits 1 for what it could reach: point 0 the file that the
 * device's name names, 1 the environment, 2 descriptors that are not its own, 4 the memory of the gateway (or
 * of itself, where that is the same). Point 3: whether the kernel has Landlock. */
#define NAME "snoops"
#define OWN_ENTRY
#include "bad_plugin.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

static char file[256];

static void fault(struct things_source* source) {
    (void)source;
}

static int can_open(const char* path) {
    const int fd = open(path, O_RDONLY);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static int has_more_descriptors(void) {
    for (int fd = 5; fd < 1024; ++fd)
        if (fcntl(fd, F_GETFD) >= 0)
            return 1;
    return 0;
}

static int can_see_memory(struct things_source* source) {
    char path[64];
    /* a host process is told by its lack of an environment */
    snprintf(path, sizeof path, "/proc/%d/mem", getenv("CREDENTIALS_DIRECTORY") ? getpid() : getppid());
    (void)source;
    return can_open(path);
}

static int snoop(things_source* source, const uint32_t* points, uint32_t count, int64_t deadline_ms) {
    (void)points, (void)count, (void)deadline_ms;
    const int found[] = {can_open(file), getenv("CREDENTIALS_DIRECTORY") != 0, has_more_descriptors(),
                         syscall(444, 0, 0, 1) > 0, can_see_memory(source)};
    for (uint32_t i = 0; i < 5; ++i) {
        things_reading reading;
        memset(&reading, 0, sizeof reading);
        reading.size = sizeof reading;
        reading.point = i;
        reading.value.kind = THINGS_INT;
        reading.value.i = found[i];
        source->host->emit(source->host->context, &reading, 1);
    }
    return THINGS_OK;
}

static int create(const things_host* host, const things_source_config* config, things_source** source) {
    strncpy(file, config->devices[0]->name, sizeof file - 1);
    return good_create(host, config, source);
}

const things_plugin* things_plugin_entry(void) {
    static things_plugin table;
    table = good_table;
    table.create = create;
    table.poll = snoop;
    return &table;
}
