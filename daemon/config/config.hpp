// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "reading.hpp"
#include "setting.hpp"

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

struct ThingsConfig {
    std::string url = "https://prod.dm.kpnthings.com/ingestion/ip/senml/v1";
    std::string ca_file; ///< empty: the system's trust store
    std::string proxy;   ///< empty: none, or the environment's
    Milliseconds connect_timeout = seconds(10);
    Milliseconds timeout = seconds(30);
    int parallel = 8;
    Milliseconds retry_initial = seconds(1);
    Milliseconds retry_max = seconds(60);
    Milliseconds min_interval{0};
    Milliseconds downlink_poll{0};
    friend bool operator==(const ThingsConfig&, const ThingsConfig&) = default;
};

struct BatchConfig {
    Milliseconds max_age = seconds(60);
    int max_records = 500;
    std::int64_t max_bytes = std::int64_t{16} * 1024;
    friend bool operator==(const BatchConfig&, const BatchConfig&) = default;
};

enum class WhenFull : std::uint8_t { drop_oldest, drop_newest, thin };

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

enum class Unsynced : std::uint8_t { send_estimate, drop, hold };

struct TimeConfig {
    bool require_sync = true;
    Unsynced unsynced = Unsynced::send_estimate;
    friend bool operator==(const TimeConfig&, const TimeConfig&) = default;
};

struct WebConfig {
    bool on = true;
    std::string address = "127.0.0.1";
    std::uint16_t port = 8480;
    friend bool operator==(const WebConfig&, const WebConfig&) = default;
};

enum class Isolation : std::uint8_t { automatic, none, process };

struct SourceConfig {
    std::string name;
    std::string plugin;
    Isolation isolation = Isolation::automatic; ///< automatic: a process for plugins that are not shipped
    bool writes = true;                         ///< false: this source is read only whatever its points say
    bool allow_overload = false;                ///< true: `check` accepts a load above 1
    std::vector<Setting> settings;
    Place place;
};

struct Revert {
    Milliseconds after{0};
    Value to;
    friend bool operator==(const Revert&, const Revert&) = default;
};

/// What may be written to a point, and how.
struct Writable {
    std::optional<double> min, max, max_step;
    std::vector<Value> allowed;
    Milliseconds min_interval{0};
    Milliseconds settle{0};
    Milliseconds ttl = seconds(60);
    Milliseconds repeat_window = minutes(5);
    bool retry = false; ///< write once more when the value read back differs
    std::optional<Revert> revert;
    std::string outcome; ///< name of the text record that says what happened; empty: none
    friend bool operator==(const Writable&, const Writable&) = default;
};

enum class Aggregate : std::uint8_t { none, mean, min, max, last };

struct Report {
    bool on_change = false;
    double deadband = 0;
    Milliseconds heartbeat{0}; ///< 0: none
    Aggregate aggregate = Aggregate::none;
    Milliseconds window{0};
    friend bool operator==(const Report&, const Report&) = default;
};

struct PointConfig {
    std::string name;
    std::string unit; ///< as sent
    std::string source;
    Milliseconds interval = seconds(60);
    Report report;
    std::optional<Writable> writable;
    std::vector<std::pair<std::int64_t, std::string>> labels; ///< raw value to word
    std::vector<Setting> settings; ///< the plugin's point keys, and the device keys that this point overrides
    Place place;
};

enum class CommandMode : std::uint8_t { atomic, each };

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

struct Config {
    std::filesystem::path file;
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

} // namespace things
