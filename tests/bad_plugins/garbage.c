/* SPDX-License-Identifier: Apache-2.0
 * Emits and reports what makes no sense: between the good readings of poll, all of this. */
#define NAME "garbage"
#include "bad_plugin.h"

#include <math.h>

static void emit(struct things_source* source, things_reading reading) {
    source->host->emit(source->host->context, &reading, 1);
}

static void emit_text(struct things_source* source, const char* text, uint32_t length) {
    things_reading reading;
    memset(&reading, 0, sizeof reading);
    reading.size = sizeof reading;
    reading.value.kind = THINGS_TEXT;
    reading.value.text = text;
    reading.value.length = length;
    emit(source, reading);
}

static void emit_number(struct things_source* source, uint32_t point, double number) {
    things_reading reading;
    memset(&reading, 0, sizeof reading);
    reading.size = sizeof reading;
    reading.point = point;
    reading.value.kind = THINGS_NUMBER;
    reading.value.d = number;
    emit(source, reading);
}

static void emit_sizes(struct things_source* source) {
    things_reading reading;
    memset(&reading, 0, sizeof reading);
    const uint32_t sizes[] = {0, 1, 7, 12, 4097, 0xFFFFFFFFu};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
        reading.size = sizes[i];
        emit(source, reading);
    }
    reading.size = sizeof reading;
    reading.value.kind = 77;
    emit(source, reading);
    reading.value.kind = THINGS_EMPTY;
    emit(source, reading);
    reading.value.kind = THINGS_INT;
    reading.flags = THINGS_OWN_TIME;
    reading.time_ms = INT64_MAX;
    emit(source, reading);
}

static void fault(struct things_source* source) {
    const things_host* host = source->host;
    emit_number(source, 0, NAN);
    emit_number(source, 0, INFINITY);
    emit_number(source, 1000000, 1);
    emit_number(source, 0xFFFFFFFFu, 1);
    emit_text(source, "\xff\xfe", 2);
    emit_text(source, "\xed\xa0\x80", 3); /* a surrogate */
    emit_text(source, "a\0b", 3);
    emit_text(source, 0, 5);
    char* huge = (char*)malloc(1 << 20);
    memset(huge, 'x', 1 << 20);
    emit_text(source, huge, 1 << 20);
    emit_sizes(source);
    host->emit(host->context, 0, 5);
    host->report(host->context, 0);
    things_event event = {sizeof event, 99, 99, 0xFFFFFFFFu, 0, 0};
    host->report(host->context, &event);
    event.kind = THINGS_PROBLEM;
    event.level = THINGS_POINT;
    host->report(host->context, &event);
    event.level = THINGS_SOURCE;
    event.index = 0;
    event.text = "\xff\x1b[31m\n forged";
    host->report(host->context, &event);
    host->found(host->context, 0);
    host->progress(host->context, NAN);
    host->problem(host->context, 99, 1, 0, 0);
    free(huge);
}
