/* SPDX-License-Identifier: Apache-2.0
 * No fault: a plugin of an older minor version. Its table ends after write, its keys after flags, its
 * readings and events are shorter than ours; what lies beyond is not its own. */
#define NAME "older_minor"
#define OWN_ENTRY
#include "bad_plugin.h"

#include <stddef.h>

static void fault(struct things_source* source) {
    (void)source;
}

static int old_poll(things_source* source, const uint32_t* points, uint32_t count, int64_t deadline_ms) {
    (void)deadline_ms;
    enum { old_size = offsetof(things_reading, time_ms) };
    char* bytes = (char*)malloc((size_t)count * old_size);
    for (uint32_t i = 0; i < count; ++i) {
        things_reading reading;
        memset(&reading, 0, sizeof reading);
        reading.size = old_size;
        reading.point = points[i];
        reading.value.kind = THINGS_INT;
        reading.value.i = ++source->count;
        memcpy(bytes + (size_t)i * old_size, &reading, old_size);
    }
    source->host->emit(source->host->context, (const things_reading*)bytes, count);
    free(bytes);
    return THINGS_OK;
}

const things_plugin* things_plugin_entry(void) {
    /* exactly as large as they claim to be, so that a sanitizer sees who looks beyond */
    enum { table_size = offsetof(things_plugin, discover), key_size = offsetof(things_key, unit) };
    static things_plugin* table;
    static things_key* key;
    if (table == 0) {
        key = (things_key*)malloc(key_size);
        memcpy(key, &in_key, key_size);
        key->size = key_size;
        static const things_key* keys[1];
        keys[0] = key;
        things_plugin full = good_table;
        full.size = table_size;
        full.keys = keys;
        full.poll = old_poll;
        table = (things_plugin*)malloc(table_size);
        memcpy(table, &full, table_size);
    }
    return table;
}
