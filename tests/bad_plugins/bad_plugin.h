/* SPDX-License-Identifier: Apache-2.0
 * A whole plugin that does as it should, but for `fault`, which the including file defines before: it is
 * called at the beginning of the call that the source's key `in` names ("poll" if not given, "all" for every
 * call). NAME is the plugin's name. */
#include "things_plugin.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

struct things_source {
    const things_host* host;
    char in[32];
    int64_t count;
};

static void fault(struct things_source* source);

static void maybe(struct things_source* source, const char* where) {
    if (strcmp(source->in, where) == 0 || strcmp(source->in, "all") == 0)
        fault(source);
}

static int good_create(const things_host* host, const things_source_config* config, things_source** out) {
    struct things_source made;
    memset(&made, 0, sizeof made);
    made.host = host;
    strcpy(made.in, "poll");
    for (uint32_t i = 0; i < config->setting_count; ++i)
        if (strcmp(config->settings[i]->key, "in") == 0)
            strncpy(made.in, config->settings[i]->value.text, sizeof made.in - 1);
    maybe(&made, "create"); /* before anything is held that an exception would leak */
    struct things_source* source = (struct things_source*)malloc(sizeof *source);
    *source = made;
    *out = source;
    return THINGS_OK;
}

static void good_destroy(things_source* source) {
    maybe(source, "destroy");
    free(source);
}

static int good_poll(things_source* source, const uint32_t* points, uint32_t count, int64_t deadline_ms) {
    (void)deadline_ms;
    for (uint32_t i = 0; i < count; ++i) {
        things_reading reading;
        memset(&reading, 0, sizeof reading);
        reading.size = sizeof reading;
        reading.point = points[i];
        reading.value.kind = THINGS_INT;
        reading.value.i = ++source->count;
        source->host->emit(source->host->context, &reading, 1);
    }
    maybe(source, "poll");
    return THINGS_OK;
}

static int good_write(things_source* source, uint32_t point, const things_value* value, things_value* written,
                      int64_t deadline_ms) {
    (void)point, (void)value, (void)written, (void)deadline_ms;
    maybe(source, "write");
    return THINGS_OK;
}

static int good_discover(things_source* source, const things_setting* const* options, uint32_t count,
                         int64_t deadline_ms) {
    (void)options, (void)count, (void)deadline_ms;
    maybe(source, "discover");
    source->host->found(source->host->context, "{\"found\":1}");
    return THINGS_OK;
}

static int good_plan(things_source* source) {
    maybe(source, "plan");
    return THINGS_OK;
}

static const things_key in_key = {
    sizeof(things_key),    THINGS_SOURCE, "in", THINGS_TYPE_TEXT, 0, "", "poll", 0, 0, "", "",
    "Where it goes wrong."};
static const things_key* const all_keys[] = {&in_key};

static const things_plugin good_table = {sizeof(things_plugin),
                                         THINGS_ABI_MAJOR,
                                         THINGS_ABI_MINOR,
                                         1,
                                         NAME,
                                         "1.0",
                                         "goes wrong on purpose",
                                         all_keys,
                                         good_create,
                                         good_destroy,
                                         good_poll,
                                         0,
                                         good_write,
                                         good_discover,
                                         good_plan,
                                         0};

#ifndef OWN_ENTRY
#ifdef __cplusplus
extern "C"
#endif
    const things_plugin*
    things_plugin_entry(void) {
    return &good_table;
}
#endif
