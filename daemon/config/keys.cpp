// SPDX-License-Identifier: Apache-2.0
#include "config/keys.hpp"

#include <array>

namespace things {

namespace {

using enum KeyType;

constexpr double second = 1000, minute = 60 * second, hour = 60 * minute, day = 24 * hour;
constexpr double kibi = 1024, mebi = kibi * kibi, gibi = kibi * mebi;
constexpr bool required = true;

constexpr Key may_be_null(Key key) {
    key.nullable = true;
    return key;
}

constexpr std::array main_table{
    may_be_null(Key{"name", text, "null",
                    "What this gateway is called on its page, in status, alarms and metrics; null: the "
                    "machine's name."}),
    Key{"include", list, "[]",
        "Files with more sources, devices and profiles; names or patterns such as devices.d/*.yaml."},
    Key{"things", section, "", "How to reach KPN Things."},
    Key{"batch", section, "", "When a device's readings are posted."},
    Key{"queue", section, "", "Where readings wait, and how many."},
    Key{"time", section, "", "What to do while the clock is not set."},
    may_be_null(Key{"web", section, "", "The read-only page, API and metrics; null turns them off."}),
    Key{"control", section, "", "How the command line talks to the running daemon."},
    Key{"log", section, "", "What is logged."},
    Key{"writes", boolean, "true", "false: no command is carried out, reading goes on."},
    may_be_null(Key{"profiles", section, "", "Sets of points for one product, by name."}),
    may_be_null(Key{"sources", section, "", "Serial lines, hosts and meters to read from, by name."}),
    may_be_null(Key{"devices", list, "", "Devices registered at KPN Things, or {csv: FILE}."}),
};

constexpr std::array include_table{
    Key{"profiles", section, "", "Sets of points for one product, by name."},
    may_be_null(Key{"sources", section, "", "Serial lines, hosts and meters to read from, by name."}),
    may_be_null(Key{"devices", list, "", "Devices registered at KPN Things, or {csv: FILE}."}),
};

constexpr std::array things_table{
    Key{"url", text, "https://prod.dm.kpnthings.com/ingestion/ip/senml/v1",
        "Where readings are posted; https only."},
    may_be_null(Key{"ca_file", path, "null",
                    "Certificates to trust instead of the system's; verification is always on."}),
    may_be_null(
        Key{"proxy", text, "null", "Proxy such as http://proxy:3128; null: none, or the environment's."}),
    may_be_null(Key{"proxy_user", text, "null", "User name for the proxy."}),
    may_be_null(Key{"proxy_password", section, "null",
                    "Password for the proxy: {file: F}, {credential: C}, {env: E} or the text."}),
    Key{"proxy_auth", choice, "any",
        "How to log in at the proxy: any (the best way that it offers), basic, digest, ntlm or negotiate.", 0,
        0, "any basic digest ntlm negotiate"},
    Key{"connect_timeout", duration, "10s", "How long a connection may take.", 100, 10 * minute},
    Key{"timeout", duration, "30s", "How long a whole post may take.", second, hour},
    Key{"parallel", integer, "8", "Posts in flight, at most one a device.", 1, 256},
    Key{"retry", section, "", "How a failed post is tried again."},
    Key{"min_interval", duration, "0s",
        "At least this long between posts of one device; for an account's message quota.", 0, 31 * day},
    Key{"downlink_poll", duration, "0s",
        "An idle device posts its newest reading again this often to ask for commands; 0s: never.", 0,
        31 * day},
};

constexpr std::array retry_table{
    Key{"initial", duration, "1s", "Longest wait before the first new attempt; doubled each time.", 10, hour},
    Key{"max", duration, "60s", "Longest wait of all.", 10, day},
};

constexpr std::array batch_table{
    Key{"max_age", duration, "60s", "A pack leaves when its oldest reading is this old.", 100, 31 * day},
    Key{"max_records", integer, "500", "A pack leaves when it holds this many readings.", 1, 10000},
    Key{"max_bytes", size, "16KiB", "A pack leaves when it is this large.", 512, mebi},
};

constexpr std::array queue_table{
    Key{"path", path, "/var/lib/kpn-things-gateway/queue.db", "The queue on flash."},
    Key{"hot_path", path, "/run/kpn-things-gateway/queue",
        "The newest readings, in memory; kept over a restart of the service."},
    Key{"commit_interval", duration, "10s",
        "At most this much is at risk in a power cut; every commit costs flash.", 100, hour},
    Key{"max_size", size, "512MiB", "The queue never grows beyond this.", mebi, 1024 * gibi},
    Key{"max_age", duration, "0s", "Readings older than this are dropped; 0s: no age limit.", 0, 3650 * day},
    Key{"when_full", choice, "drop_oldest", "What gives way when the queue is full.", 0, 0,
        "drop_oldest drop_newest"},
    Key{"audit_age", duration, "90d", "How long carried out and refused commands are listed.", 0, 3650 * day},
    Key{"keep_removed", boolean, "true",
        "Readings of a device that a reload removed are still sent; false: dropped."},
};

constexpr std::array time_table{
    Key{"require_sync", boolean, "true",
        "Readings get their time once the system clock is synchronised or the platform's answers agree "
        "with it; false: trust it always."},
    Key{"unsynced", choice, "send_estimate", "Readings of a boot that never got a clock.", 0, 0,
        "send_estimate drop hold"},
};

constexpr std::array web_table{
    may_be_null(Key{"listen", text, "127.0.0.1:8480",
                    "Address and port; [::1]:8480 for IPv6; null leaves only the socket."}),
    may_be_null(Key{"socket", path, "null",
                    "Unix socket that serves the same to those whom its file permissions (0660) let in."}),
    Key{"names", list, "[]",
        "Host names under which the page is served besides the machine's own, such as gateway.example.nl."},
    may_be_null(Key{"tls", section, "null", "Certificate for HTTPS on this address; null: plain HTTP."}),
    may_be_null(Key{"password", section, "null",
                    "Asked for by page, API and metrics, with any user name: {file: F}, {credential: C}, "
                    "{env: E} or the text; needs tls beyond this machine."}),
};

constexpr std::array web_tls_table{
    Key{"cert_file",
        path,
        "",
        "Certificate (PEM), with those between it and its authority; a renewed file is used at once.",
        0,
        0,
        {},
        required},
    Key{"key_file",
        path,
        "",
        "Its private key (PEM), readable by the service's user only.",
        0,
        0,
        {},
        required},
};

constexpr std::array control_table{
    Key{"socket", path, "/run/kpn-things-gateway/control.sock",
        "Unix socket; its file permissions decide who may write and read."},
};

constexpr std::array log_table{
    Key{"level", choice, "info", "The least important lines to log.", 0, 0, "debug info warning error"},
};

constexpr std::array source_table{
    Key{"plugin",
        text,
        "",
        "What speaks the protocol: modbus, serial, p1, exec, sysinfo, simulated or another installed plugin.",
        0,
        0,
        {},
        required},
    Key{"isolation", choice, "",
        "Run the plugin in a process of its own, or in the daemon (none); left out: none for shipped "
        "plugins but exec.",
        0, 0, "process none"},
    Key{"writes", boolean, "true", "false: nothing is written through this source."},
    Key{"allow_overload", boolean, "false", "Accept intervals that the line cannot keep."},
};

constexpr std::array device_table{
    Key{"name", text, "", "How this device is called here.", 0, 0, {}, required},
    Key{"dvnuuid", text, "", "The DvnUUID that the Portal shows.", 0, 0, {}, required},
    Key{"secret",
        section,
        "",
        "The shared secret: {file: F}, {credential: C}, {env: E} or the text.",
        0,
        0,
        {},
        required},
    Key{"source", text, "", "The source that reads it; points may name another."},
    may_be_null(Key{"profile", text, "null", "Points and settings of a product; see `profiles list`."}),
    Key{"only", list, "[]", "Points of the profile to keep; all if left out."},
    Key{"without", list, "[]", "Points of the profile to leave out."},
    Key{"interval", duration, "60s", "How often its points are read.", 10, 31 * day},
    Key{"commands", choice, "atomic",
        "A downlink of several records is carried out as a whole or not at all (atomic), or record by "
        "record.",
        0, 0, "atomic each"},
    may_be_null(Key{"points", list, "[]",
                    "Its points; one with a name of the profile overrides that one key by key."}),
};

constexpr std::array fleet_table{
    Key{"csv",
        path,
        "",
        "Table of devices with the columns name,dvnuuid,secret_file,source,unit_id,profile.",
        0,
        0,
        {},
        required},
};

constexpr std::array profile_table{
    Key{"plugin", text, "", "The plugin it is for.", 0, 0, {}, required},
    Key{"product", text, "", "What it describes."},
    Key{"maker", text, "", "Who makes it."},
    Key{"models", list, "[]", "Type numbers it holds for."},
    Key{"category", text, "", "Kind of product."},
    Key{"documents", list, "[]", "What it was made from, with versions."},
    Key{"link", section, "", "How the product leaves the factory; for people, sets nothing."},
    Key{"quirks", list, "[]", "What a technician must know."},
    Key{"device", section, "", "Settings of every device that uses it; the device's own win."},
    Key{"points", list, "[]", "Its points.", 0, 0, {}, required},
};

constexpr std::array profile_device_table{
    Key{"interval", duration, "60s", "How often its points are read.", 10, 31 * day},
};

constexpr std::array point_table{
    Key{"name", text, "", "Name of the record at KPN Things.", 0, 0, {}, required},
    may_be_null(Key{"unit", text, "null", "SenML unit, as Cel, W, V, %RH."}),
    Key{"source", text, "", "Another source than the device's."},
    Key{"interval", duration, "60s", "How often it is read; the device's if left out.", 10, 31 * day},
    Key{"report", section, "", "Which of the values read are reported; all if left out."},
    Key{"writable", section, "false", "true, or limits: commands may write it."},
    Key{"write_only", boolean, "false", "It cannot be read: a write is done when it is acknowledged."},
    Key{"labels", section, "", "Words for values, as {0: \"off\", 1: \"on\"}."},
};

constexpr std::array report_table{
    Key{"on_change", boolean, "false", "Only when the value differs from the one last reported."},
    Key{"deadband", number, "0", "A change up to this is none; implies on_change.", 0, 1e300},
    Key{"heartbeat", duration, "0s",
        "Reported at least this often without a change; 0s: never; implies on_change.", 0, 31 * day},
    Key{"aggregate", choice, "", "One value of all those read in a window.", 0, 0, "mean min max last"},
    Key{"window", duration, "", "Length of the window, needed with aggregate.", 0, 31 * day},
};

constexpr std::array writable_table{
    Key{"min", number, "", "Least value."},
    Key{"max", number, "", "Largest value."},
    Key{"max_step", number, "", "Largest difference from the present value, which is read first.", 0, 1e300},
    Key{"allowed", list, "[]", "The only values allowed."},
    Key{"min_interval", duration, "0s", "At least this long between two writes.", 0, 31 * day},
    Key{"settle", duration, "0s", "Wait before reading back.", 0, hour},
    Key{"ttl", duration, "60s", "A command older than this is not begun.", 1, 31 * day},
    Key{"repeat_window", duration, "5m",
        "The same command again within this is not carried out again; 0s: each one counts.", 0, 31 * day},
    Key{"momentary", boolean, "false",
        "A pulse: done when acknowledged, not read back, never written again by itself."},
    Key{"retry", boolean, "false",
        "Write once more when another value is read back; without it no write is ever sent twice."},
    may_be_null(Key{"revert", section, "null", "A value to fall back to when no command renews this one."}),
    may_be_null(Key{"outcome", text, "null", "Name of a text record that says what happened."}),
};

constexpr std::array revert_table{
    Key{"after", duration, "", "How long the value holds.", 1, 31 * day, {}, required},
    Key{"to", value, "", "What is written then.", 0, 0, {}, required},
};

constexpr std::array secret_table{
    Key{"file", path, "", "File that holds it, readable by its owner only."},
    Key{"credential", text, "", "Name of a systemd credential (LoadCredential=)."},
    Key{"env", text, "", "Name of an environment variable."},
};

} // namespace

Table main_keys() {
    return main_table;
}
Table include_keys() {
    return include_table;
}
Table things_keys() {
    return things_table;
}
Table retry_keys() {
    return retry_table;
}
Table batch_keys() {
    return batch_table;
}
Table queue_keys() {
    return queue_table;
}
Table time_keys() {
    return time_table;
}
Table web_keys() {
    return web_table;
}
Table web_tls_keys() {
    return web_tls_table;
}
Table control_keys() {
    return control_table;
}
Table log_keys() {
    return log_table;
}
Table source_keys() {
    return source_table;
}
Table device_keys() {
    return device_table;
}
Table fleet_keys() {
    return fleet_table;
}
Table profile_keys() {
    return profile_table;
}
Table profile_device_keys() {
    return profile_device_table;
}
Table point_keys() {
    return point_table;
}
Table report_keys() {
    return report_table;
}
Table writable_keys() {
    return writable_table;
}
Table revert_keys() {
    return revert_table;
}
Table secret_keys() {
    return secret_table;
}

std::vector<SectionKeys> all_sections() {
    return {
        {"", main_table, "the main file"},
        {"things", things_table, "KPN Things"},
        {"things.retry", retry_table, "waits between attempts, with full jitter"},
        {"batch", batch_table, "when a pack leaves"},
        {"queue", queue_table, "the queue of readings"},
        {"time", time_table, "the clock"},
        {"web", web_table, "page, API and metrics"},
        {"web.tls", web_tls_table, "both or none"},
        {"control", control_table, "the control socket"},
        {"log", log_table, "the log"},
        {"sources.NAME", source_table, "one source; more keys come from its plugin"},
        {"devices", device_table, "one device; more keys come from the plugin of its source"},
        {"devices.secret", secret_table, "one of these"},
        {"devices.points", point_table, "one point; more keys come from the plugin of its source"},
        {"devices.points.report", report_table, "which values are reported"},
        {"devices.points.writable", writable_table, "what commands may do"},
        {"devices.points.writable.revert", revert_table, "the way back"},
        {"profiles.NAME", profile_table, "one profile"},
    };
}

std::vector<std::string_view> split_words(std::string_view words) {
    std::vector<std::string_view> result;
    while (!words.empty()) {
        const std::size_t end = words.find(' ');
        result.push_back(words.substr(0, end));
        words = end == std::string_view::npos ? std::string_view() : words.substr(end + 1);
    }
    return result;
}

} // namespace things
