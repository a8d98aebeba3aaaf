/* SPDX-License-Identifier: Apache-2.0
 *
 * The plugin contract of the KPN Things gateway.
 *
 * A plugin is a shared object that speaks one protocol. It exports one function, things_plugin_entry, which
 * returns a versioned table. Rules of the border:
 *  - Plain C. Every struct begins with its size in bytes as the side that filled it knew it; the reader looks
 *    at no field beyond that size. Arrays of structs are arrays of pointers (or, for readings, strided by
 * size), so every struct can grow at its end within one major version.
 *  - No exception, no C++ type and no allocation crosses: what is passed in is valid during the call only,
 * what is passed out is copied by the host before it returns. Nothing relies on shared memory, so the same
 *    table is served from a process of its own (`isolation: process`).
 *  - A source is called from one thread at a time and never re-entered. The host's functions may be called
 * only from within a call of the host into that source, on the same thread.
 *  - A call may block, but not past its deadline, and returns early once interrupted() is true.
 *  - Times are in milliseconds: deadlines on CLOCK_MONOTONIC, reading times since the Unix epoch.
 *  - Text is UTF-8, never null; lists come with their count.
 */
#ifndef THINGS_PLUGIN_H
#define THINGS_PLUGIN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The host refuses a table with another major version. The minor one grows with every field or flag that is
 * added; the side that knows less just does not see it. */
#define THINGS_ABI_MAJOR 1
#define THINGS_ABI_MINOR 1

/* ---- values ------------------------------------------------------------------------------------------- */

/* An empty value is no reading: the host refuses it. Leave the reading out instead. */
enum things_kind {
    THINGS_EMPTY = 0,
    THINGS_BOOL = 1,   /* i: 0 or 1 */
    THINGS_INT = 2,    /* i */
    THINGS_UINT = 3,   /* u */
    THINGS_NUMBER = 4, /* d; NaN and infinity are refused by the host */
    THINGS_TEXT = 5    /* text, length bytes, also terminated by a NUL */
};

/* `length` is of texts, in bytes without the NUL; at most 4096 are taken. The one struct without a size: it
 * cannot grow. */
typedef struct things_value {
    uint32_t kind; /* enum things_kind */
    uint32_t length;
    union {
        int64_t i;
        uint64_t u;
        double d;
        const char* text;
    };
} things_value;

/* What a call came to. Anything but THINGS_OK should have been explained through report() before. */
enum things_status {
    THINGS_OK = 0,
    THINGS_INTERRUPTED = 1, /* returned early because interrupted() said so; the rest is asked for again */
    THINGS_FAILED = 2,      /* the device or the link did not do it */
    THINGS_REFUSED = 3,     /* the device answered and said no */
    THINGS_TIMEOUT = 4,     /* no answer in time */
    THINGS_INVALID = 5,     /* configuration or argument wrong; see problem() */
    THINGS_UNSUPPORTED = 6
};

/* ---- keys: what may be configured, so that the host validates and documents it ------------------------- */

/* What a key, an event or a problem is about. Indices go with it: of devices and points as in
 * things_source_config, 0 for the source. */
enum things_level { THINGS_SOURCE = 0, THINGS_DEVICE = 1, THINGS_POINT = 2 };

/* The host checks type, range and choices before create. What is left to the plugin is what only it can know,
 * such as two keys that exclude each other. */
enum things_type {
    THINGS_TYPE_BOOL = 1,
    THINGS_TYPE_INT = 2, /* decimal or 0x hexadecimal */
    THINGS_TYPE_NUMBER = 3,
    THINGS_TYPE_TEXT = 4,
    THINGS_TYPE_DURATION = 5, /* 500ms 10s 5m 2h 7d; arrives as THINGS_INT in milliseconds */
    THINGS_TYPE_CHOICE = 6,   /* one of `choices` */
    THINGS_TYPE_LIST = 7,     /* list of scalars; arrives as items */
    THINGS_TYPE_MAP = 8       /* scalar to scalar; arrives as items: key, value, key, value ... */
};

/* A required key that is missing never reaches create. */
enum things_key_flag {
    THINGS_REQUIRED = 1,
    THINGS_SECRET = 2, /* masked wherever it is shown; may be given as {file: }, {credential: } or {env: } */
    THINGS_INHERIT = 4 /* a device key that a point may override */
};

/* Lives as long as the table. `name`: small letters, digits, - and _, fewer than 100; once a level. Of the
 * table's keys at most 1000. */
typedef struct things_key {
    uint32_t size;
    uint32_t level; /* enum things_level */
    const char* name;
    uint32_t type; /* enum things_type */
    uint32_t flags;
    const char* unit;        /* "s", "baud", "registers"; "" if none */
    const char* fallback;    /* the default as it would be written; "" if none */
    double minimum, maximum; /* of numbers and durations (ms); both 0: no range */
    const char* choices;     /* of THINGS_TYPE_CHOICE, separated by spaces; else "" */
    const char* group; /* point keys of one group exclude each other and one of them must be there; else "" */
    const char* help;  /* one sentence */
} things_key;

