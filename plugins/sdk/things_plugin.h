/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/* The plugin contract of the KPN Things gateway.
 *
 * A plugin is a shared object that speaks one protocol. It exports one function, things_plugin_entry, which
 * returns a versioned table of functions. The rules between the plugin and the host (the gateway):
 *
 *  - Plain C. Every struct but things_value begins with its size in bytes, as known to the side that filled
 *    it. The reader never looks at a field beyond that size.
 *  - Arrays of structs are arrays of pointers; arrays of readings have a stride, the size of the first one.
 *    So every struct can grow at its end within one major version.
 *  - No exception, no C++ type and no allocation crosses. What is passed in is valid only during the call,
 *    unless its comment says otherwise; what is passed out is copied by the host before its function returns.
 *  - Nothing relies on shared memory, so the same table also works from a process of its own
 *    (`isolation: process`).
 *  - A source is called from one thread at a time and never re-entered. The plugin may call the host's
 *    functions only while the host is calling that source, and only on that thread.
 *  - A call may block, but not past its deadline. It must return early once interrupted() is true.
 *  - Times are in milliseconds: deadlines on CLOCK_MONOTONIC, reading times since the Unix epoch.
 *  - Text is UTF-8 and never null. Lists come with their count.
 *
 * The layout of this file is made by hand: clang-format would break its lists.
 */
#ifndef THINGS_PLUGIN_H
#define THINGS_PLUGIN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The host refuses a table with another major version. The minor version grows with every field or flag that
 * is added; a side built for an older one does not see the additions. */
#define THINGS_ABI_MAJOR 1
#define THINGS_ABI_MINOR 1

/* ---- values ------------------------------------------------------------------------------------------- */

enum things_kind {
    THINGS_EMPTY = 0,  /* no value: the host refuses such a reading, so do not emit it */
    THINGS_BOOL = 1,   /* i: 0 or 1 */
    THINGS_INT = 2,    /* i */
    THINGS_UINT = 3,   /* u */
    THINGS_NUMBER = 4, /* d; the host refuses NaN and infinity */
    THINGS_TEXT = 5    /* text: `length` bytes, followed by a NUL */
};

/* The only struct without a size: it cannot grow. */
typedef struct things_value {
    uint32_t kind;   /* enum things_kind */
    uint32_t length; /* of a text, in bytes without the NUL; 4096 at most */
    union {
        int64_t i;
        uint64_t u;
        double d;
        const char* text;
    };
} things_value;

/* Result of a call. Before a plugin returns anything but THINGS_OK, it explains the cause with report(). */
enum things_status {
    THINGS_OK = 0,
    THINGS_INTERRUPTED = 1, /* returned early after interrupted(); the host asks again for the rest */
    THINGS_FAILED = 2,      /* the device or the link failed */
    THINGS_REFUSED = 3,     /* the device answered and refused */
    THINGS_TIMEOUT = 4,     /* the device did not answer in time */
    THINGS_INVALID = 5,     /* the configuration or an argument is wrong; see problem() */
    THINGS_UNSUPPORTED = 6
};

/* ---- keys: what may be configured, so that the host can validate and document it ----------------------- */

/* What a key, an event or a problem is about. An index goes with it: that of the device or the point in
 * things_source_config, and 0 for the source. */
enum things_level { THINGS_SOURCE = 0, THINGS_DEVICE = 1, THINGS_POINT = 2 };

/* The host checks type, range and choices before create. The plugin checks only what the table cannot say,
 * such as two keys that exclude each other. */
enum things_type {
    THINGS_TYPE_BOOL = 1,
    THINGS_TYPE_INT = 2,      /* decimal or 0x hexadecimal */
    THINGS_TYPE_NUMBER = 3,
    THINGS_TYPE_TEXT = 4,
    THINGS_TYPE_DURATION = 5, /* 500ms 10s 5m 2h 7d; arrives as THINGS_INT in milliseconds */
    THINGS_TYPE_CHOICE = 6,   /* one of `choices` */
    THINGS_TYPE_LIST = 7,     /* list of scalars; arrives as items */
    THINGS_TYPE_MAP = 8       /* scalar to scalar; arrives as items: key, value, key, value ... */
};

enum things_key_flag {
    THINGS_REQUIRED = 1, /* the host reports a missing key and does not call create */
    THINGS_SECRET = 2,   /* masked when shown; may be given as {file: }, {credential: } or {env: } */
    THINGS_INHERIT = 4   /* a device key that a point may override */
};

