// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/reading.hpp"
#include "model/setting.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

// The configuration as plain values, defaults included. Made by config/loader.hpp, read by everybody.
// The keys are those of etc/gateway.yaml, which lists each with its default and meaning.
namespace things {

using Milliseconds = std::chrono::milliseconds;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

/// A device's shared secret. Never printed; the text is wiped when the object goes.
/// A copy is wiped like the original. Log, status and messages never get one.
class Secret {
public:
    Secret() = default;
    explicit Secret(std::string text) : text_(std::move(text)) {}
    Secret(const Secret&) = default;
    Secret(Secret&&) noexcept = default;
    Secret& operator=(const Secret&) = default;
    Secret& operator=(Secret&&) noexcept = default;
    ~Secret();
    /// The text itself, for the signer only.
    [[nodiscard]] const std::string& reveal() const { return text_; }
    [[nodiscard]] bool empty() const { return text_.empty(); }
    friend bool operator==(const Secret&, const Secret&) = default;

private:
    std::string text_;
};

/// How to prove to the proxy who we are; `any`: the best way that it offers.
enum class ProxyAuth : std::uint8_t { any, basic, digest, ntlm, negotiate };

/// `things`: the platform and how it is talked to. `parallel` is 1 to 256 posts in flight, at most one a
/// device; `connect_timeout` is never above `timeout`, `retry_initial` never above `retry_max`. Of
/// `min_interval` and `downlink_poll` 0 means: no such rule.
struct ThingsConfig {
    std::string url = "https://prod.dm.kpnthings.com/ingestion/ip/senml/v1";
    std::string ca_file; ///< empty: the system's trust store
    std::string proxy;   ///< without user and password; empty: none, or the environment's
    std::string proxy_user;
    Secret proxy_password;
    std::string proxy_password_origin; ///< as DeviceConfig::secret_origin
    ProxyAuth proxy_auth = ProxyAuth::any;
    Milliseconds connect_timeout = seconds(10);
    Milliseconds timeout = seconds(30);
    int parallel = 8;
    Milliseconds retry_initial = seconds(1);
    Milliseconds retry_max = seconds(60);
    Milliseconds min_interval{0};
    Milliseconds downlink_poll{0};
    friend bool operator==(const ThingsConfig&, const ThingsConfig&) = default;
};

/// `batch`: a pack is due when any of these is reached. `max_records` 1 to 10,000, `max_bytes` of the JSON
/// body, 512 to 1 MiB.
struct BatchConfig {
    Milliseconds max_age = seconds(60);
    int max_records = 500;
    std::int64_t max_bytes = std::int64_t{16} * 1024;
    friend bool operator==(const BatchConfig&, const BatchConfig&) = default;
};

/// What is given up when the queue has reached `max_size`.
enum class WhenFull : std::uint8_t { drop_oldest, drop_newest };

/// `queue`: where readings wait. `max_size` in bytes of the files on flash, 1 MiB to 1 TiB; `commit_interval`
/// 100 ms to 1 h; a `max_age` of 0 means no limit.
struct QueueConfig {
    std::filesystem::path path = "/var/lib/kpn-things-gateway/queue.db";
    std::filesystem::path hot_path = "/run/kpn-things-gateway/queue";
    Milliseconds commit_interval = seconds(10);
    std::int64_t max_size = std::int64_t{512} * 1024 * 1024;
    Milliseconds max_age{0};
    WhenFull when_full = WhenFull::drop_oldest;
    Milliseconds audit_age = hours(24 * 90); ///< how long commands are kept for `commands list`
    friend bool operator==(const QueueConfig&, const QueueConfig&) = default;
};

/// What becomes of readings whose boot ended before the clock was right: sent with a time counted from the
/// last one that was saved before that boot, given up (and counted), or kept until somebody decides.
enum class Unsynced : std::uint8_t { send_estimate, drop, hold };

/// `time`: whether the system clock must be synchronised (adjtimex) before a reading is given its wall time.
struct TimeConfig {
    bool require_sync = true;
    Unsynced unsynced = Unsynced::send_estimate;
    friend bool operator==(const TimeConfig&, const TimeConfig&) = default;
};

/// `web`: the read-only page, API and metrics. Loopback unless told otherwise.
/// `port` 0: any free one, for tests. `address` is a literal, never a name.
struct WebConfig {
    bool on = true;
    std::string address = "127.0.0.1";
    std::uint16_t port = 8480;
    std::filesystem::path socket;              ///< beside it; empty: none
    std::vector<std::string> names;            ///< further host names under which the page is served
    std::filesystem::path cert_file, key_file; ///< `tls`: both or none; never asked of the socket
    Secret password;                           ///< empty: none is asked for; never asked of the socket
    std::string password_origin;               ///< as DeviceConfig::secret_origin
    friend bool operator==(const WebConfig&, const WebConfig&) = default;
};

/// Where a source's plugin runs: in the daemon or in a host process of its own.
/// One in a process of its own cannot take the daemon along.
enum class Isolation : std::uint8_t { automatic, none, process };

/// One entry of `sources`. `settings` are the keys its plugin described, checked against that description.
struct SourceConfig {
    std::string name;
    std::string plugin;
    Isolation isolation = Isolation::automatic; ///< automatic: a process for plugins that are not shipped
    bool writes = true;                         ///< false: this source is read only whatever its points say
    bool allow_overload = false;                ///< true: `check` accepts a load above 1
    std::vector<Setting> settings;
    Place place;
};

/// `writable.revert`: the value a point falls back to when no command renewed it for so long.
struct Revert {
    Milliseconds after{0};
    Value to;
    friend bool operator==(const Revert&, const Revert&) = default;
};

/// What may be written to a point, and how.
/// Values and limits are those of the point as it is read: after scale, before labels. `ttl` and
/// `repeat_window` count from receipt; 0 for `min_interval` and `settle` means no such rule.
struct Writable {
    std::optional<double> min, max, max_step;
    std::vector<Value> allowed;
    Milliseconds min_interval{0};
    Milliseconds settle{0};
    Milliseconds ttl = seconds(60);
    Milliseconds repeat_window = minutes(5);
    /// Write once more when the value read back differs, or when the answer to a write that nobody can read
    /// back was lost. Without it no write is ever sent twice.
    bool retry = false;
    bool momentary = false; ///< a pulse: done when acknowledged, not read back, never written again
    std::optional<Revert> revert;
    std::string outcome; ///< name of the text record that says what happened; empty: none
    friend bool operator==(const Writable&, const Writable&) = default;
};

/// How a window of readings becomes one.
enum class Aggregate : std::uint8_t { none, mean, min, max, last };

/// `report`: which of a point's readings are sent; see polling/report.hpp for the rules.
/// `window` is at least the point's interval, and set whenever `aggregate` is.
struct Report {
    bool on_change = false;
    double deadband = 0;
    Milliseconds heartbeat{0}; ///< 0: none
    Aggregate aggregate = Aggregate::none;
    Milliseconds window{0};
    friend bool operator==(const Report&, const Report&) = default;
};

/// One point of a device, its profile's keys already merged in. `name` has SenML characters, `unit` is a
/// SenML unit; `source` is always filled in, with the device's if the point names none.
struct PointConfig {
    std::string name;
    std::string unit; ///< as sent
    std::string source;
    Milliseconds interval = seconds(60);
    Report report;
    std::optional<Writable> writable;
    bool write_only = false;                                  ///< never read; writable is set
    std::vector<std::pair<std::int64_t, std::string>> labels; ///< raw value to word
    std::vector<Setting> settings; ///< the plugin's point keys, and the device keys that this point overrides
    Place place;
};

/// A downlink of several records is refused as a whole if one is not allowed (atomic), or record by record
/// (each).
enum class CommandMode : std::uint8_t { atomic, each };

/// One device as it is registered at the platform. `dvnuuid` is a UUID as it was written, in either case; it
/// and the name are unique without regard to case.
struct DeviceConfig {
    std::string name;
    std::string dvnuuid;
    Secret secret;
    std::string secret_origin; ///< "file PATH", "credential NAME", "env NAME" or "text"; for `check --print`
    std::string source;        ///< empty: every point names its own
    Milliseconds interval = seconds(60);
    CommandMode commands = CommandMode::atomic;
    std::string profile; ///< empty: none
    std::vector<PointConfig> points;
    std::vector<Setting> settings; ///< the plugin's device keys (of the plugin of `source`)
    Place place;
};

enum class LogLevel : std::uint8_t { debug, info, warning, error };

/// The whole file with everything it includes, checked; nothing in it refers to another file any more.
/// Holds the secrets of all devices, unless they were not to be read (LoadOptions).
struct Config {
    std::filesystem::path file;
    std::string name; ///< of this gateway; empty: the machine's
    ThingsConfig things;
    BatchConfig batch;
    QueueConfig queue;
    TimeConfig time;
    WebConfig web;
    std::filesystem::path control_socket = "/run/kpn-things-gateway/control.sock";
    LogLevel log_level = LogLevel::info;
    bool writes = true;       ///< false: no command is carried out, reading goes on
    bool keep_removed = true; ///< send what is queued for a device that a reload removed; false: drop it
    std::vector<SourceConfig> sources;
    std::vector<DeviceConfig> devices;
};

/// What the gateway is called: as configured, else as the machine is.
std::string name_of(const Config& config);

} // namespace things