/* ---- configuration of one source ------------------------------------------------------------------------
 */

/* A whole number comes as THINGS_INT, or as THINGS_UINT where it is beyond INT64_MAX; of THINGS_TYPE_NUMBER
 * it may come as an integer, too. A secret comes in the clear: copy it only where it is needed, wipe it,
 * never put it into a text that leaves here. */
typedef struct things_setting {
    uint32_t size;
    uint32_t item_count; /* of lists and maps */
    const char* key;
    things_value value;        /* of scalars */
    const things_value* items; /* of lists and maps */
} things_setting;

/* `name`: as in the configuration. */
typedef struct things_device {
    uint32_t size;
    uint32_t setting_count;
    const char* name;
    const things_setting* const* settings; /* only what was given; defaults are the plugin's to apply */
} things_device;

/* What a point's `writable` is made of. */
enum things_writable {
    THINGS_WRITABLE = 1,
    THINGS_WRITE_ONLY =
        2,               /* never to be read: no poll asks for it, a write is done when it is acknowledged */
    THINGS_MOMENTARY = 4 /* a pulse: nothing is read back, and no write is ever sent twice */
};

/* The host polls a point when `interval_ms` says so; a plugin that listens thins out by it. `writable`: a
 * plugin may do without what only a write needs where it is 0. */
typedef struct things_point {
    uint32_t size;
    uint32_t device; /* index into devices */
    const char* name;
    const char* unit; /* "" if none: the unit in which the value is wanted */
    int64_t interval_ms;
    uint32_t writable; /* of enum things_writable; 0: read only */
    uint32_t setting_count;
    const things_setting* const* settings; /* point keys, and device keys that the point overrides */
} things_point;

/* All of it is valid during create only. Its order is kept for the life of the source: a changed
 * configuration makes a source anew. */
typedef struct things_source_config {
    uint32_t size;
    uint32_t setting_count;
    const char* name;
    const things_setting* const* settings;
    uint32_t device_count;
    uint32_t point_count;
    const things_device* const* devices;
    const things_point* const* points;
} things_source_config;

/* ---- what the host offers -------------------------------------------------------------------------------
 */

/* With THINGS_OWN_TIME the host takes times from the year 2000 to 2100 and refuses others; without it, it
 * takes the time at which emit was called. An unchanged reading is dropped unless somebody reads the point by
 * hand. */
enum things_reading_flag {
    THINGS_OWN_TIME = 1, /* time_ms holds the time at which the device took the value */
    THINGS_UNCHANGED = 2 /* same capture as reported before; the host drops it */
};

/* A reading of a point that is not in the configuration is refused. The host counts what it refuses and what
 * exceeds some times the configured rate, and drops it; the call goes on. */
typedef struct things_reading {
    uint32_t size;
    uint32_t point; /* index into points */
    things_value value;
    int64_t time_ms; /* with THINGS_OWN_TIME */
    uint32_t flags;
    uint32_t duration_us; /* of the request that brought it; 0: not known */
    const char* raw;      /* what came over the wire ("0x0102 0x0304"), or null; shown by `read`, which polls
                           * one point alone */
} things_reading;

/* The host keeps one state for each source, device and point: the last problem told is the one that is shown,
 * and a recovery ends it, whatever its code. Repetition costs nothing: it is counted. */
enum things_event_kind {
    THINGS_PROBLEM =
        1, /* something failed; the host logs its beginning, its change and its end, with a count */
    THINGS_RECOVERED = 2, /* it works again */
    THINGS_NOTE = 3,      /* worth one line */
    /* Since minor 1. Why there is no value yet ("72 bytes came, no line matches"): not logged and no alarm by
     * itself. The host shows the last one to whoever reads the point, and in the alarm when the source stays
     * silent; a reading of the point (of any point, for a source or device) ends it. */
    THINGS_REASON = 4
};

/* The host cuts `code` after 100 bytes and `text` after 2000. */
typedef struct things_event {
    uint32_t size;
    uint32_t kind;    /* enum things_event_kind */
    uint32_t level;   /* enum things_level: what the event is about */
    uint32_t index;   /* of the device or point; 0 for the source */
    const char* code; /* stable word: "timeout", "illegal_address", "crc" */
    const char* text; /* for a technician: what was asked, what came back, the likely cause, what to try */
} things_event;

/* Valid, at the same address, from create until destroy has returned. Null functions do not occur. All calls
 * return at once and none of them fails; what is wrong with an argument is counted and dropped. interrupted()
 * alone may be called from any thread; calls from other threads than the source's are ignored. */