/* Must live as long as the table. A table has 1000 keys at most. */
typedef struct things_key {
    uint32_t size;
    uint32_t level;          /* enum things_level */
    const char* name;        /* a-z, 0-9, - and _, fewer than 100 bytes; unique within its level */
    uint32_t type;           /* enum things_type */
    uint32_t flags;          /* enum things_key_flag */
    const char* unit;        /* "s", "baud", "registers"; "" if none */
    const char* fallback;    /* the default, as a user would write it; "" if none */
    double minimum, maximum; /* of numbers and durations (ms); both 0: no range */
    const char* choices;     /* of THINGS_TYPE_CHOICE, separated by spaces; else "" */
    const char* group;       /* exactly one of the point keys of a group must be given; "" if none */
    const char* help;        /* one sentence */
} things_key;

/* ---- configuration of one source ----------------------------------------------------------------------- */

/* A whole number arrives as THINGS_INT, or as THINGS_UINT if it exceeds INT64_MAX, even for a key of
 * THINGS_TYPE_NUMBER. A secret arrives in clear text: copy it only where you need it, wipe it after use, and
 * never put it into a text that you pass to the host. */
typedef struct things_setting {
    uint32_t size;
    uint32_t item_count;       /* of lists and maps */
    const char* key;
    things_value value;        /* of scalars */
    const things_value* items; /* of lists and maps */
} things_setting;

typedef struct things_device {
    uint32_t size;
    uint32_t setting_count;
    const char* name;                      /* as in the configuration */
    const things_setting* const* settings; /* only what was given; the plugin applies its defaults */
} things_device;

/* Flags of a point's `writable`. */
enum things_writable {
    THINGS_WRITABLE = 1,
    THINGS_WRITE_ONLY = 2, /* never polled: a write is complete as soon as the device acknowledges it */
    THINGS_MOMENTARY = 4   /* a pulse: the host neither reads it back nor writes it a second time */
};

typedef struct things_point {
    uint32_t size;
    uint32_t device;        /* index into devices */
    const char* name;
    const char* unit;       /* the unit in which the value is wanted; "" if none */
    int64_t interval_ms;    /* how often the host polls it; a plugin that listens emits no more often */
    uint32_t writable;      /* enum things_writable; 0: read only */
    uint32_t setting_count;
    const things_setting* const* settings; /* point keys, and device keys that the point overrides */
} things_point;

/* Valid only during create. The indices of devices and points stay valid for the life of the source: when the
 * configuration changes, the host creates a new source. */
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

/* ---- what the host offers ------------------------------------------------------------------------------ */

enum things_reading_flag {
    THINGS_OWN_TIME = 1, /* time_ms is when the device took the value; the host refuses years before 2000 and
                          * after 2100. Without this flag the time is that of the call to emit */
    THINGS_UNCHANGED = 2 /* the same capture as emitted before: the host drops it, unless somebody is reading
                          * the point by hand */
};

/* The host refuses a reading of a point that is not in the configuration, and drops readings that come
 * several times faster than configured. It counts both, and the call goes on. */
typedef struct things_reading {
    uint32_t size;
    uint32_t point;       /* index into points */
    things_value value;
    int64_t time_ms;      /* with THINGS_OWN_TIME */
    uint32_t flags;       /* enum things_reading_flag */
    uint32_t duration_us; /* of the request that brought the value; 0: not known */
    const char* raw;      /* the bytes as they came ("0x0102 0x0304"), or null; shown by the command `read`,
                           * which polls one point alone */
} things_reading;

/* The host keeps one state for each source, device and point. The latest problem is the one shown, and
 * THINGS_RECOVERED ends it, whatever its code. Report every time: the host counts repetitions and logs only
 * the beginning, each change and the end. */
enum things_event_kind {
    THINGS_PROBLEM = 1,   /* something failed */
    THINGS_RECOVERED = 2, /* it works again */
    THINGS_NOTE = 3,      /* worth one line in the log */
    THINGS_REASON = 4     /* Since minor 1. Why there is no value yet ("72 bytes came, no line matches"). The
                           * host neither logs it nor raises an alarm for it, but shows the latest one to
                           * anyone who reads the point, and in the alarm of a source that stays silent. A
                           * reading ends it: of the point, or of any point for a device or source. */
};

typedef struct things_event {
    uint32_t size;
    uint32_t kind;    /* enum things_event_kind */
    uint32_t level;   /* enum things_level: what the event is about */
    uint32_t index;   /* of the device or point; 0 for the source */
    const char* code; /* a stable word, such as "timeout", "illegal_address", "crc"; cut after 100 bytes */
    const char* text; /* for a technician: what was asked, what came back, the likely cause, what to try; cut
                       * after 2000 bytes */
} things_event;

/* Valid, at the same address, from create until destroy has returned. No function is null. All of them return
 * at once and none can fail: the host counts and drops a wrong argument. It ignores calls from any thread but
 * the source's; only interrupted() may be called from any thread. */
