/* SPDX-License-Identifier: Apache-2.0
 * A plugin to start from: every point gives the number of times it was read. */
#include <things_plugin.h>

#include <stdlib.h>

struct things_source {
    const things_host* host;
    int64_t count;
};

static int create(const things_host* host, const things_source_config* config, things_source** out) {
    (void)config; /* settings are in here; copy what you keep */
    *out = calloc(1, sizeof **out);
    if (*out == NULL)
        return THINGS_FAILED;
    (*out)->host = host;
    return THINGS_OK; /* do not touch the device yet: open the link at the first poll */
}

static void destroy(things_source* source) {
    free(source);
}

static int poll(things_source* source, const uint32_t* points, uint32_t count, int64_t deadline_ms) {
    (void)deadline_ms; /* CLOCK_MONOTONIC; a call that waits must be back by then, or when interrupted() says
                          so */
    source->count++;
    for (uint32_t i = 0; i < count; i++) {
        things_reading reading = {.size = sizeof reading, .point = points[i]};
        reading.value.kind = THINGS_INT;
        reading.value.i = source->count;
        source->host->emit(source->host->context, &reading, 1);
    }
    return THINGS_OK;
}

static const things_plugin plugin = {.size = sizeof plugin,
                                     .abi_major = THINGS_ABI_MAJOR,
                                     .abi_minor = THINGS_ABI_MINOR,
                                     .name = "hello",
                                     .version = "1.0",
                                     .summary = "counts how often it was read",
                                     .create = create,
                                     .destroy = destroy,
                                     .poll = poll};

const things_plugin* things_plugin_entry(void) {
    return &plugin;
}