typedef struct things_host {
    uint32_t size;
    uint32_t abi_minor; /* of the host */
    void* context;      /* hand it back in every call */

    /* Readings leave here; copied before it returns. Readings are strided by readings[0].size. */
    /* Before it returns the host has copied values, texts and `raw`. An emit outside the points that a poll
     * asked for is as good as one within. */
    void (*emit)(void* context, const things_reading* readings, uint32_t count);
    /* Failures and recoveries in plain words; the host thins out repetitions. */
    void (*report)(void* context, const things_event* event);
    /* During create: a mistake in the configuration. index is that of the device or point, key names the
     * setting
     * ("" if none). May be called several times; create then returns THINGS_INVALID. */
    void (*problem)(void* context, uint32_t level, uint32_t index, const char* key, const char* message);
    /* True when the call should return soon: a command waits, or the source is to stop. */
    /* Cheap: ask between any two steps. */
    int (*interrupted)(void* context);
    /* During discover and plan: one result as a JSON object on one line. */
    /* At most 64 KiB. */
    void (*found)(void* context, const char* json);
    /* During discover: how far it is, 0 to 1. */
    void (*progress)(void* context, double part);
    /* Readable while interrupted() is true; for poll(2) beside the plugin's own descriptors. -1: none. */
    int wake_fd;

    /* Since minor 1: look at `size` first. */
    /* True while the gateway believes the system clock. Do not find out by other means: the configuration has
     * a say in it, and a process of its own may not ask the system. */
    int (*clock_trusted)(void* context);
    /* During create: the longest that one step of a call may take which cannot be cut short, in milliseconds,
     * as the configuration has it: connecting, or one request with its timeouts. A call then gets at least
     * that long, and counts as hanging only when it is later than its deadline by twice as much. Ten minutes
     * at most; not called: 5 s for a call, 3 s for being late. */
    void (*patience)(void* context, int64_t time_ms);
} things_host;

/* ---- what the plugin offers ------------------------------------------------------------------------------
 */

typedef struct things_source things_source; /* the plugin's own */

enum things_plugin_flag {
    THINGS_RUNS_PROGRAMS =
        1 /* sources start programs that their settings name; of a plugin that comes with the
           * gateway they then get a process of their own, as those of others do anyway */
};

/* The host copies it; keys and texts stay the plugin's. create, destroy and one of poll and listen must be
 * there. Sources of one plugin run on threads of their own: what they share (a library with global state) the
 * plugin must lock. */
typedef struct things_plugin {
    uint32_t size;
    uint32_t abi_major;
    uint32_t abi_minor;
    uint32_t key_count;
    const char* name; /* equals the file's name without .so */
    const char* version;
    const char* summary; /* one line */
    const things_key* const* keys;

    /* Makes a source; checks what only the plugin can know. Must not touch the device: the link is opened at
     * the first poll, listen, write or discover, and opened again whenever it was lost. */
    /* On anything but THINGS_OK *source is not looked at and destroy is not called. `host` may be kept,
     * `config` not. */
    int (*create)(const things_host* host, const things_source_config* config, things_source** source);
    /* On the source's thread, after its last call has returned. Gives back everything: the same process may
     * create the source again. */
    void (*destroy)(things_source* source);

    /* Reads these points once and emits what came. A point that is neither emitted nor reported stays due
     * only if the call returns THINGS_INTERRUPTED. A plugin that listens gives what came last, and may return
     * THINGS_TIMEOUT without a report while nothing has come yet. Null: cannot be polled. */
    /* Each point is due; none stands there twice. What came before an interruption counts. A call that still
     * runs long after its deadline is reported as hanging, and what is asked of its source meanwhile is
     * refused. */
    int (*poll)(things_source* source, const uint32_t* points, uint32_t count, int64_t deadline_ms);
    /* Waits for bytes that come by themselves until the deadline, emitting all along. Null: does not listen.
     */
    int (*listen)(things_source* source, int64_t deadline_ms);
    /* Writes one point. `written` receives the value as it should read back (rounded to what the device can
     * hold); it comes in holding *value, and text in it must live until the next call into this source. Null:
     * nothing can be written. */
    /* The value is of the kind that the point's command gave: refuse with THINGS_INVALID what does not fit,
     * never wrap or clip it. THINGS_TIMEOUT: nobody knows whether it was done. What may have reached the
     * device is not sent again: the host reads back, and writes once more where the configuration says so. */
    int (*write)(things_source* source, uint32_t point, const things_value* value, things_value* written,
                 int64_t deadline_ms);
    /* Looks for devices, or for what one device has; options as the plugin documents them, results through
     * found(). Null: cannot. A call without found() or progress() for two minutes counts as hanging. */
    int (*discover)(things_source* source, const things_setting* const* options, uint32_t option_count,
                    int64_t deadline_ms);
    /* Says through found() how the points will be read: one JSON object a request, then one a source with
     * "cycle_ms", "load" (0 to 1) and "requests". Touches no device. Null: nothing to say. */
    int (*plan)(things_source* source);
    uint32_t flags; /* enum things_plugin_flag; since minor version 1 */
} things_plugin;

/* The one exported function. Its result lives as long as the shared object is loaded. */
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
const things_plugin*
things_plugin_entry(void);

typedef const things_plugin* (*things_plugin_entry_function)(void);

#ifdef __cplusplus
}
#endif
#endif