typedef struct things_host {
    uint32_t size;
    uint32_t abi_minor; /* of the host */
    void* context;      /* pass it to every function below */

    /* Hands over readings; their stride is readings[0].size. The host has copied values, texts and `raw` when
     * it returns. A plugin may also emit points that this poll did not ask for. */
    void (*emit)(void* context, const things_reading* readings, uint32_t count);
    /* Hands over failures and recoveries, in plain words. */
    void (*report)(void* context, const things_event* event);
    /* During create: a mistake in the configuration. `index` is that of the device or point, `key` names the
     * setting ("" if none). May be called several times; create then returns THINGS_INVALID. */
    void (*problem)(void* context, uint32_t level, uint32_t index, const char* key, const char* message);
    /* True when the call should return soon, because a command waits or the source must stop. Cheap: ask
     * between any two steps. */
    int (*interrupted)(void* context);
    /* During discover and plan: one result as a JSON object on one line, 64 KiB at most. */
    void (*found)(void* context, const char* json);
    /* During discover: the part that is done, 0 to 1. */
    void (*progress)(void* context, double part);
    /* Readable while interrupted() is true; for poll(2) beside the plugin's own descriptors. -1: none. */
    int wake_fd;

    /* Since minor 1: check `size` before you use what follows. */

    /* True while the gateway believes the system clock. Do not find out in any other way: the configuration
     * can decide it, and a process of its own may not ask the system. */
    int (*clock_trusted)(void* context);
    /* During create: the longest time, in milliseconds, that one uninterruptible step of a call may take with
     * this configuration, such as connecting, or one request with its timeouts; ten minutes at most. A call
     * then gets at least that much time, and counts as hanging only when it is twice that much past its
     * deadline. Without this call: 5 s for a call, hanging when 3 s past its deadline. */
    void (*patience)(void* context, int64_t time_ms);
} things_host;

/* ---- what the plugin offers ---------------------------------------------------------------------------- */

typedef struct things_source things_source; /* the plugin's own */

enum things_plugin_flag {
    THINGS_RUNS_PROGRAMS = 1 /* its sources start programs that their settings name. Such a source gets a
                              * process of its own even if the plugin comes with the gateway; sources of other
                              * plugins always do */
};

/* The host copies the table; keys and texts must live as long as the shared object is loaded. create,
 * destroy, and poll or listen are required; the others may be null. Sources of one plugin run on different
 * threads: the plugin must lock what they share, such as a library with global state. */
typedef struct things_plugin {
    uint32_t size;
    uint32_t abi_major;
    uint32_t abi_minor;
    uint32_t key_count;
    const char* name;    /* equals the file's name without .so */
    const char* version;
    const char* summary; /* one line */
    const things_key* const* keys;

    /* Makes a source and checks what only the plugin can know. Must not touch the device: the link is opened
     * by the first poll, listen, write or discover, and again whenever it was lost. `host` may be kept,
     * `config` may not. On any result but THINGS_OK the host ignores *source and does not call destroy. */
    int (*create)(const things_host* host, const things_source_config* config, things_source** source);
    /* Called on the source's thread after its last call has returned. Must release everything: the same
     * process may create the source again. */
    void (*destroy)(things_source* source);

    /* Reads these points once and emits their values. The points are due, and none occurs twice. A point that
     * is neither emitted nor reported stays due only if the call returns THINGS_INTERRUPTED; what was emitted
     * before an interruption counts. A plugin that listens emits the values that came last, and may return
     * THINGS_TIMEOUT without a report while none has come. A call that runs long past its deadline is
     * reported as hanging; meanwhile the host refuses commands to its source. Null: cannot be polled. */
    int (*poll)(things_source* source, const uint32_t* points, uint32_t count, int64_t deadline_ms);
    /* Waits until the deadline for values that the device sends by itself, and emits each as it comes. Null:
     * does not listen. */
    int (*listen)(things_source* source, int64_t deadline_ms);
    /* Writes one point. *value has the kind that the command gave: answer THINGS_INVALID if it does not fit,
     * and never wrap or clip it. *written holds *value at first; change it to what the point should read back
     * (rounded to what the device can hold). A text in it must live until the next call into this source.
     * THINGS_TIMEOUT means that nobody knows whether the write was done. Never repeat a write that may have
     * reached the device: the host reads back, and writes once more if the configuration says so. Null:
     * nothing can be written. */
    int (*write)(things_source* source, uint32_t point, const things_value* value, things_value* written,
                 int64_t deadline_ms);
    /* Looks for devices, or for what one device has. The plugin documents its options; results go to found().
     * A call without found() or progress() for two minutes counts as hanging. Null: cannot search. */
    int (*discover)(things_source* source, const things_setting* const* options, uint32_t option_count,
                    int64_t deadline_ms);
    /* Describes through found() how the points will be read: one JSON object for each request, then one for
     * the source with "cycle_ms", "load" (0 to 1) and "requests". Must not touch the device. Null: no plan.
     */
    int (*plan)(things_source* source);
    uint32_t flags; /* enum things_plugin_flag; since minor 1 */
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
